-- Root keys come to be known by one function alone, which takes only what has the form of a check value under that very key, and never in
-- place of another. Whether the bytes are right can't be known here: that nothing but what is needed can stop a start is vault/root-keys.ts's.
set role sallyport_owner;

revoke insert on sallyport.root_key from sallyport_app;
-- When it was last told that the primary root key is overdue for rotation.
alter table sallyport.root_key add column overdue_noted_at timestamptz;
grant update (overdue_noted_at) on sallyport.root_key to sallyport_app;

grant select (id, check_value), insert (id, check_value) on sallyport.root_key to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Stores a check value unless the id is known; answers what is stored afterwards, and whether this call did it.
create function sallyport.root_key_add(key_id text, check_text bytea) returns table (stored bytea, added boolean)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if sallyport.envelope_key_name(check_text) is distinct from key_id or length(check_text) > 8192 then
    raise exception 'a check value is sealed under the key that it proves' using errcode = 'check_violation';
  end if;
  -- Nobody has that many: ids that are added without end would make every start slower.
  if (select count(*) from sallyport.root_key) >= 1000 then
    raise exception 'too many root keys: remove those that are unused' using errcode = 'program_limit_exceeded';
  end if;
  insert into sallyport.root_key (id, check_value) values (key_id, check_text) on conflict (id) do nothing;
  added := found;
  select r.check_value into strict stored from sallyport.root_key r where r.id = key_id;
  return next;
end
$$;
revoke execute on function sallyport.root_key_add(text, bytea) from public;
grant execute on function sallyport.root_key_add(text, bytea) to sallyport_app;

-- How many data keys there are over all organizations, and since when the oldest one seals. `behind`: under another root key than
-- `primary_root`. `overdue`: still sealing, and made before `made_before`. Counts only, for the metrics.
create function sallyport.data_key_census(primary_root text, made_before timestamptz)
  returns table (currently bigint, previously bigint, behind bigint, overdue bigint, oldest_current timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select count(*) filter (where k.status = 'current'), count(*) filter (where k.status = 'previous'),
    count(*) filter (where k.root_key_id <> primary_root),
    count(*) filter (where k.status = 'current' and k.created_at < made_before), min(k.created_at) filter (where k.status = 'current')
  from sallyport.data_key k where k.status <> 'destroyed'
$$;
revoke execute on function sallyport.data_key_census(text, timestamptz) from public;
grant execute on function sallyport.data_key_census(text, timestamptz) to sallyport_app;

reset role;
