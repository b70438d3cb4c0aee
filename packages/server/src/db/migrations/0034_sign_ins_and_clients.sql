-- Sign-ins know when they were made, since what can't be undone asks for a recent one; issuers end them here (OpenID Connect Back-Channel Logout 1.0),
-- and word of that goes out. And a client at a provider can be taken out again.
set role sallyport_owner;

-- When the person proved who they are, as the issuer said; not when the token was made or the session opened.
alter table sallyport.console_session add column authenticated_at timestamptz not null default clock_timestamp();
alter table sallyport.console_session no force row level security;
update sallyport.console_session set authenticated_at = created_at;
alter table sallyport.console_session force row level security;

-- Logout tokens that were carried out, for as long as they could come again. Over the issuer and its name of the token; the hash is all that is kept.
create table sallyport.logout_token (
  token_hash bytea primary key check (length(token_hash) = 32),
  expires_at timestamptz not null
);
create index logout_token_expiry on sallyport.logout_token (expires_at);
alter table sallyport.logout_token enable row level security, force row level security;
create policy lookup on sallyport.logout_token to sallyport_lookup using (true) with check (true);
grant select, insert, delete on sallyport.logout_token to sallyport_lookup;

-- Whoever takes an integration out must have ended its connections, and its provider must know of it: without the client nobody could tell it.
alter table sallyport.revocation
  drop constraint revocation_org_id_integration_id_fkey,
  add foreign key (org_id, integration_id) references sallyport.integration (org_id, id) on delete cascade;
create policy unneeded on sallyport.integration as restrictive for delete to sallyport_app using (
  not exists (select from sallyport.connection c where c.org_id = integration.org_id and c.integration_id = integration.id and c.status <> 'revoked')
  and not exists (select from sallyport.revocation r where r.org_id = integration.org_id and r.integration_id = integration.id and r.state = 'waiting'));
grant delete on sallyport.integration to sallyport_app;

reset role;
set role sallyport_lookup;

drop function sallyport.session_lookup(bytea);
drop function sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea);

-- As 0020_people.sql says, with when the person signed in.
create function sallyport.session_lookup(session_hash bytea)
  returns table (
    person_id uuid, name text, email text, expires_at timestamptz, now timestamptz, issuer text, methods text[], assurance text,
    provider text, issuer_session bytea, authenticated_at timestamptz, memberships jsonb)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select s.person_id, p.name, case when p.email_verified then p.email end, s.expires_at, clock_timestamp(), s.issuer, s.methods, s.assurance,
    s.provider, s.issuer_session, s.authenticated_at, sallyport.memberships_of(s.person_id)
  from sallyport.console_session s join sallyport.person p on p.id = s.person_id
  where s.token_hash = session_hash and s.expires_at > clock_timestamp()
$$;

create function sallyport.session_open_as(
    person uuid, session_hash bytea, ttl_seconds int, its_issuer text, its_methods text[], its_assurance text, its_provider text, session bytea,
    authenticated timestamptz)
  returns table (person_id uuid, name text, expires_at timestamptz)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with opened as (
    insert into sallyport.console_session
        (token_hash, person_id, expires_at, issuer, methods, assurance, provider, issuer_session, authenticated_at)
      select session_hash, person, clock_timestamp() + make_interval(secs => least(ttl_seconds, 86400)), its_issuer, its_methods, its_assurance,
        its_provider, session, least(authenticated, clock_timestamp())
      where not exists (select from sallyport.ended_sign_in e where e.issuer_session = session)
      returning person_id, expires_at
  )
  select opened.person_id, p.name, opened.expires_at from opened join sallyport.person p on p.id = opened.person_id
$$;

-- Word of an end, to nodes that remember whom it concerns. `sign_in`: the first half of the hash that names the session at its issuer.
create function sallyport.tell_sign_out(what text, whom uuid) returns void
  language sql volatile
  set search_path = pg_catalog, pg_temp
as $$
  select pg_notify('sallyport_change',
    json_build_object('table', what, 'org', '00000000-0000-0000-0000-000000000000', 'id', whom)::text)
$$;

-- As 0020_people.sql says, and others hear of it.
create or replace function sallyport.sign_in_end(session bytea, life_s int) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  fresh boolean;
begin
  delete from sallyport.ended_sign_in e where e.issuer_session in (
    select o.issuer_session from sallyport.ended_sign_in o where o.expires_at < clock_timestamp() limit 1000);
  insert into sallyport.ended_sign_in (issuer_session, expires_at)
    values (session, clock_timestamp() + make_interval(secs => least(greatest(life_s, 1), 34560000)))
    on conflict (issuer_session) do nothing;
  fresh := found;
  delete from sallyport.console_session s where s.issuer_session = session;
  perform sallyport.tell_sign_out('sign_in', encode(substr(session, 1, 16), 'hex')::uuid);
  return fresh;
end
$$;
create or replace function sallyport.person_sign_out(its_issuer text, its_subject text) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  found_id uuid;
begin
  update sallyport.person p set tokens_from = clock_timestamp() where p.issuer = its_issuer and p.subject = its_subject returning p.id into found_id;
  delete from sallyport.console_session s where s.person_id = found_id and s.issuer = its_issuer;
  if found_id is not null then
    perform sallyport.tell_sign_out('person', found_id);
  end if;
  return found_id is not null;
end
$$;

-- Carries out a logout token, once: that it was and what it ended are one commit. With `session`, that one session at the issuer; without, every one of
-- the subject, made known under `new_id` when unknown, so that its older tokens open nothing here later either. `people`: whom it concerned, as far as
-- they are known here; null when it was carried out before.
create function sallyport.sign_in_logout(
    logout bytea, keep_s int, session bytea, life_s int, new_id uuid, its_issuer text, its_subject text)
  returns uuid[]
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  people uuid[];
begin
  delete from sallyport.logout_token l where l.token_hash in (
    select o.token_hash from sallyport.logout_token o where o.expires_at < clock_timestamp() limit 1000);
  insert into sallyport.logout_token (token_hash, expires_at)
    values (logout, clock_timestamp() + make_interval(secs => least(greatest(keep_s, 1), 86400)))
    on conflict (token_hash) do nothing;
  if not found then
    return null;
  end if;
  if session is null then
    insert into sallyport.person (id, issuer, subject, name) values (new_id, its_issuer, its_subject, left(its_subject, 120))
      on conflict (issuer, subject) do nothing;
    perform sallyport.person_sign_out(its_issuer, its_subject);
    return array(select p.id from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject);
  end if;
  people := array(
    select s.person_id from sallyport.console_session s where s.issuer_session = session
    union
    select p.id from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject);
  perform sallyport.sign_in_end(session, life_s);
  return people;
end
$$;

revoke execute on function
  sallyport.session_lookup(bytea), sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea, timestamptz),
  sallyport.tell_sign_out(text, uuid), sallyport.sign_in_logout(bytea, int, bytea, int, uuid, text, text)
  from public;
grant execute on function
  sallyport.session_lookup(bytea), sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea, timestamptz),
  sallyport.sign_in_logout(bytea, int, bytea, int, uuid, text, text)
  to sallyport_app;

reset role;
