-- People by the tokens of outside issuers: what an issuer says of a person, how each session was signed in, which ways an organization takes, and
-- sign-ins that have ended before their tokens do.
set role sallyport_owner;

alter table sallyport.person
  -- An attribute, never an identity: (issuer, subject) is. In lower case; believed only where `email_verified`.
  add column email text check (length(email) between 3 and 320),
  add column email_verified boolean not null default false,
  -- Tokens that were issued before are refused. Null: none is.
  add column tokens_from timestamptz,
  add constraint person_email_known check (email is not null or not email_verified);

-- The session's own way of signing in, as its token said, not what else its person could have used.
alter table sallyport.console_session
  add column issuer text not null default 'local',
  -- amr of the token (RFC 8176 and Supabase's names).
  add column methods text[] not null default '{}',
  add column assurance text not null default 'aal1' check (assurance in ('aal1', 'aal2')),
  -- The identity provider behind the issuer, where this very sign-in is proven to have gone through it.
  add column provider text,
  -- SHA-256 over the issuer and its name of the session; null: it has none.
  add column issuer_session bytea check (length(issuer_session) = 32);
create index console_session_issuer on sallyport.console_session (issuer_session) where issuer_session is not null;
create index console_session_person on sallyport.console_session (person_id);

-- Sessions at issuers that are known to be over, for as long as one of their tokens could come. The hash is all that is kept.
create table sallyport.ended_sign_in (
  issuer_session bytea primary key check (length(issuer_session) = 32),
  expires_at timestamptz not null
);
create index ended_sign_in_expiry on sallyport.ended_sign_in (expires_at);
alter table sallyport.ended_sign_in enable row level security;
alter table sallyport.ended_sign_in force row level security;

-- How the people of an organization must have signed in. No row: in any way.
create table sallyport.sign_in_policy (
  org_id uuid primary key references sallyport.organization (id) on delete cascade,
  -- [{"issuer": text, "provider": text or null}], any one of which is enough.
  ways jsonb not null check (jsonb_typeof(ways) = 'array' and jsonb_array_length(ways) between 1 and 20),
  -- Whether an owner may come in another way with a second factor.
  break_glass boolean not null default false,
  updated_at timestamptz not null default now()
);
alter table sallyport.sign_in_policy enable row level security;
alter table sallyport.sign_in_policy force row level security;
create policy tenant on sallyport.sign_in_policy to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, update, delete on sallyport.sign_in_policy to sallyport_app;

grant select on sallyport.sign_in_policy to sallyport_lookup;
create policy lookup on sallyport.sign_in_policy for select to sallyport_lookup using (true);
grant select, insert, update, delete on sallyport.ended_sign_in to sallyport_lookup;
create policy lookup on sallyport.ended_sign_in to sallyport_lookup using (true) with check (true);
grant update (name, email, email_verified, tokens_from) on sallyport.person to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Where a person belongs, as what, and how each of those organizations wants its people to sign in. For the functions below alone.
create function sallyport.memberships_of(person uuid) returns jsonb
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('org', m.org_id, 'role', m.role,
      'sign_in', case when p.org_id is not null then jsonb_build_object('ways', p.ways, 'break_glass', p.break_glass) end) order by m.org_id), '[]'::jsonb)
  from sallyport.membership m left join sallyport.sign_in_policy p on p.org_id = m.org_id
  where m.person_id = person
$$;

drop function sallyport.session_open(bytea, bytea, int);
drop function sallyport.session_lookup(bytea);

-- As 0003_row_security.sql says. Who has the link was let at the terminal of the installation, above which it knows nothing.
create function sallyport.session_open(link_hash bytea, session_hash bytea, ttl_seconds int)
  returns table (person_id uuid, name text, expires_at timestamptz)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with link as (
    delete from sallyport.owner_link l where l.token_hash = link_hash returning l.person_id, l.expires_at
  ), opened as (
    insert into sallyport.console_session (token_hash, person_id, expires_at, issuer, methods, assurance)
      select session_hash, link.person_id, clock_timestamp() + make_interval(secs => least(ttl_seconds, 86400)), 'local', '{link}', 'aal2'
      from link where link.expires_at > clock_timestamp()
      returning person_id, expires_at
  )
  select opened.person_id, p.name, opened.expires_at from opened join sallyport.person p on p.id = opened.person_id
$$;

