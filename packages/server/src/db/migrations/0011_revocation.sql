-- Tokens that are over here and not yet over at the provider, and revocations of many connections at once. Both are work that is begun in the
-- transaction that decides on it and carried on by whichever node is there: a kill loses nothing of it.
set role sallyport_owner;

-- One ended grant. `sealed` holds its tokens until the provider's answer settles it; then the row stays for a while to say what became of it.
-- `next_at` is when it is due, and for one that a node works on, when another may take it. No foreign key to the connection: it outlives that.
create table sallyport.revocation (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  integration_id uuid not null,
  connection_id uuid not null,
  -- The account at the provider, for telling whether another connection of it lives on.
  account_id text,
  cause text not null check (cause in ('disconnected', 'bulk', 'end_user_deleted', 'event', 'orphaned')),
  state text not null default 'waiting' check (state in ('waiting', 'done', 'given_up')),
  -- Why it was given up, or why the last try was not the last.
  reason text check (length(reason) between 1 and 64),
  sealed bytea,
  sealed_under uuid generated always as (sallyport.envelope_data_key(sealed)) stored,
  attempts int not null default 0 check (attempts >= 0),
  made_at timestamptz not null default clock_timestamp(),
  next_at timestamptz not null default clock_timestamp(),
  settled_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, integration_id) references sallyport.integration (org_id, id),
  foreign key (org_id, sealed_under) references sallyport.data_key (org_id, id) deferrable initially deferred,
  constraint revocation_settled check ((state = 'waiting') = (sealed is not null) and (state = 'waiting') = (settled_at is null))
);
create index revocation_due on sallyport.revocation (next_at) where state = 'waiting';
create index revocation_of_connection on sallyport.revocation (org_id, connection_id, id);
create index revocation_under on sallyport.revocation (org_id, sealed_under, id);
create index revocation_settled_at on sallyport.revocation (settled_at) where state <> 'waiting';

-- A revocation of every connection that a filter names. `last_id` is how far it has come; connections made after it began are not its.
create table sallyport.bulk_revocation (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  project_id uuid,
  environment text check (environment in ('live', 'test')),
  integration_id uuid,
  provider text,
  requested_by text not null,
  state text not null default 'running' check (state in ('running', 'done')),
  found bigint not null check (found >= 0),
  ended bigint not null default 0 check (ended >= 0),
  last_id uuid,
  made_at timestamptz not null default clock_timestamp(),
  next_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  primary key (org_id, id),
  constraint bulk_revocation_finished check ((state = 'done') = (finished_at is not null))
);
create index bulk_revocation_due on sallyport.bulk_revocation (next_at) where state = 'running';

-- Who an event or an erasure is about.
create index connection_by_account on sallyport.connection (org_id, integration_id, account_id);
create index connection_by_end_user on sallyport.connection (org_id, project_id, environment, end_user_id, id);

do $$
declare
  name text;
begin
  foreach name in array array['revocation', 'bulk_revocation'] loop
    execute format('alter table sallyport.%I enable row level security', name);
    execute format('alter table sallyport.%I force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
    execute format('create policy lookup on sallyport.%I for select to sallyport_lookup using (true)', name);
    execute format('create policy lookup_claim on sallyport.%I for update to sallyport_lookup using (true) with check (true)', name);
  end loop;
end
$$;
create policy lookup_sweep on sallyport.revocation for delete to sallyport_lookup using (state <> 'waiting');

grant select, insert, update (account_id, state, reason, sealed, attempts, next_at, settled_at) on sallyport.revocation to sallyport_app;
grant select, insert, update (state, ended, last_id, next_at, finished_at) on sallyport.bulk_revocation to sallyport_app;
-- What an end user's calls went to may name them: an erasure takes it out of the records and leaves the rest.
grant update (path) on sallyport.request_record to sallyport_app;
grant select (org_id, id, integration_id, state, attempts, next_at, settled_at), update (attempts, next_at), delete
  on sallyport.revocation to sallyport_lookup;
grant select (org_id, id, state, next_at), update (next_at) on sallyport.bulk_revocation to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Takes at most `most` (100) revocations that are due, the longest due first, for `seconds`: until then no other node is given them. None of
-- the integrations `without`. Each comes with the number of this attempt, by which its end is written only if nobody took it since.
create function sallyport.revocation_claim(most int, seconds int, without uuid[])
  returns table (org_id uuid, id uuid, integration_id uuid, attempts int)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with due as materialized (
    select r.org_id, r.id from sallyport.revocation r
    where r.state = 'waiting' and r.next_at <= clock_timestamp() and not r.integration_id = any (without)
    order by r.next_at limit least(greatest(most, 1), 100)
    for update skip locked
  )
  update sallyport.revocation r
    set next_at = clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600)), attempts = r.attempts + 1
    from due where r.org_id = due.org_id and r.id = due.id
    returning r.org_id, r.id, r.integration_id, r.attempts
$$;

-- The same for one bulk revocation that is due.
create function sallyport.bulk_revocation_claim(seconds int) returns table (org_id uuid, id uuid)
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with due as materialized (
    select b.org_id, b.id from sallyport.bulk_revocation b
    where b.state = 'running' and b.next_at <= clock_timestamp()
    order by b.next_at limit 1
    for update skip locked
  )
  update sallyport.bulk_revocation b
    set next_at = clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600))
    from due where b.org_id = due.org_id and b.id = due.id
    returning b.org_id, b.id
$$;

-- Forgets what was settled more than 30 days ago, at most `most` (10,000) rows.
create function sallyport.revocation_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from sallyport.revocation r where (r.org_id, r.id) in (
    select o.org_id, o.id from sallyport.revocation o
    where o.state <> 'waiting' and o.settled_at < clock_timestamp() - interval '30 days' limit least(greatest(most, 1), 10000));
  get diagnostics swept = row_count;
  return swept;
end
$$;

revoke execute on function sallyport.revocation_claim(int, int, uuid[]), sallyport.bulk_revocation_claim(int), sallyport.revocation_sweep(int)
  from public;
grant execute on function sallyport.revocation_claim(int, int, uuid[]), sallyport.bulk_revocation_claim(int), sallyport.revocation_sweep(int)
  to sallyport_app;

reset role;
