-- A key made by a key stands and falls with its maker, and that one's maker, on every call: what gave it its power must still have it.
set role sallyport_owner;

-- The id behind `key_` and 22 base62 digits (packages/core/src/kernel/ids.ts), or NULL for any other text.
create function sallyport.key_named(outside text) returns uuid
  language plpgsql immutable strict parallel safe
  set search_path = pg_catalog
as $$
declare
  digits constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  value numeric := 0;
  hex text := '';
begin
  if outside collate "C" !~ '^key_[0-9A-Za-z]{22}$' then
    return null;
  end if;
  for place in 5..26 loop
    value := value * 62 + (strpos(digits, substr(outside, place, 1)) - 1);
  end loop;
  -- 2^128: 22 digits can say more than a UUID holds.
  if value >= 340282366920938463463374607431768211456 then
    return null;
  end if;
  for limb in 1..8 loop
    hex := lpad(to_hex((value % 65536)::int), 4, '0') || hex;
    value := div(value, 65536);
  end loop;
  return hex::uuid;
end
$$;
revoke execute on function sallyport.key_named(text) from public;
grant execute on function sallyport.key_named(text) to sallyport_app;

-- The database derives it, for keys that are there already too, so that it can't say anything else than `created_by`.
alter table sallyport.api_key add column maker uuid generated always as (sallyport.key_named(created_by)) stored;
create index api_key_made on sallyport.api_key (org_id, maker) where maker is not null;

reset role;
set role sallyport_lookup;

drop function sallyport.key_lookup(uuid);

-- Finds a key by the id in its text. The caller compares the secret; this gives nothing that would let it be guessed offline without
-- the pepper. `now` lets every node judge expiry by the database's clock.
-- `expires_at` and `revoked_at` are the earliest in the line of its makers, itself included; `makers` counts those above it. A line that
-- names a maker who is gone, or is longer than keys are let make it (routes/key/create/grant.ts), counts as revoked from the key's first
-- moment.
create function sallyport.key_lookup(wanted uuid)
  returns table (
    org_id uuid, id uuid, project_id uuid, environment text, version int, secret_hmac bytea, secret_argon2id text, scopes text[],
    connection_id uuid, expires_at timestamptz, revoked_at timestamptz, makers int, audit_use_mode text, now timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  with recursive line as (
    select k.org_id, k.maker, k.expires_at, k.revoked_at, 0 as above from sallyport.api_key k where k.id = wanted
    union all
    select m.org_id, m.maker, m.expires_at, m.revoked_at, line.above + 1
    from line join sallyport.api_key m on m.org_id = line.org_id and m.id = line.maker
    where line.above < 16
  ), standing as (
    select min(line.expires_at) as expires_at, min(line.revoked_at) as revoked_at, max(line.above) as makers,
      (array_agg(line.maker order by line.above desc))[1] is not null as broken
    from line
  )
  select k.org_id, k.id, k.project_id, k.environment, k.version, k.secret_hmac, k.secret_argon2id, k.scopes, k.connection_id,
    s.expires_at, coalesce(s.revoked_at, case when s.broken then k.created_at end), s.makers, o.audit_use_mode, clock_timestamp()
  from sallyport.api_key k join sallyport.organization o on o.id = k.org_id cross join standing s
  where k.id = wanted
$$;
revoke execute on function sallyport.key_lookup(uuid) from public;
grant execute on function sallyport.key_lookup(uuid) to sallyport_app;

reset role;
