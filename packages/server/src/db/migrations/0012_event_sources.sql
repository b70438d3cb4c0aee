-- Where providers send word that something happened to a grant. Each source belongs to one integration, and its address can't be guessed; so whom
-- an event may be about is settled before it is read.
set role sallyport_owner;

-- `secret`: the key of the sender's signatures, for kinds that share one. `issuers`, `audiences`, `keys_uri`: of security event tokens.
create table sallyport.event_source (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  integration_id uuid not null,
  kind text not null check (kind in ('set', 'github', 'slack')),
  -- The last segment of its address.
  context text not null unique check (length(context) between 20 and 64),
  secret bytea,
  secret_under uuid generated always as (sallyport.envelope_data_key(secret)) stored,
  issuers text[] not null default '{}',
  audiences text[] not null default '{}',
  keys_uri text,
  untyped boolean not null default false,
  stream_status text check (stream_status in ('enabled', 'paused', 'disabled')),
  verified_at timestamptz,
  received_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, project_id, environment, integration_id)
    references sallyport.integration (org_id, project_id, environment, id) on delete cascade,
  foreign key (org_id, secret_under) references sallyport.data_key (org_id, id) deferrable initially deferred,
  constraint event_source_proof check (
    case kind when 'set' then secret is null and keys_uri is not null and cardinality(issuers) > 0 and cardinality(audiences) > 0
    else secret is not null and keys_uri is null end)
);
create index event_source_list on sallyport.event_source (org_id, integration_id, id);
create index event_source_under on sallyport.event_source (org_id, secret_under, id);

-- What was received, so that it is acted on once. SHA-256 of the sender's own id of the event.
create table sallyport.event_receipt (
  org_id uuid not null,
  source_id uuid not null,
  event_hash bytea not null check (length(event_hash) = 32),
  received_at timestamptz not null default clock_timestamp(),
  primary key (org_id, source_id, event_hash),
  foreign key (org_id, source_id) references sallyport.event_source (org_id, id) on delete cascade
);
create index event_receipt_age on sallyport.event_receipt (received_at);

do $$
declare
  name text;
begin
  foreach name in array array['event_source', 'event_receipt'] loop
    execute format('alter table sallyport.%I enable row level security', name);
    execute format('alter table sallyport.%I force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
  end loop;
end
$$;
create policy lookup on sallyport.event_source for select to sallyport_lookup using (true);
create policy lookup on sallyport.event_receipt for select to sallyport_lookup using (true);
create policy lookup_sweep on sallyport.event_receipt for delete to sallyport_lookup using (true);

grant select, insert, delete, update (secret, stream_status, verified_at, received_at) on sallyport.event_source to sallyport_app;
grant select, insert on sallyport.event_receipt to sallyport_app;
grant select (org_id, id, context) on sallyport.event_source to sallyport_lookup;
grant select, delete on sallyport.event_receipt to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Whose a source is. Everything else of it is read inside its tenant.
create function sallyport.event_source_lookup(the_context text) returns table (org_id uuid, id uuid)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select s.org_id, s.id from sallyport.event_source s where s.context = the_context
$$;

-- Forgets what was received more than 30 days ago, at most `most` (10,000): no event that old is taken any more.
create function sallyport.event_receipt_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from sallyport.event_receipt r where (r.org_id, r.source_id, r.event_hash) in (
    select o.org_id, o.source_id, o.event_hash from sallyport.event_receipt o
    where o.received_at < clock_timestamp() - interval '30 days' limit least(greatest(most, 1), 10000));
  get diagnostics swept = row_count;
  return swept;
end
$$;

revoke execute on function sallyport.event_source_lookup(text), sallyport.event_receipt_sweep(int) from public;
grant execute on function sallyport.event_source_lookup(text), sallyport.event_receipt_sweep(int) to sallyport_app;

reset role;
