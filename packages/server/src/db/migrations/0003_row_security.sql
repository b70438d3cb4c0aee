-- The wall between tenants, and the narrow gates in it. Forced, so that the owner is behind it too.
set role sallyport_owner;

do $$
declare
  name text;
begin
  foreach name in array array[
    'project', 'membership', 'api_key', 'data_key', 'integration', 'connection', 'credential_version', 'connect_session', 'oauth_state',
    'request_record'
  ] loop
    execute format('alter table sallyport.%I enable row level security', name);
    execute format('alter table sallyport.%I force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
  end loop;
end
$$;

alter table sallyport.organization enable row level security;
alter table sallyport.organization force row level security;
create policy tenant on sallyport.organization to sallyport_app
  using (id = sallyport.current_org()) with check (id = sallyport.current_org());

-- People and sessions belong to no tenant: the app has no grant on them at all, only the functions below.
alter table sallyport.person enable row level security;
alter table sallyport.person force row level security;
alter table sallyport.console_session enable row level security;
alter table sallyport.console_session force row level security;
alter table sallyport.owner_link enable row level security;
alter table sallyport.owner_link force row level security;

grant execute on function sallyport.current_org() to sallyport_app, sallyport_lookup;
grant select, insert, update on sallyport.organization, sallyport.project, sallyport.membership, sallyport.api_key, sallyport.data_key,
  sallyport.integration, sallyport.connection, sallyport.connect_session to sallyport_app;
grant select, insert, delete on sallyport.credential_version, sallyport.oauth_state to sallyport_app;
grant select, insert on sallyport.request_record to sallyport_app;
grant delete on sallyport.connect_session, sallyport.connection to sallyport_app;
grant select, insert on sallyport.system_secret, sallyport.root_key to sallyport_app;

-- The lookup role: by table and by column, no more than its functions answer.
grant select on sallyport.api_key, sallyport.membership, sallyport.connect_session, sallyport.oauth_state, sallyport.person,
  sallyport.console_session, sallyport.owner_link to sallyport_lookup;
grant select (id, audit_use_mode) on sallyport.organization to sallyport_lookup;
grant insert on sallyport.person, sallyport.console_session, sallyport.owner_link to sallyport_lookup;
grant delete on sallyport.console_session, sallyport.owner_link, sallyport.oauth_state to sallyport_lookup;
create policy lookup on sallyport.api_key for select to sallyport_lookup using (true);
create policy lookup on sallyport.membership for select to sallyport_lookup using (true);
create policy lookup on sallyport.connect_session for select to sallyport_lookup using (true);
create policy lookup on sallyport.organization for select to sallyport_lookup using (true);
create policy lookup on sallyport.oauth_state to sallyport_lookup using (true);
create policy lookup on sallyport.person to sallyport_lookup using (true) with check (true);
create policy lookup on sallyport.console_session to sallyport_lookup using (true) with check (true);
create policy lookup on sallyport.owner_link to sallyport_lookup using (true) with check (true);

reset role;
set role sallyport_lookup;

-- Finds a key by the id in its text. The caller compares the secret; this gives nothing that would let it be guessed offline without
-- the pepper. `now` lets every node judge expiry by the database's clock.
create function sallyport.key_lookup(wanted uuid)
  returns table (
    org_id uuid, id uuid, project_id uuid, environment text, version int, secret_hmac bytea, secret_argon2id text, scopes text[],
    connection_id uuid, expires_at timestamptz, revoked_at timestamptz, audit_use_mode text, now timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select k.org_id, k.id, k.project_id, k.environment, k.version, k.secret_hmac, k.secret_argon2id, k.scopes, k.connection_id,
    k.expires_at, k.revoked_at, o.audit_use_mode, clock_timestamp()
  from sallyport.api_key k join sallyport.organization o on o.id = k.org_id
  where k.id = wanted
$$;

create function sallyport.person_upsert(new_id uuid, its_issuer text, its_subject text, its_name text) returns uuid
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  found_id uuid;
begin
  insert into sallyport.person (id, issuer, subject, name) values (new_id, its_issuer, its_subject, its_name)
    on conflict (issuer, subject) do nothing;
  select p.id into found_id from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject;
  return found_id;
end
$$;

create function sallyport.owner_link_put(hash bytea, person uuid, ttl_seconds int) returns void
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  delete from sallyport.owner_link where expires_at < clock_timestamp();
  insert into sallyport.owner_link (token_hash, person_id, expires_at)
    values (hash, person, clock_timestamp() + make_interval(secs => least(ttl_seconds, 86400)))
$$;

-- Trades a one-time link for a session in one statement: of two that present the same link, one gets a session.
create function sallyport.session_open(link_hash bytea, session_hash bytea, ttl_seconds int)
  returns table (person_id uuid, name text, expires_at timestamptz)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with link as (
    delete from sallyport.owner_link l where l.token_hash = link_hash returning l.person_id, l.expires_at
  ), opened as (
    insert into sallyport.console_session (token_hash, person_id, expires_at)
      select session_hash, link.person_id, clock_timestamp() + make_interval(secs => least(ttl_seconds, 86400))
      from link where link.expires_at > clock_timestamp()
      returning person_id, expires_at
  )
  select opened.person_id, p.name, opened.expires_at from opened join sallyport.person p on p.id = opened.person_id
$$;

create function sallyport.session_lookup(session_hash bytea)
  returns table (person_id uuid, name text, expires_at timestamptz, now timestamptz, memberships jsonb)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select s.person_id, p.name, s.expires_at, clock_timestamp(),
    coalesce((select jsonb_agg(jsonb_build_object('org', m.org_id, 'role', m.role) order by m.org_id)
              from sallyport.membership m where m.person_id = s.person_id), '[]'::jsonb)
  from sallyport.console_session s join sallyport.person p on p.id = s.person_id
  where s.token_hash = session_hash and s.expires_at > clock_timestamp()
$$;

create function sallyport.session_close(session_hash bytea) returns boolean
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with gone as (delete from sallyport.console_session s where s.token_hash = session_hash or s.expires_at < clock_timestamp()
    returning s.token_hash)
  select exists (select 1 from gone where gone.token_hash = session_hash)
$$;

-- The hosted page knows only the link's token.
create function sallyport.connect_session_lookup(hash bytea)
  returns table (org_id uuid, id uuid, expired boolean)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select c.org_id, c.id, c.expires_at <= clock_timestamp() from sallyport.connect_session c where c.link_hash = hash
$$;

-- Consumes a state whatever else is wrong with the callback: it is never good for a second try.
create function sallyport.oauth_state_consume(hash bytea)
  returns table (org_id uuid, connect_session_id uuid, context text, browser_hash bytea, verifier bytea, expired boolean)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  delete from sallyport.oauth_state s where s.state_hash = hash
  returning s.org_id, s.connect_session_id, s.context, s.browser_hash, s.verifier, s.expires_at <= clock_timestamp()
$$;

revoke execute on function
  sallyport.key_lookup(uuid), sallyport.person_upsert(uuid, text, text, text), sallyport.owner_link_put(bytea, uuid, int),
  sallyport.session_open(bytea, bytea, int), sallyport.session_lookup(bytea), sallyport.session_close(bytea),
  sallyport.connect_session_lookup(bytea), sallyport.oauth_state_consume(bytea)
  from public;
grant execute on function
  sallyport.key_lookup(uuid), sallyport.person_upsert(uuid, text, text, text), sallyport.owner_link_put(bytea, uuid, int),
  sallyport.session_open(bytea, bytea, int), sallyport.session_lookup(bytea), sallyport.session_close(bytea),
  sallyport.connect_session_lookup(bytea), sallyport.oauth_state_consume(bytea)
  to sallyport_app;

reset role;
set role sallyport_owner;
revoke execute on function sallyport.current_org() from public;

-- What another node may have cached is dropped when it changes. The payload names the row, never its content.
create function sallyport.notify_change() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  row record := coalesce(new, old);
begin
  perform pg_notify('sallyport_change', json_build_object('table', tg_table_name, 'org', row.org_id, 'id', row.id)::text);
  return null;
end
$$;
create trigger changed after update or delete on sallyport.api_key for each row execute function sallyport.notify_change();
create trigger changed after update or delete on sallyport.connection for each row execute function sallyport.notify_change();
create trigger changed after insert or update or delete on sallyport.integration for each row execute function sallyport.notify_change();
create trigger changed after insert or update or delete on sallyport.data_key for each row execute function sallyport.notify_change();

create function sallyport.refuse_change() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'rows of % are never changed', tg_table_name using errcode = 'integrity_constraint_violation';
end
$$;
create trigger insert_only before update on sallyport.credential_version for each row execute function sallyport.refuse_change();

revoke execute on function sallyport.notify_change(), sallyport.refuse_change() from public;

reset role;
