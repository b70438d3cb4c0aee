-- Organizations that are asked for twice are made once, and nobody owns more of them than the installation says. And word of an issuer reaches console
-- sessions that name no session at it.
set role sallyport_owner;

-- What was made under an `Idempotency-Key` by a person, who is in no organization then. Neither the key nor the request is kept, only keyed hashes of
-- both. No foreign key: that it was made stays true when it is gone.
create table sallyport.organization_creation (
  key_hash bytea primary key check (length(key_hash) = 32),
  request_hash bytea not null check (length(request_hash) = 32),
  org_id uuid not null,
  -- Of the same moment as the organization, with which it is committed.
  made_at timestamptz not null default now()
);
create index organization_creation_age on sallyport.organization_creation (made_at);
alter table sallyport.organization_creation enable row level security, force row level security;
create policy lookup on sallyport.organization_creation to sallyport_lookup using (true) with check (true);
grant select, insert, delete on sallyport.organization_creation to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- What is made under this key within 24 hours: what was, or `org`, which is this transaction's to make. Whoever asks under the same key at the same moment
-- waits here until the other has made it, or has not.
create function sallyport.organization_creation_once(its_key bytea, its_request bytea, org uuid)
  returns table (request_hash bytea, org_id uuid, made_at timestamptz)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  delete from sallyport.organization_creation c where c.key_hash = its_key and c.made_at < clock_timestamp() - interval '24 hours';
  insert into sallyport.organization_creation (key_hash, request_hash, org_id) values (its_key, its_request, org) on conflict (key_hash) do nothing;
  return query select c.request_hash, c.org_id, c.made_at from sallyport.organization_creation c where c.key_hash = its_key;
end
$$;

-- As 0028_idempotency.sql says, of both kinds.
create or replace function sallyport.idempotency_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  batch int := least(greatest(most, 1), 10000);
  swept bigint;
  also bigint;
begin
  delete from sallyport.idempotent_creation c where (c.org_id, c.key_hash) in (
    select o.org_id, o.key_hash from sallyport.idempotent_creation o where o.begun_at < clock_timestamp() - interval '24 hours' limit batch);
  get diagnostics swept = row_count;
  delete from sallyport.organization_creation c where c.key_hash in (
    select o.key_hash from sallyport.organization_creation o where o.made_at < clock_timestamp() - interval '24 hours' limit batch);
  get diagnostics also = row_count;
  return swept + also;
end
$$;

-- How many organizations a person owns, those on their way out too. Exact until the transaction ends: whoever else counts the same person's waits.
create function sallyport.organizations_owned(person uuid) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('sallyport/organizations-owned/' || person::text, 0));
  return (select count(*) from sallyport.membership m where m.person_id = person and m.role = 'OWNER');
end
$$;

-- As 0034_sign_ins_and_clients.sql says. A session that was opened by a token that named none could be the one that has ended.
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
  people := array(
    select s.person_id from sallyport.console_session s where s.issuer_session = session
    union
    select p.id from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject);
  select p.id into named from sallyport.person p where p.issuer = its_issuer and p.subject = its_subject;
  delete from sallyport.console_session s where s.person_id = named and s.issuer = its_issuer and s.issuer_session is null;
  if found then
    perform sallyport.tell_sign_out('person', named);
  end if;
  perform sallyport.sign_in_end(session, life_s);
  return people;
end
$$;

revoke execute on function
  sallyport.organization_creation_once(bytea, bytea, uuid), sallyport.organizations_owned(uuid)
  from public;
grant execute on function
  sallyport.organization_creation_once(bytea, bytea, uuid), sallyport.organizations_owned(uuid)
  to sallyport_app;

reset role;
