-- What organizations that ask for it keep of model calls: prompts, answers or both, each sealed, until its time is over. Nobody asks for it by default.
set role sallyport_owner;

-- One row for each part of each try: a call that several providers are asked for has several. `bytes`: of the whole part; `whole`: all of it is kept.
-- `end_user`: whose prompt it is, as the application names them, and with whom it is forgotten.
create table sallyport.stored_content (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  request_id uuid not null,
  part text not null check (part in ('prompt', 'response')),
  provider text not null check (length(provider) between 1 and 64),
  end_user text check (length(end_user) between 1 and 255),
  status int check (status between 100 and 599),
  bytes bigint not null check (bytes >= 0),
  whole boolean not null,
  sealed bytea not null,
  sealed_under uuid generated always as (sallyport.envelope_data_key(sealed)) stored,
  stored_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade,
  foreign key (org_id, sealed_under) references sallyport.data_key (org_id, id) deferrable initially deferred
);
create index stored_content_request on sallyport.stored_content (org_id, project_id, environment, request_id);
create index stored_content_end_user on sallyport.stored_content (org_id, project_id, environment, end_user) where end_user is not null;
create index stored_content_under on sallyport.stored_content (org_id, sealed_under, id);
create index stored_content_expiry on sallyport.stored_content (expires_at);
create trigger insert_only before update on sallyport.stored_content
  for each row execute function sallyport.refuse_all_but_reseal();
alter table sallyport.stored_content enable row level security, force row level security;
create policy tenant on sallyport.stored_content to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
create policy lookup on sallyport.stored_content to sallyport_lookup using (true);
grant select, insert, update (sealed), delete on sallyport.stored_content to sallyport_app;
grant select (org_id, id, expires_at), delete on sallyport.stored_content to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Removes what is over, at most `most` (10,000).
create function sallyport.stored_content_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from sallyport.stored_content c where (c.org_id, c.id) in (
    select o.org_id, o.id from sallyport.stored_content o
    where o.expires_at <= clock_timestamp() limit least(greatest(most, 1), 10000));
  get diagnostics swept = row_count;
  return swept;
end
$$;
revoke execute on function sallyport.stored_content_sweep(int) from public;
grant execute on function sallyport.stored_content_sweep(int) to sallyport_app;

reset role;
