-- The end of an organization: what stops at once, and what a node carries on with afterwards until nothing of it is left but its log.
set role sallyport_owner;

-- One that is on its way. `waiting`: it can be taken back until `due_at`. `revoking`: its connections end, here and at their providers, which are
-- waited for `patience_s` at most. `destroying`: its keys are destroyed, and its rows go.
create table sallyport.organization_deletion (
  org_id uuid primary key references sallyport.organization (id) on delete cascade,
  requested_by text not null check (length(requested_by) between 1 and 64),
  requested_at timestamptz not null default clock_timestamp(),
  due_at timestamptz not null,
  patience_s int not null check (patience_s between 0 and 604800),
  state text not null default 'waiting' check (state in ('waiting', 'revoking', 'destroying')),
  bulk_id uuid,
  revoking_since timestamptz,
  next_at timestamptz not null default clock_timestamp(),
  constraint organization_deletion_bulk check ((state = 'waiting') = (bulk_id is null) and (bulk_id is null) = (revoking_since is null))
);
create index organization_deletion_due on sallyport.organization_deletion (next_at);
alter table sallyport.organization_deletion enable row level security, force row level security;
create policy tenant on sallyport.organization_deletion to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
create policy lookup on sallyport.organization_deletion for select to sallyport_lookup using (true);
create policy lookup_claim on sallyport.organization_deletion for update to sallyport_lookup using (true) with check (true);
-- Whoever takes it back deletes it; one that went further stays.
create policy back on sallyport.organization_deletion as restrictive for delete to sallyport_app using (state = 'waiting');
grant select, insert, delete, update (state, bulk_id, revoking_since, next_at) on sallyport.organization_deletion to sallyport_app;
grant select (org_id, state, due_at, next_at), update (next_at) on sallyport.organization_deletion to sallyport_lookup;

-- Rows go through the functions below alone, and those of the transaction's organization alone.
do $$
declare
  name text;
begin
  foreach name in array array['request_record', 'revocation', 'event_receipt', 'connection', 'connect_session', 'api_key'] loop
    execute format('create policy ending on sallyport.%I for delete to sallyport_lookup using (org_id = sallyport.current_org())', name);
    execute format('grant delete on sallyport.%I to sallyport_lookup', name);
  end loop;
end
$$;
create policy ending_seen on sallyport.request_record for select to sallyport_lookup using (org_id = sallyport.current_org());
create policy ending on sallyport.organization for delete to sallyport_lookup using (id = sallyport.current_org());
grant select (org_id, id) on sallyport.request_record to sallyport_lookup;
grant delete on sallyport.organization to sallyport_lookup;

-- As 0018_organizations.sql says. Asked first whether the organization is there, since whoever ends it may look and not hold.
create or replace function sallyport.keep_an_owner() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from sallyport.organization o where o.id = old.org_id) then
    return null;
  end if;
  perform 1 from sallyport.organization o where o.id = old.org_id for no key update;
  if found and not exists (select from sallyport.membership m where m.org_id = old.org_id and m.role = 'OWNER') then
    raise exception 'an organization keeps an owner' using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end
$$;

reset role;
set role sallyport_lookup;

-- Takes one deletion that is due, for `seconds`: until then no other node is given it.
create function sallyport.organization_deletion_claim(seconds int) returns table (org_id uuid)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with due as materialized (
    select d.org_id from sallyport.organization_deletion d
    where d.next_at <= clock_timestamp() and (d.state <> 'waiting' or d.due_at <= clock_timestamp())
    order by d.next_at limit 1
    for update skip locked
  )
  update sallyport.organization_deletion d
    set next_at = clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600))
    from due where d.org_id = due.org_id
    returning d.org_id
$$;

