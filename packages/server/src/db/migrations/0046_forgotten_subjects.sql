-- Whoever is forgotten stays so for what was known of them by then: facts that waited for the log, here or on another node, are not sealed anew under the
-- next key of the same subject.
set role sallyport_owner;

-- `subject` is an outside id, as in audit_subject_key. A row is gone a day after: no fact waits that long (audit/use-log.ts).
create table sallyport.audit_subject_forgotten (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  subject text not null check (length(subject) between 1 and 255),
  forgotten_at timestamptz not null default clock_timestamp(),
  primary key (org_id, subject)
);
create index audit_subject_forgotten_age on sallyport.audit_subject_forgotten (org_id, forgotten_at);
alter table sallyport.audit_subject_forgotten enable row level security, force row level security;
create policy tenant on sallyport.audit_subject_forgotten to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, update (forgotten_at), delete on sallyport.audit_subject_forgotten to sallyport_app;

reset role;
