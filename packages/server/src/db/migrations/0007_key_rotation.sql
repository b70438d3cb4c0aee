-- Keys that turn. Each sealed column gets a companion that names the key of its envelope, kept by the database itself and tied to the key's
-- row: how much is left under a key is one count, and a key that something still needs can't be deleted, by nobody and in no race.
set role sallyport_owner;

-- The key id inside an envelope or inside what a key service wrapped (packages/core/src/crypto/envelope.ts and wrapped-form.ts draw the
-- forms, which name their key at the same place), or NULL for other bytes.
create function sallyport.envelope_key_name(envelope bytea) returns text
  language sql immutable strict parallel safe
  set search_path = pg_catalog
  return case when length(envelope) > 6 then
    case when get_byte(envelope, 4) between 1 and 64
      and length(envelope) >= get_byte(envelope, 4)
        + case substring(envelope from 1 for 4) when '\x53504501'::bytea then 57 when '\x53505701'::bytea then 6 end
    then encode(substring(envelope from 6 for get_byte(envelope, 4)), 'escape') end end;

-- The same where the key is a data key, whose name is a UUID.
create function sallyport.envelope_data_key(envelope bytea) returns uuid
  language sql immutable strict parallel safe
  set search_path = pg_catalog
  return case when sallyport.envelope_key_name(envelope) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
    sallyport.envelope_key_name(envelope)::uuid end;

revoke execute on function sallyport.envelope_key_name(bytea), sallyport.envelope_data_key(bytea) from public;
grant execute on function sallyport.envelope_key_name(bytea), sallyport.envelope_data_key(bytea) to sallyport_app, sallyport_lookup;

-- `destroyed`: the bytes of the key are gone for good, and its row stays to say so. `retired_at`: since when it only opens.
alter table sallyport.data_key
  alter column root_key_id drop not null,
  alter column wrapped drop not null,
  drop constraint data_key_status_check,
  add constraint data_key_status_check check (status in ('current', 'previous', 'destroyed')),
  add constraint data_key_destroyed check ((status = 'destroyed') = (wrapped is null) and (wrapped is null) = (root_key_id is null)),
  add column retired_at timestamptz,
  add column overdue_noted_at timestamptz;
create index data_key_under_root on sallyport.data_key (root_key_id);

create function sallyport.refuse_revival() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'a destroyed data key stays destroyed' using errcode = 'integrity_constraint_violation';
end
$$;
create trigger destroyed_for_good before update on sallyport.data_key
  for each row when (old.status = 'destroyed') execute function sallyport.refuse_revival();

-- Deferred: an organization goes with everything it has, in whatever order, and only what is left at the end must fit.
alter table sallyport.credential_version
  add column sealed_under uuid generated always as (sallyport.envelope_data_key(sealed)) stored,
  add foreign key (org_id, sealed_under) references sallyport.data_key (org_id, id) deferrable initially deferred;
alter table sallyport.integration
  add column client_secret_under uuid generated always as (sallyport.envelope_data_key(client_secret)) stored,
  add foreign key (org_id, client_secret_under) references sallyport.data_key (org_id, id) deferrable initially deferred;
alter table sallyport.oauth_state
  add column verifier_under uuid generated always as (sallyport.envelope_data_key(verifier)) stored,
  add foreign key (org_id, verifier_under) references sallyport.data_key (org_id, id) deferrable initially deferred;
alter table sallyport.system_secret
  add column sealed_under text generated always as (sallyport.envelope_key_name(sealed)) stored,
  add foreign key (sealed_under) references sallyport.root_key (id) deferrable initially deferred;

-- In the order in which the sweep pages through what is left under one key.
create index credential_version_under on sallyport.credential_version (org_id, sealed_under, connection_id, seq);
create index integration_under on sallyport.integration (org_id, client_secret_under, id);
create index oauth_state_under on sallyport.oauth_state (org_id, verifier_under, state_hash);

-- Rows that are never changed may be resealed: the same row, whatever columns it comes to have, with another key's envelope.
create function sallyport.refuse_all_but_reseal() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if to_jsonb(new) - array['sealed', 'sealed_under'] is distinct from to_jsonb(old) - array['sealed', 'sealed_under']
    or sallyport.envelope_key_name(new.sealed) is null
    or sallyport.envelope_key_name(new.sealed) is not distinct from sallyport.envelope_key_name(old.sealed)
  then
    raise exception 'rows of % are never changed, only sealed under another key', tg_table_name
      using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end
$$;
revoke execute on function sallyport.refuse_revival(), sallyport.refuse_all_but_reseal() from public;
drop trigger insert_only on sallyport.credential_version;
drop function sallyport.refuse_change();
create trigger insert_only before update on sallyport.credential_version
  for each row execute function sallyport.refuse_all_but_reseal();
create trigger insert_only before update on sallyport.system_secret
  for each row execute function sallyport.refuse_all_but_reseal();

grant update (sealed) on sallyport.credential_version, sallyport.system_secret to sallyport_app;
grant update (verifier) on sallyport.oauth_state to sallyport_app;
grant delete on sallyport.data_key, sallyport.root_key to sallyport_app;

grant select (org_id, id, root_key_id, status, created_at) on sallyport.data_key to sallyport_lookup;
create policy lookup on sallyport.data_key for select to sallyport_lookup using (true);

reset role;
set role sallyport_lookup;

-- Ids of organizations after `after`, in order, at most `most` (1,000). Nothing of them but that they exist.
create function sallyport.organization_page(after uuid, most int) returns setof uuid
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select o.id from sallyport.organization o
  where after is null or o.id > after
  order by o.id limit least(greatest(most, 1), 1000)
$$;

-- The same of those whose data keys want attention: wrapped under another root key than `primary_root`, no longer current, or made
-- before `made_before`.
create function sallyport.data_key_work(primary_root text, made_before timestamptz, after uuid, most int) returns setof uuid
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select distinct k.org_id from sallyport.data_key k
  where (after is null or k.org_id > after)
    and (k.status = 'previous' or (k.status = 'current' and (k.root_key_id <> primary_root or k.created_at < made_before)))
  order by k.org_id limit least(greatest(most, 1), 1000)
$$;

-- How many data keys of the installation each root key wraps.
create function sallyport.root_key_use() returns table (root_key_id text, data_keys bigint)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select k.root_key_id, count(*) from sallyport.data_key k where k.root_key_id is not null group by k.root_key_id
$$;

revoke execute on function
  sallyport.organization_page(uuid, int), sallyport.data_key_work(text, timestamptz, uuid, int), sallyport.root_key_use() from public;
grant execute on function
  sallyport.organization_page(uuid, int), sallyport.data_key_work(text, timestamptz, uuid, int), sallyport.root_key_use() to sallyport_app;

reset role;
