-- Organizations that people make, name, settle and share: projects that rest, members with a last owner, invitations, settings. What is known of a
-- key follows: one of a project that rests, or of an organization on its way out, is none.
set role sallyport_owner;

-- `deleting`: on its way out. Nothing of it is found by any lookup any more.
alter table sallyport.organization add column state text not null default 'active' check (state in ('active', 'deleting'));
alter table sallyport.project add column archived_at timestamptz;

-- What an organization chose. What is not here is as the gateway has it by itself; what a name may hold is the contract's (settings.ts).
create table sallyport.organization_setting (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  name text not null check (name collate "C" ~ '^[a-z][a-z0-9_]{0,62}$'),
  value jsonb not null check (pg_column_size(value) <= 65536),
  updated_by text not null check (length(updated_by) between 1 and 64),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, name)
);

-- Once a column; from now on a setting like the others.
alter table sallyport.organization no force row level security;
insert into sallyport.organization_setting (org_id, name, value, updated_by)
  select id, 'audit_use_mode', '"strict"', 'system' from sallyport.organization where audit_use_mode = 'strict';
alter table sallyport.organization force row level security;

-- An open door for one address. Of the token only its hash; `email` in small ASCII letters, so that two spellings are never two addresses.
-- It stands and falls with who made it: `invited_by` must still be allowed to give the role when it is accepted.
create table sallyport.invitation (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  email text not null check (email collate "C" ~ '^[!-?A-~]+@[!-?A-~]+$' and email = lower(email collate "C") and length(email) <= 254),
  role text not null check (role in ('OWNER', 'ADMIN', 'DEVELOPER', 'BILLING', 'VIEWER')),
  token_hash bytea not null unique check (length(token_hash) = 32),
  invited_by uuid not null references sallyport.person (id) on delete cascade,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  accepted_at timestamptz,
  accepted_by uuid references sallyport.person (id) on delete cascade,
  revoked_at timestamptz,
  primary key (org_id, id),
  constraint invitation_one_end check (num_nonnulls(accepted_at, revoked_at) <= 1 and (accepted_at is null) = (accepted_by is null))
);
create unique index invitation_open on sallyport.invitation (org_id, email) where accepted_at is null and revoked_at is null;

do $$
declare
  name text;
