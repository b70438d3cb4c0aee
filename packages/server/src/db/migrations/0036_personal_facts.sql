-- What an audit event says of a person is sealed before it is hashed, under a key of whom it is about. The chain hashes what is sealed: without that
-- key nobody reads it any more, and the chain verifies as before.
set role sallyport_owner;

-- `subject`: whom the facts are about, by the outside id that the log knows them by. Forgetting somebody deletes the row.
create table sallyport.audit_subject_key (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  subject text not null check (length(subject) between 1 and 255),
  sealed bytea not null,
  sealed_under uuid generated always as (sallyport.envelope_data_key(sealed)) stored,
  created_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  unique (org_id, subject),
  foreign key (org_id, sealed_under) references sallyport.data_key (org_id, id) deferrable initially deferred
);
create index audit_subject_key_under on sallyport.audit_subject_key (org_id, sealed_under, id);
create trigger insert_only before update on sallyport.audit_subject_key
  for each row execute function sallyport.refuse_all_but_reseal();
alter table sallyport.audit_subject_key enable row level security, force row level security;
create policy tenant on sallyport.audit_subject_key to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, update (sealed), delete on sallyport.audit_subject_key to sallyport_app;

reset role;
set role sallyport_audit;

-- Form 1: without personal facts, as every event was. Form 2 has them, sealed, in base64url:
--   hash = SHA-256( 'sallyport/audit/2' 0x00 | prev_hash (32 bytes) | canonical event )
-- whose members are {"action","actor","at","detail","org","personal","seq","target"}.
alter table sallyport.audit_event
  add column form smallint not null default 1,
  add column personal text collate "C",
  -- Not looked up in the rows that are there, which have the defaults: a long log would hold every append up.
  add constraint audit_event_form check (form = case when personal is null then 1 else 2 end) not valid,
  add constraint audit_event_personal check (personal ~ '^[A-Za-z0-9_-]+$' and length(personal) <= 16384) not valid;

create or replace function sallyport.audit_append(events jsonb) returns table (head_seq bigint, head_hash bytea)
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
  its_personal text;
  its_form smallint;
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
    its_personal := event ->> 'personal';
    its_form := case when its_personal is null then 1 else 2 end;
    canonical := '{"action":' || to_json(event ->> 'action')::text || ',"actor":' || to_json(event ->> 'actor')::text
      || ',"at":"' || to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
      || ',"detail":' || (event ->> 'detail') || ',"org":"' || org::text || '"'
      || case when its_personal is null then '' else ',"personal":"' || its_personal || '"' end
      || ',"seq":"' || (head.seq + 1)::text || '"'
      || ',"target":' || to_json(event ->> 'target')::text || '}';
    next_hash := sha256(convert_to('sallyport/audit/' || its_form::text, 'UTF8') || '\x00'::bytea || head.hash || convert_to(canonical, 'UTF8'));
    insert into sallyport.audit_event (org_id, seq, at, action, actor, target, detail, form, personal, prev_hash, hash)
      values (org, head.seq + 1, moment, event ->> 'action', event ->> 'actor', event ->> 'target', event ->> 'detail',
        its_form, its_personal, head.hash, next_hash);
    head.seq := head.seq + 1;
    head.hash := next_hash;
  end loop;
  update sallyport.audit_head h set seq = head.seq, hash = head.hash where h.org_id = org;
  return query select head.seq, head.hash;
end
$$;

reset role;
