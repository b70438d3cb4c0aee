-- The audit log: one hash chain per organization, appended to by one function, changed by nobody.
--   hash = SHA-256( 'sallyport/audit/1' 0x00 | prev_hash (32 bytes) | canonical event )
-- The canonical event is the RFC 8785 form of
--   {"action","actor","at","detail","org","seq","target"}   (members already in their canonical order)
-- with `at` as 'YYYY-MM-DDTHH:MM:SS.ssssssZ', `seq` as a decimal string, and `detail` as the canonical text given by the caller, which
-- must be a JSON object. The organization, the sequence, the time and both hashes are set here; a caller can choose none of them.
set role sallyport_audit;

create table sallyport.audit_head (
  org_id uuid primary key,
  seq bigint not null,
  hash bytea not null check (length(hash) = 32)
);

-- No foreign key to the organization: its log outlives it.
create table sallyport.audit_event (
  org_id uuid not null,
  seq bigint not null check (seq > 0),
  at timestamptz not null,
  action text not null,
  actor text not null,
  target text not null,
  detail text not null,
  prev_hash bytea not null check (length(prev_hash) = 32),
  hash bytea not null check (length(hash) = 32),
  primary key (org_id, seq)
);

create function sallyport.audit_refuse() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete on sallyport.audit_event for each row execute function sallyport.audit_refuse();
create trigger append_only_whole before truncate on sallyport.audit_event for each statement execute function sallyport.audit_refuse();
create trigger kept before delete on sallyport.audit_head for each row execute function sallyport.audit_refuse();
create trigger kept_whole before truncate on sallyport.audit_head for each statement execute function sallyport.audit_refuse();

-- Appends `events` (a JSON array of {action, actor, target, detail}; detail is canonical JSON text) in order, for the organization of
-- this transaction. The head row's lock orders concurrent appends of one organization; others do not wait. Answers the new head: by it
-- a caller who lost the answer to its COMMIT finds out whether it happened.
create function sallyport.audit_append(events jsonb) returns table (head_seq bigint, head_hash bytea)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org uuid := nullif(current_setting('sallyport.org', true), '')::uuid;
  head sallyport.audit_head;
  event jsonb;
  moment timestamptz;
  next_hash bytea;
  canonical text;
begin
  if org is null then
    raise exception 'no organization is set' using errcode = 'insufficient_privilege';
  end if;
  insert into sallyport.audit_head (org_id, seq, hash) values (org, 0, decode(repeat('00', 32), 'hex')) on conflict (org_id) do nothing;
  select h.* into strict head from sallyport.audit_head h where h.org_id = org for update;
  for event in select value from jsonb_array_elements(events) loop
    if jsonb_typeof((event ->> 'detail')::jsonb) is distinct from 'object' then
      raise exception 'detail must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    moment := clock_timestamp();
    canonical := '{"action":' || to_json(event ->> 'action')::text || ',"actor":' || to_json(event ->> 'actor')::text
      || ',"at":"' || to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
      || ',"detail":' || (event ->> 'detail') || ',"org":"' || org::text || '","seq":"' || (head.seq + 1)::text || '"'
      || ',"target":' || to_json(event ->> 'target')::text || '}';
    next_hash := sha256(convert_to('sallyport/audit/1', 'UTF8') || '\x00'::bytea || head.hash || convert_to(canonical, 'UTF8'));
    insert into sallyport.audit_event (org_id, seq, at, action, actor, target, detail, prev_hash, hash)
      values (org, head.seq + 1, moment, event ->> 'action', event ->> 'actor', event ->> 'target', event ->> 'detail', head.hash, next_hash);
    head.seq := head.seq + 1;
    head.hash := next_hash;
  end loop;
  update sallyport.audit_head h set seq = head.seq, hash = head.hash where h.org_id = org;
  return query select head.seq, head.hash;
end
$$;

alter table sallyport.audit_event enable row level security;
alter table sallyport.audit_event force row level security;
alter table sallyport.audit_head enable row level security;
alter table sallyport.audit_head force row level security;
create policy own on sallyport.audit_event to sallyport_audit
  using (org_id = nullif(current_setting('sallyport.org', true), '')::uuid)
  with check (org_id = nullif(current_setting('sallyport.org', true), '')::uuid);
create policy own on sallyport.audit_head to sallyport_audit
  using (org_id = nullif(current_setting('sallyport.org', true), '')::uuid)
  with check (org_id = nullif(current_setting('sallyport.org', true), '')::uuid);
create policy tenant on sallyport.audit_event for select to sallyport_app
  using (org_id = nullif(current_setting('sallyport.org', true), '')::uuid);
create policy tenant on sallyport.audit_head for select to sallyport_app
  using (org_id = nullif(current_setting('sallyport.org', true), '')::uuid);

revoke all on function sallyport.audit_append(jsonb), sallyport.audit_refuse() from public;
grant select on sallyport.audit_event, sallyport.audit_head to sallyport_app;
grant execute on function sallyport.audit_append(jsonb) to sallyport_app;

reset role;
