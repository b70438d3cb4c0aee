-- Signed checkpoints of the audit log, and the public keys that they are signed by.
--   A checkpoint says: at this time the log of this organization ended at event `seq` with `hash`. Checkpoints of an organization are a
--   chain of their own: `previous` is the digest of the one before, so that the newest vouches for all of them, whatever key signed them.
-- The signature is over
--   'sallyport/audit-checkpoint/1' 0x00 | RFC 8785 JSON of {"at","hash","key","number","org","previous","seq"}
-- The database can't check it and needn't: whoever verifies brings the public key.
set role sallyport_audit;

-- Public halves only. The installation has one that signs; the others signed before it.
create table sallyport.audit_signing_key (
  id text primary key check (id ~ '^[0-9A-Za-z-]{8,64}$'),
  public_key bytea not null unique check (length(public_key) = 32),
  created_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz
);
create unique index audit_signing_key_one_current on sallyport.audit_signing_key ((true)) where retired_at is null;

-- No foreign key to the organization: as the events, they outlive it.
create table sallyport.audit_checkpoint (
  org_id uuid not null,
  number bigint not null check (number > 0),
  seq bigint not null check (seq > 0),
  hash bytea not null check (length(hash) = 32),
  at timestamptz not null,
  previous bytea not null check (length(previous) = 32),
  key_id text not null references sallyport.audit_signing_key (id),
  signature bytea not null check (length(signature) = 64),
  primary key (org_id, number)
);

create trigger append_only before update or delete on sallyport.audit_checkpoint for each row execute function sallyport.audit_refuse();
create trigger append_only_whole before truncate on sallyport.audit_checkpoint for each statement execute function sallyport.audit_refuse();
create trigger kept before delete on sallyport.audit_signing_key for each row execute function sallyport.audit_refuse();
create trigger kept_whole before truncate on sallyport.audit_signing_key for each statement execute function sallyport.audit_refuse();

-- What tells, without a look at the events, whether an organization is due.
alter table sallyport.audit_head
  add column checkpoint_seq bigint not null default 0,
  add column checkpoint_at timestamptz,
  add column checkpoint_key text;

-- Makes `new_id` the key that signs, unless another than `replaces` is by now (NULL: unless there is any). Answers whether it did.
create function sallyport.audit_signing_key_put(new_id text, new_public_key bytea, replaces text) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  -- One at a time: two that begin with no key at all would otherwise meet at the unique index as an error.
  lock table sallyport.audit_signing_key in share row exclusive mode;
  if (select k.id from sallyport.audit_signing_key k where k.retired_at is null) is distinct from replaces then
    return false;
  end if;
  update sallyport.audit_signing_key k set retired_at = clock_timestamp() where k.retired_at is null;
  insert into sallyport.audit_signing_key (id, public_key) values (new_id, new_public_key);
  return true;
end
$$;

-- Appends a checkpoint of this transaction's organization. Answers false, and does nothing, when another was appended meanwhile. What it
-- vouches for has to be in the log, and never lies before what was vouched for already.
create function sallyport.audit_checkpoint_put(
    its_number bigint, its_seq bigint, its_hash bytea, its_at timestamptz, its_previous bytea, its_key text, its_signature bytea)
  returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org uuid := nullif(current_setting('sallyport.org', true), '')::uuid;
  last_number bigint;
  last_seq bigint;
begin
  if org is null then
    raise exception 'no organization is set' using errcode = 'insufficient_privilege';
  end if;
  select c.number, c.seq into last_number, last_seq from sallyport.audit_checkpoint c where c.org_id = org order by c.number desc limit 1;
  if coalesce(last_number, 0) + 1 <> its_number then
    return false;
  end if;
  -- A retired key vouches for nothing any more. Held against its retirement: a node that has not heard of it signs no more after it.
  perform from sallyport.audit_signing_key k where k.id = its_key and k.retired_at is null for share;
  if not found then
    return false;
  end if;
  if its_seq < coalesce(last_seq, 0)
    or not exists (select from sallyport.audit_event e where e.org_id = org and e.seq = its_seq and e.hash = its_hash) then
    raise exception 'a checkpoint vouches for what is in the log' using errcode = 'check_violation';
  end if;
  insert into sallyport.audit_checkpoint (org_id, number, seq, hash, at, previous, key_id, signature)
    values (org, its_number, its_seq, its_hash, its_at, its_previous, its_key, its_signature)
    on conflict (org_id, number) do nothing;
  if not found then
    return false;
  end if;
  update sallyport.audit_head h set checkpoint_seq = its_seq, checkpoint_at = clock_timestamp(), checkpoint_key = its_key where h.org_id = org;
  return true;
end
$$;

alter table sallyport.audit_checkpoint enable row level security;
alter table sallyport.audit_checkpoint force row level security;
create policy own on sallyport.audit_checkpoint to sallyport_audit
  using (org_id = nullif(current_setting('sallyport.org', true), '')::uuid)
  with check (org_id = nullif(current_setting('sallyport.org', true), '')::uuid);
create policy tenant on sallyport.audit_checkpoint for select to sallyport_app
  using (org_id = nullif(current_setting('sallyport.org', true), '')::uuid);

revoke all on function sallyport.audit_signing_key_put(text, bytea, text),
  sallyport.audit_checkpoint_put(bigint, bigint, bytea, timestamptz, bytea, text, bytea) from public;
grant select on sallyport.audit_checkpoint, sallyport.audit_signing_key to sallyport_app;
grant execute on function sallyport.audit_signing_key_put(text, bytea, text),
  sallyport.audit_checkpoint_put(bigint, bigint, bytea, timestamptz, bytea, text, bytea) to sallyport_app;

-- For the list's filters. Uses of credentials are nearly all of the log: an index by action leaves them out.
create index audit_event_action on sallyport.audit_event (org_id, action, seq) where action <> 'credential.used';
create index audit_event_actor on sallyport.audit_event (org_id, actor, seq);
create index audit_event_target on sallyport.audit_event (org_id, target, seq);

-- Who is due is asked over all organizations, before any is named.
grant select (org_id, seq, checkpoint_seq, checkpoint_at, checkpoint_key) on sallyport.audit_head to sallyport_lookup;
create policy lookup on sallyport.audit_head for select to sallyport_lookup using (true);

reset role;
set role sallyport_lookup;

-- Organizations whose log goes on beyond its last checkpoint by `events` or more, or at all since `seconds` ago, or whose last one is
-- not signed by `current_key`. In order, for pages.
create function sallyport.audit_checkpoint_due(current_key text, events bigint, seconds double precision, after uuid, most int)
  returns table (org_id uuid)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  select h.org_id from sallyport.audit_head h
  where h.seq > 0 and (after is null or h.org_id > after)
    and (h.checkpoint_key is distinct from current_key
      or (h.seq > h.checkpoint_seq
        and (h.seq - h.checkpoint_seq >= events or h.checkpoint_at is null
          or h.checkpoint_at <= clock_timestamp() - make_interval(secs => seconds))))
  order by h.org_id limit least(most, 1000)
$$;
revoke execute on function sallyport.audit_checkpoint_due(text, bigint, double precision, uuid, int) from public;
grant execute on function sallyport.audit_checkpoint_due(text, bigint, double precision, uuid, int) to sallyport_app;

reset role;
