-- A sign-in and a sign-out of the same moment take turns: whichever commits last sees the other. Before, a session that was being opened while its issuer
-- ended it was seen by nobody, and stayed for its whole life.
set role sallyport_lookup;

drop function sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea, timestamptz);

-- Held to the end of the transaction by whoever opens sessions of one session at an issuer (many at once), and by whoever ends it (alone).
create function sallyport.sign_in_turn(session bytea, alone boolean) returns void
  language plpgsql volatile
  set search_path = pg_catalog, pg_temp
as $$
declare
  lane bigint := hashtextextended('sallyport/sign-in/' || encode(session, 'hex'), 0);
begin
  if alone then
    perform pg_advisory_xact_lock(lane);
  else
    perform pg_advisory_xact_lock_shared(lane);
  end if;
end
$$;

-- As 0034_sign_ins_and_clients.sql says. No row either when every token of this one's age is over. Each statement has a snapshot of its own: what is
-- asked after a lock sees what those before committed. Everybody locks in this order: the person, then the session at the issuer.
create function sallyport.session_open_as(
    person uuid, session_hash bytea, ttl_seconds int, its_issuer text, its_methods text[], its_assurance text, its_provider text, session bytea,
    authenticated timestamptz, issued timestamptz)
  returns table (person_id uuid, name text, expires_at timestamptz)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  whom sallyport.person%rowtype;
begin
  select * into whom from sallyport.person p where p.id = person for share;
  if not found or coalesce(issued < whom.tokens_from, false) then
    return;
  end if;
  if session is not null then
    perform sallyport.sign_in_turn(session, false);
  end if;
  return query
    insert into sallyport.console_session as s
        (token_hash, person_id, expires_at, issuer, methods, assurance, provider, issuer_session, authenticated_at)
      select session_hash, whom.id, clock_timestamp() + make_interval(secs => least(ttl_seconds, 86400)), its_issuer, its_methods, its_assurance,
        its_provider, session, least(authenticated, clock_timestamp())
      where not exists (select from sallyport.ended_sign_in e where e.issuer_session = session)
      returning s.person_id, whom.name, s.expires_at;
end
$$;

-- As 0034_sign_ins_and_clients.sql says, in its turn.
create or replace function sallyport.sign_in_end(session bytea, life_s int) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  fresh boolean;
begin
  perform sallyport.sign_in_turn(session, true);
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

-- As 0035_organizations_once.sql says. The person is locked before their sessions are looked for.
create or replace function sallyport.sign_in_logout(
    logout bytea, keep_s int, session bytea, life_s int, new_id uuid, its_issuer text, its_subject text)
  returns uuid[]
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  people uuid[];
  named uuid;
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
  select p.id into named from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject for no key update;
  perform sallyport.sign_in_turn(session, true);
  people := array(
    select s.person_id from sallyport.console_session s where s.issuer_session = session
    union
    select p.id from sallyport.person p where p.id = named);
  delete from sallyport.console_session s where s.person_id = named and s.issuer = its_issuer and s.issuer_session is null;
  if found then
    perform sallyport.tell_sign_out('person', named);
  end if;
  perform sallyport.sign_in_end(session, life_s);
  return people;
end
$$;

revoke execute on function
  sallyport.sign_in_turn(bytea, boolean),
  sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea, timestamptz, timestamptz)
  from public;
grant execute on function
  sallyport.session_open_as(uuid, bytea, int, text, text[], text, text, bytea, timestamptz, timestamptz)
  to sallyport_app;

reset role;
