-- Keys of model providers: an organization's, or one project environment's.
set role sallyport_owner;

-- `sealed`: the credential; gone as soon as the key has ended. `mask`, `fingerprint`: how people tell one from another; the latter is keyed, and of this
-- organization alone. `settings`: what else a call needs, none of it secret. `ends_at`: it was replaced, and goes on until then beside its successor.
create table sallyport.provider_key (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  project_id uuid,
  environment text check (environment in ('live', 'test')),
  provider text not null check (provider ~ '^[a-z][a-z0-9-]{0,30}$'),
  name text not null check (length(name) between 1 and 120),
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  sealed bytea,
  sealed_under uuid generated always as (sallyport.envelope_data_key(sealed)) stored,
  mask text not null check (length(mask) between 1 and 400),
  fingerprint bytea not null check (length(fingerprint) = 16),
  replaces uuid,
  created_by text not null check (length(created_by) between 1 and 64),
  created_at timestamptz not null default clock_timestamp(),
  ends_at timestamptz,
  revoked_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade,
  foreign key (org_id, sealed_under) references sallyport.data_key (org_id, id) deferrable initially deferred,
  constraint provider_key_place check ((project_id is null) = (environment is null)),
  constraint provider_key_ended check (sealed is null or revoked_at is null)
);
-- One of a name that stands for good in each place; those on their way out beside it.
create unique index provider_key_name on sallyport.provider_key
  (org_id, coalesce(project_id, '00000000-0000-0000-0000-000000000000'), coalesce(environment, ''), provider, name)
  where ends_at is null and revoked_at is null;
create index provider_key_list on sallyport.provider_key (org_id, project_id, environment, id);
create index provider_key_under on sallyport.provider_key (org_id, sealed_under, id);
create index provider_key_ending on sallyport.provider_key (ends_at) where sealed is not null and ends_at is not null;
alter table sallyport.provider_key enable row level security, force row level security;
create policy tenant on sallyport.provider_key to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
create policy lookup on sallyport.provider_key for select to sallyport_lookup using (true);
create policy lookup_sweep on sallyport.provider_key for update to sallyport_lookup using (true) with check (true);
grant select, insert, update (sealed, ends_at, revoked_at) on sallyport.provider_key to sallyport_app;
grant select (org_id, id, ends_at, sealed), update (sealed) on sallyport.provider_key to sallyport_lookup;
create trigger changed after insert or update or delete on sallyport.provider_key for each row execute function sallyport.notify_change();

reset role;
set role sallyport_lookup;

-- Forgets the credentials of keys whose overlap is over, at most `most` (10,000).
create function sallyport.provider_key_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  update sallyport.provider_key k set sealed = null where (k.org_id, k.id) in (
    select o.org_id, o.id from sallyport.provider_key o
    where o.sealed is not null and o.ends_at <= clock_timestamp() limit least(greatest(most, 1), 10000)
    for update skip locked);
  get diagnostics swept = row_count;
  return swept;
end
$$;
revoke execute on function sallyport.provider_key_sweep(int) from public;
grant execute on function sallyport.provider_key_sweep(int) to sallyport_app;

reset role;
