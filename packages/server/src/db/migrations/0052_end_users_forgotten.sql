-- An end user who is forgotten stays so for calls that were under way by then: what they used, and what is kept of them, is written later, here or on
-- another node. And lists of what calls used are read from an index also where they are one key's, model's or end user's.
set role sallyport_owner;

-- A row is gone two days after: nothing waits that long with a name on it (db/queries/forgotten-end-user.ts).
create table sallyport.end_user_forgotten (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  end_user_id text not null check (length(end_user_id) between 1 and 255),
  forgotten_at timestamptz not null default clock_timestamp(),
  primary key (org_id, project_id, environment, end_user_id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade
);
create index end_user_forgotten_age on sallyport.end_user_forgotten (org_id, forgotten_at);
alter table sallyport.end_user_forgotten enable row level security, force row level security;
create policy tenant on sallyport.end_user_forgotten to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, update (forgotten_at), delete on sallyport.end_user_forgotten to sallyport_app;

create index usage_record_end_user on sallyport.usage_record (org_id, project_id, environment, end_user_id, id desc) where end_user_id is not null;
drop index sallyport.usage_record_user;
create index usage_record_key on sallyport.usage_record (org_id, project_id, environment, key_id, id desc);
create index usage_record_model on sallyport.usage_record (org_id, project_id, environment, model, id desc);

reset role;
