-- Keys of web pages, keys of a whole organization, and when a key was last used.
set role sallyport_owner;

alter table sallyport.api_key
  -- NULL: whoever has it may use it. Else the exact origins of the pages that may.
  add column allowed_origins text[] check (cardinality(allowed_origins) between 1 and 50),
  -- NULL: the key is the organization's, and lies in no project. Then nothing binds it to a connection, which always lies in one.
  alter column project_id drop not null,
  add constraint api_key_of_organization check (project_id is not null or connection_id is null);

-- Beside the key and not in it: what is written every minute must not make nodes forget the key, nor wait for whoever changes it.
create table sallyport.api_key_use (
  org_id uuid not null,
  -- The key's.
  id uuid not null,
  -- To the minute.
  used_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, id) references sallyport.api_key (org_id, id) on delete cascade
) with (fillfactor = 70);
alter table sallyport.api_key_use enable row level security;
alter table sallyport.api_key_use force row level security;
create policy tenant on sallyport.api_key_use for select to sallyport_app using (org_id = sallyport.current_org());
create policy lookup on sallyport.api_key_use to sallyport_lookup using (true) with check (true);
grant select on sallyport.api_key_use to sallyport_app;
grant select, insert, update on sallyport.api_key_use to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Writes down that keys of whichever organizations were used, each so many seconds ago, an hour at most. How many rows that changed. In the order of ids,
-- so that nodes that tell of the same keys wait and don't block; a key that is gone is passed over.
create function sallyport.key_use_note(ids uuid[], ages_s int[]) returns bigint
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with used as (
    select k.org_id, k.id,
      date_trunc('minute', clock_timestamp() - make_interval(secs => least(greatest(min(n.age_s), 0), 3600)), 'UTC') as used_at
    from unnest(ids, ages_s) as n (id, age_s) join sallyport.api_key k on k.id = n.id
    group by k.org_id, k.id order by k.org_id, k.id
  ), noted as (
    insert into sallyport.api_key_use as u (org_id, id, used_at) select org_id, id, used_at from used
    on conflict (org_id, id) do update set used_at = excluded.used_at where u.used_at < excluded.used_at
    returning 1
  )
  select count(*) from noted
$$;

drop function sallyport.key_lookup(uuid);

-- As 0018_organizations.sql says. `allowed_origins` are lists along the line of makers like `allowed_addresses`. A key without a project is the
-- organization's.
create function sallyport.key_lookup(wanted uuid)
  returns table (
    org_id uuid, id uuid, project_id uuid, environment text, version int, secret_hmac bytea, secret_argon2id text, scopes text[],
    connection_id uuid, expires_at timestamptz, revoked_at timestamptz, makers int, allowed_addresses jsonb, allowed_origins jsonb,
    dpop_thumbprint text, certificate_thumbprint text, audit_use_mode text, now timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  with recursive line as (
    select k.org_id, k.maker, k.expires_at, k.revoked_at, k.allowed_addresses, k.allowed_origins, 0 as above
    from sallyport.api_key k where k.id = wanted
    union all
    select m.org_id, m.maker, m.expires_at, m.revoked_at, m.allowed_addresses, m.allowed_origins, line.above + 1
    from line join sallyport.api_key m on m.org_id = line.org_id and m.id = line.maker
    where line.above < 16
  ), standing as (
    select min(line.expires_at) as expires_at, min(line.revoked_at) as revoked_at, max(line.above) as makers,
      (array_agg(line.maker order by line.above desc))[1] is not null as broken,
      coalesce(jsonb_agg(to_jsonb(line.allowed_addresses) order by line.above) filter (where line.allowed_addresses is not null), '[]')
        as allowed_addresses,
      coalesce(jsonb_agg(to_jsonb(line.allowed_origins) order by line.above) filter (where line.allowed_origins is not null), '[]')
        as allowed_origins
    from line
  )
  select k.org_id, k.id, k.project_id, k.environment, k.version, k.secret_hmac, k.secret_argon2id, k.scopes, k.connection_id,
    s.expires_at, coalesce(s.revoked_at, case when s.broken then k.created_at end), s.makers, s.allowed_addresses, s.allowed_origins,
    k.dpop_thumbprint, k.certificate_thumbprint, coalesce(c.value #>> '{}', 'batched'), clock_timestamp()
  from sallyport.api_key k
    join sallyport.organization o on o.id = k.org_id and o.state = 'active'
    left join sallyport.project p on p.org_id = k.org_id and p.id = k.project_id
    left join sallyport.organization_setting c on c.org_id = k.org_id and c.name = 'audit_use_mode'
    cross join standing s
  where k.id = wanted and (k.project_id is null or (p.id is not null and p.archived_at is null))
$$;

revoke execute on function sallyport.key_use_note(uuid[], int[]), sallyport.key_lookup(uuid) from public;
grant execute on function sallyport.key_use_note(uuid[], int[]), sallyport.key_lookup(uuid) to sallyport_app;

reset role;
