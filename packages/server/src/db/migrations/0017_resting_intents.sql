-- What rests is not looked for: an intent that is not to be tried again yet would take the place of one that is due, whoever's that is.
set role sallyport_owner;

grant select (state) on sallyport.refresh_intent to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- As in 0010, those aside whose end nobody knows and that are not to be tried yet.
create or replace function sallyport.interrupted_refreshes(most int) returns table (org_id uuid, connection_id uuid)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select i.org_id, i.connection_id
  from sallyport.refresh_intent i
    join sallyport.connection c on c.org_id = i.org_id and c.id = i.connection_id
  where i.state = 'calling' or c.retry_at is null or c.retry_at <= clock_timestamp()
  order by i.started_at limit least(greatest(most, 1), 1000)
$$;

reset role;
