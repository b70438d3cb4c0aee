-- Named routes of model calls: which models answer to a name, in which order or share, and when the next one is asked.
set role sallyport_owner;

-- `targets`: a list of {provider, model, key_name, weight, first_byte_timeout_ms}; the gateway reads it, nothing here does. None of it is secret.
create table sallyport.model_route (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  name text not null check (name ~ '^[A-Za-z0-9]([A-Za-z0-9._:-]{0,118}[A-Za-z0-9])?$'),
  strategy text not null check (strategy in ('ordered', 'weighted')),
  targets jsonb not null check (case when jsonb_typeof(targets) = 'array' then jsonb_array_length(targets) between 1 and 16 else false end),
  fallback_on text[] not null check (fallback_on <@ array['rate_limited', 'server_error', 'timeout', 'circuit_open']),
  deadline_ms int not null check (deadline_ms between 1000 and 600000),
  created_by text not null check (length(created_by) between 1 and 64),
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade,
  -- What a call asks for by; its index serves that, and reading all of one place.
  constraint model_route_name unique (org_id, project_id, environment, name)
);
create index model_route_list on sallyport.model_route (org_id, project_id, environment, id);
alter table sallyport.model_route enable row level security, force row level security;
create policy tenant on sallyport.model_route to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, delete, update (name, strategy, targets, fallback_on, deadline_ms, updated_at) on sallyport.model_route to sallyport_app;
create trigger changed after insert or update or delete on sallyport.model_route for each row execute function sallyport.notify_change();

reset role;