create function sallyport.session_lookup(session_hash bytea)
  returns table (
    person_id uuid, name text, email text, expires_at timestamptz, now timestamptz, issuer text, methods text[], assurance text,
    provider text, issuer_session bytea, memberships jsonb)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select s.person_id, p.name, case when p.email_verified then p.email end, s.expires_at, clock_timestamp(), s.issuer, s.methods, s.assurance,
    s.provider, s.issuer_session, sallyport.memberships_of(s.person_id)
  from sallyport.console_session s join sallyport.person p on p.id = s.person_id
  where s.token_hash = session_hash and s.expires_at > clock_timestamp()
$$;

-- The person behind a token that was verified, made when unknown: being known gives access to nothing. What the issuer says now replaces what it
-- said before. `ended`: the token's session, or every token of its age, is over.
create function sallyport.person_sign_in(
    new_id uuid, its_issuer text, its_subject text, its_name text, its_email text, is_verified boolean, session bytea, issued timestamptz)
  returns table (person_id uuid, name text, email text, ended boolean, now timestamptz, memberships jsonb)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  found_one sallyport.person%rowtype;
begin
  insert into sallyport.person (id, issuer, subject, name, email, email_verified)
    values (new_id, its_issuer, its_subject, its_name, its_email, is_verified)
    on conflict (issuer, subject) do nothing;
  select * into found_one from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject;
  if (found_one.name, found_one.email, found_one.email_verified) is distinct from (its_name, its_email, is_verified) then
    update sallyport.person p set name = its_name, email = its_email, email_verified = is_verified where p.id = found_one.id;
  end if;
  return query select found_one.id, its_name, case when is_verified then its_email end,
    coalesce(issued < found_one.tokens_from, false) or exists (select from sallyport.ended_sign_in e where e.issuer_session = session),
    clock_timestamp(), sallyport.memberships_of(found_one.id);
end
$$;

-- What a person is where at this moment, for one that was let in by a token.
create function sallyport.person_standing(person uuid, session bytea)
  returns table (person_id uuid, name text, email text, ended boolean, now timestamptz, memberships jsonb)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select p.id, p.name, case when p.email_verified then p.email end,
    exists (select from sallyport.ended_sign_in e where e.issuer_session = session), clock_timestamp(), sallyport.memberships_of(p.id)
  from sallyport.person p where p.id = person
$$;

-- A session of the console for a token that was verified. No row when the token's own session is over.
create function sallyport.session_open_as(
    person uuid, session_hash bytea, ttl_seconds int, its_issuer text, its_methods text[], its_assurance text, its_provider text, session bytea)
  returns table (person_id uuid, name text, expires_at timestamptz)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with opened as (
    insert into sallyport.console_session (token_hash, person_id, expires_at, issuer, methods, assurance, provider, issuer_session)
      select session_hash, person, clock_timestamp() + make_interval(secs => least(ttl_seconds, 86400)), its_issuer, its_methods, its_assurance,
        its_provider, session
      where not exists (select from sallyport.ended_sign_in e where e.issuer_session = session)
      returning person_id, expires_at
  )
  select opened.person_id, p.name, opened.expires_at from opened join sallyport.person p on p.id = opened.person_id
$$;

-- Ends a session at an issuer, here: its console sessions are gone, and its tokens are refused for `life_s` (400 days at most). True when it was new.
create function sallyport.sign_in_end(session bytea, life_s int) returns boolean
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
  return fresh;
end
$$;

-- The same for every session of a person at its issuer that began before now.
create function sallyport.person_sign_out(its_issuer text, its_subject text) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  found_id uuid;
begin
  update sallyport.person p set tokens_from = clock_timestamp() where p.issuer = its_issuer and p.subject = its_subject returning p.id into found_id;
  delete from sallyport.console_session s where s.person_id = found_id and s.issuer = its_issuer;
  return found_id is not null;
end
$$;

revoke execute on function
  sallyport.memberships_of(uuid), sallyport.session_open(bytea, bytea, int), sallyport.session_lookup(bytea),
  sallyport.person_sign_in(uuid, text, text, text, text, boolean, bytea, timestamptz), sallyport.person_standing(uuid, bytea),
  sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea), sallyport.sign_in_end(bytea, int),
  sallyport.person_sign_out(text, text)
  from public;
grant execute on function
  sallyport.session_open(bytea, bytea, int), sallyport.session_lookup(bytea),
  sallyport.person_sign_in(uuid, text, text, text, text, boolean, bytea, timestamptz), sallyport.person_standing(uuid, bytea),
  sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea), sallyport.sign_in_end(bytea, int),
  sallyport.person_sign_out(text, text)
  to sallyport_app;

reset role;