begin
  foreach name in array array['organization_setting', 'invitation'] loop
    execute format('alter table sallyport.%I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
    execute format('create policy lookup on sallyport.%I for select to sallyport_lookup using (true)', name);
  end loop;
end
$$;
grant select, insert, update (value, updated_by, updated_at), delete on sallyport.organization_setting to sallyport_app;
grant select, insert, update (accepted_at, accepted_by, revoked_at) on sallyport.invitation to sallyport_app;
grant delete on sallyport.membership to sallyport_app;
grant select (org_id, name, value) on sallyport.organization_setting to sallyport_lookup;
grant select (org_id, id, token_hash) on sallyport.invitation to sallyport_lookup;
grant select (id, state) on sallyport.organization to sallyport_lookup;
grant select (org_id, id, archived_at) on sallyport.project to sallyport_lookup;
create policy lookup on sallyport.project for select to sallyport_lookup using (true);

-- What was accepted or taken back stays so, and what an invitation offers never changes.
create function sallyport.keep_invitation_end() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'an invitation that is over stays so' using errcode = 'integrity_constraint_violation';
end
$$;
create trigger over_for_good before update on sallyport.invitation
  for each row when (num_nonnulls(old.accepted_at, old.revoked_at) > 0) execute function sallyport.keep_invitation_end();

-- The last word on the last owner, whatever statement took it away. Two who take one each wait for one another at the organization's row; the
-- second sees what the first did. An organization that is gone needs none.
create function sallyport.keep_an_owner() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform 1 from sallyport.organization o where o.id = old.org_id for no key update;
  if found and not exists (select from sallyport.membership m where m.org_id = old.org_id and m.role = 'OWNER') then
    raise exception 'an organization keeps an owner' using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end
$$;
create trigger an_owner_stays after update or delete on sallyport.membership
  for each row when (old.role = 'OWNER') execute function sallyport.keep_an_owner();

-- Of an organization the row and what it has settled; of a membership, whose it is.
create function sallyport.notify_organization() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  row jsonb := to_jsonb(coalesce(new, old));
  org text := coalesce(row ->> 'org_id', row ->> 'id');
  what text := case tg_table_name when 'membership' then 'membership' else 'organization' end;
begin
  perform pg_notify('sallyport_change', json_build_object('table', what, 'org', org, 'id', coalesce(row ->> 'person_id', org))::text);
  return null;
end
$$;
create trigger changed after update or delete on sallyport.organization for each row execute function sallyport.notify_organization();
create trigger changed after insert or update or delete on sallyport.organization_setting
  for each row execute function sallyport.notify_organization();
create trigger changed after insert or update or delete on sallyport.membership for each row execute function sallyport.notify_organization();
create trigger changed after update or delete on sallyport.project for each row execute function sallyport.notify_change();
revoke execute on function sallyport.keep_invitation_end(), sallyport.keep_an_owner(), sallyport.notify_organization() from public;

reset role;
set role sallyport_lookup;

-- Whose an invitation is. Everything else of it is read inside its organization.
create function sallyport.invitation_lookup(hash bytea) returns table (org_id uuid, id uuid)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select i.org_id, i.id from sallyport.invitation i join sallyport.organization o on o.id = i.org_id
  where i.token_hash = hash and o.state = 'active'
$$;

-- As 0013_binding.sql says, of organizations that are active and projects that are not archived.
create or replace function sallyport.key_lookup(wanted uuid)
  returns table (
    org_id uuid, id uuid, project_id uuid, environment text, version int, secret_hmac bytea, secret_argon2id text, scopes text[],
    connection_id uuid, expires_at timestamptz, revoked_at timestamptz, makers int, allowed_addresses jsonb, dpop_thumbprint text,
    certificate_thumbprint text, audit_use_mode text, now timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  with recursive line as (
    select k.org_id, k.maker, k.expires_at, k.revoked_at, k.allowed_addresses, 0 as above from sallyport.api_key k where k.id = wanted
    union all
    select m.org_id, m.maker, m.expires_at, m.revoked_at, m.allowed_addresses, line.above + 1
    from line join sallyport.api_key m on m.org_id = line.org_id and m.id = line.maker
    where line.above < 16
  ), standing as (
    select min(line.expires_at) as expires_at, min(line.revoked_at) as revoked_at, max(line.above) as makers,
      (array_agg(line.maker order by line.above desc))[1] is not null as broken,
      coalesce(jsonb_agg(to_jsonb(line.allowed_addresses) order by line.above) filter (where line.allowed_addresses is not null), '[]')
        as allowed_addresses
    from line
  )
  select k.org_id, k.id, k.project_id, k.environment, k.version, k.secret_hmac, k.secret_argon2id, k.scopes, k.connection_id,
    s.expires_at, coalesce(s.revoked_at, case when s.broken then k.created_at end), s.makers, s.allowed_addresses, k.dpop_thumbprint,
    k.certificate_thumbprint, coalesce(c.value #>> '{}', 'batched'), clock_timestamp()
  from sallyport.api_key k
    join sallyport.organization o on o.id = k.org_id and o.state = 'active'
    join sallyport.project p on p.org_id = k.org_id and p.id = k.project_id and p.archived_at is null
    left join sallyport.organization_setting c on c.org_id = k.org_id and c.name = 'audit_use_mode'
    cross join standing s
  where k.id = wanted
$$;

revoke execute on function sallyport.invitation_lookup(bytea) from public;
grant execute on function sallyport.invitation_lookup(bytea) to sallyport_app;

reset role;
set role sallyport_owner;
alter table sallyport.organization drop column audit_use_mode;
reset role;