-- Whether this transaction's organization is at the point of no return: its deletion has come that far, and none of its keys is left.
create function sallyport.is_ending() returns boolean
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select exists (
      select from sallyport.organization_deletion d join sallyport.organization o on o.id = d.org_id
      where d.org_id = sallyport.current_org() and d.state = 'destroying' and o.state = 'deleting')
    and not exists (select from sallyport.data_key k where k.org_id = sallyport.current_org() and k.status <> 'destroyed')
$$;

-- Deletes rows of this transaction's organization, of one kind and at most `most` (10,000), from the kinds of which there may be many. How many; 0
-- when there are none left, or when it isn't to go.
create function sallyport.organization_purge(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org uuid := sallyport.current_org();
  batch int := least(greatest(most, 1), 10000);
  gone bigint;
begin
  if not sallyport.is_ending() then
    return 0;
  end if;
  delete from sallyport.request_record r where r.org_id = org and r.id in (
    select o.id from sallyport.request_record o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.revocation r where r.org_id = org and r.id in (
    select o.id from sallyport.revocation o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.event_receipt r where r.org_id = org and (r.source_id, r.event_hash) in (
    select o.source_id, o.event_hash from sallyport.event_receipt o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.connect_session r where r.org_id = org and r.id in (
    select o.id from sallyport.connect_session o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.api_key r where r.org_id = org and r.id in (
    select o.id from sallyport.api_key o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.connection r where r.org_id = org and r.id in (
    select o.id from sallyport.connection o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  return gone;
end
$$;

-- Deletes this transaction's organization with everything that still hangs on it. False when it isn't to go.
create function sallyport.organization_end() returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not sallyport.is_ending() then
    return false;
  end if;
  delete from sallyport.organization o where o.id = sallyport.current_org();
  return found;
end
$$;

-- As 0026_memberships.sql says, and of organizations on their way out too, which are named as such: their owners may still take that back.
create or replace function sallyport.memberships_of(person uuid) returns jsonb
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('org', m.org_id, 'role', m.role, 'closing', o.state <> 'active',
      'sign_in', case when p.org_id is not null then jsonb_build_object('ways', p.ways, 'break_glass', p.break_glass) end) order by m.org_id), '[]'::jsonb)
  from sallyport.membership m
    join sallyport.organization o on o.id = m.org_id
    join sallyport.person who on who.id = m.person_id
    left join sallyport.sign_in_policy p on p.org_id = m.org_id
    left join sallyport.organization_setting s on s.org_id = m.org_id and s.name = 'email_domains'
  where m.person_id = person
    and (s.value is null or s.value = '[]'::jsonb or coalesce(who.email_verified and s.value ? sallyport.email_domain(who.email), false))
$$;

-- As 0003_row_security.sql says, of organizations that are active. A state is consumed in any case.
create or replace function sallyport.connect_session_lookup(hash bytea)
  returns table (org_id uuid, id uuid, expired boolean)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select c.org_id, c.id, c.expires_at <= clock_timestamp()
  from sallyport.connect_session c join sallyport.organization o on o.id = c.org_id and o.state = 'active'
  where c.link_hash = hash
$$;
create or replace function sallyport.oauth_state_consume(hash bytea)
  returns table (org_id uuid, connect_session_id uuid, context text, browser_hash bytea, verifier bytea, expired boolean)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with consumed as (
    delete from sallyport.oauth_state s where s.state_hash = hash
    returning s.org_id, s.connect_session_id, s.context, s.browser_hash, s.verifier, s.expires_at <= clock_timestamp() as expired
  )
  select c.org_id, c.connect_session_id, c.context, c.browser_hash, c.verifier, c.expired
  from consumed c join sallyport.organization o on o.id = c.org_id and o.state = 'active'
$$;

revoke execute on function
  sallyport.organization_deletion_claim(int), sallyport.is_ending(), sallyport.organization_purge(int), sallyport.organization_end() from public;
grant execute on function
  sallyport.organization_deletion_claim(int), sallyport.organization_purge(int), sallyport.organization_end() to sallyport_app;

reset role;
