-- Who was forgotten is itself forgotten when nothing of theirs can wait any more, also where nobody else of their organization ever is.
set role sallyport_owner;

create policy lookup on sallyport.end_user_forgotten to sallyport_lookup using (true);
grant select, delete on sallyport.end_user_forgotten to sallyport_lookup;
drop index sallyport.end_user_forgotten_age;
create index end_user_forgotten_age on sallyport.end_user_forgotten (forgotten_at);

reset role;
set role sallyport_lookup;

-- Removes what is two days old, at most `most` (10,000). No name waits for longer than one (db/queries/forgotten-end-user.ts).
create function sallyport.end_user_forgotten_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from sallyport.end_user_forgotten f where (f.org_id, f.project_id, f.environment, f.end_user_id) in (
    select o.org_id, o.project_id, o.environment, o.end_user_id from sallyport.end_user_forgotten o
    where o.forgotten_at < clock_timestamp() - interval '2 days' limit least(greatest(most, 1), 10000))
    -- Whoever is forgotten once more meanwhile stays.
    and f.forgotten_at < clock_timestamp() - interval '2 days';
  get diagnostics swept = row_count;
  return swept;
end
$$;
revoke execute on function sallyport.end_user_forgotten_sweep(int) from public;
grant execute on function sallyport.end_user_forgotten_sweep(int) to sallyport_app;

reset role;
