-- The life of a credential between its versions: which refresh is under way, what it would replace, and since when and why it fails.
set role sallyport_owner;

-- The last failure until a refresh succeeds or a person consents anew; all of it or nothing.
alter table sallyport.connection
  add column trouble text check (trouble in ('revoked', 'grant_expired', 'no_refresh_token', 'client_misconfigured', 'provider_down',
    'rate_limited', 'malformed', 'outcome_unknown', 'token_lost')),
  add column failing_since timestamptz,
  add column failed_at timestamptz,
  add column retry_at timestamptz,
  add column failures int not null default 0 check (failures >= 0),
  add constraint connection_failure check (
    num_nulls(trouble, failing_since, failed_at, retry_at) in (0, 4) and (trouble is null) = (failures = 0));

-- `generation`: versions of an older one are never used again. `intent_id`: the refresh that brought this version; saving its answer twice
-- finds the first. `refreshable`: it holds a refresh token.
alter table sallyport.credential_version
  add column generation int check (generation > 0),
  add column intent_id text check (length(intent_id) between 1 and 64),
  add column saved_as text check (saved_as in ('head', 'sibling')),
  add column refreshable boolean not null default false check (refreshable = (rt_fingerprint is not null)),
  add constraint credential_version_saved check ((intent_id is null) = (saved_as is null)),
  add unique (org_id, connection_id, intent_id);

-- Until now every version came from a consent of its own, and each consent was a generation. The rows are changed once, here, behind the
-- trigger and the policies that forbid it to everybody else.
alter table sallyport.credential_version no force row level security, disable trigger insert_only;
alter table sallyport.connection no force row level security;
update sallyport.credential_version v set generation = greatest(1, g.generation)
  from (
    select n.org_id, n.connection_id, n.seq,
      c.generation - row_number() over (partition by n.org_id, n.connection_id order by n.seq desc) + 1 as generation
    from sallyport.credential_version n
      join sallyport.connection c on c.org_id = n.org_id and c.id = n.connection_id
  ) g
  where g.org_id = v.org_id and g.connection_id = v.connection_id and g.seq = v.seq;
alter table sallyport.credential_version
  alter column generation set not null, enable trigger insert_only, force row level security;
alter table sallyport.connection force row level security;
create index credential_version_age on sallyport.credential_version (obtained_at) where refreshable;

-- A refresh that was begun and whose end is not saved; one a connection. It stands before the provider is shown the parent's refresh token,
-- and the parent can't be forgotten while it stands. `answer`: what came back and could not be read.
create table sallyport.refresh_intent (
  org_id uuid not null,
  connection_id uuid not null,
  id text not null check (length(id) between 1 and 64),
  generation int not null check (generation > 0),
  parent_seq bigint not null,
  head_seq bigint not null,
  attempt int not null check (attempt > 0),
  node text not null check (length(node) between 1 and 255),
  started_at timestamptz not null default clock_timestamp(),
  state text not null default 'calling' check (state in ('calling', 'unknown')),
  answer bytea,
  answer_under uuid generated always as (sallyport.envelope_data_key(answer)) stored,
  primary key (org_id, connection_id),
  unique (org_id, id),
  foreign key (org_id, connection_id) references sallyport.connection (org_id, id) on delete cascade,
  foreign key (org_id, connection_id, parent_seq) references sallyport.credential_version (org_id, connection_id, seq),
  foreign key (org_id, answer_under) references sallyport.data_key (org_id, id) deferrable initially deferred
);
create index refresh_intent_started on sallyport.refresh_intent (started_at);
create index refresh_intent_under on sallyport.refresh_intent (org_id, answer_under, connection_id);

-- Who may begin a refresh, where no session can be held that would say so by being there (`databaseLeases: row`).
create table sallyport.refresh_lease (
  org_id uuid not null,
  connection_id uuid not null,
  holder text not null check (length(holder) between 1 and 64),
  expires_at timestamptz not null,
  primary key (org_id, connection_id),
  foreign key (org_id, connection_id) references sallyport.connection (org_id, id) on delete cascade
);

alter table sallyport.refresh_intent enable row level security, force row level security;
create policy tenant on sallyport.refresh_intent to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
alter table sallyport.refresh_lease enable row level security, force row level security;
create policy tenant on sallyport.refresh_lease to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, delete, update (state, answer) on sallyport.refresh_intent to sallyport_app;
grant select, insert, update, delete on sallyport.refresh_lease to sallyport_app;

grant select (org_id, connection_id, started_at) on sallyport.refresh_intent to sallyport_lookup;
grant select (head_seq, retry_at) on sallyport.connection to sallyport_lookup;
grant select (org_id, connection_id, seq, obtained_at, refreshable) on sallyport.credential_version to sallyport_lookup;
create policy lookup on sallyport.refresh_intent for select to sallyport_lookup using (true);
create policy lookup on sallyport.credential_version for select to sallyport_lookup using (true);

-- As in 0005, with what the age and the failures of the credential say, and the moment by which they are judged.
drop function sallyport.proxy_target(uuid, uuid, text, text, uuid, text);
create function sallyport.proxy_target(
    the_org uuid, the_project uuid, the_environment text, the_slug text, the_connection uuid, the_user text)
  returns table (
    integration_id uuid, provider text, now timestamptz, connection_id uuid, status text, trouble text, retry_at timestamptz,
    generation int, seq bigint, sealed bytea, obtained_at timestamptz, expires_at timestamptz)
  language plpgsql volatile security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('sallyport.org', the_org::text, true);
  return query
    select i.id, i.provider, clock_timestamp(), c.id, c.status, c.trouble, c.retry_at,
      c.generation, v.seq, v.sealed, v.obtained_at, v.expires_at
    from sallyport.integration i
    left join lateral (
      select k.id, k.status, k.trouble, k.retry_at, k.generation, k.head_seq
      from sallyport.connection k
      where k.org_id = i.org_id and k.project_id = i.project_id and k.environment = i.environment and k.integration_id = i.id
        and (the_connection is not null or the_user is not null)
        and (the_connection is null or k.id = the_connection)
        and (the_user is null or k.end_user_id = the_user)
        -- Asked for by its id, an ended connection answers with its status; by its user it no longer stands beside a live one.
        and (the_connection is not null or k.status <> 'revoked')
      order by (k.status = 'active') desc, k.id
      limit 2
    ) c on true
    left join sallyport.credential_version v on v.org_id = i.org_id and v.connection_id = c.id and v.seq = c.head_seq
    where i.org_id = the_org and i.project_id = the_project and i.environment = the_environment and i.slug = the_slug;
end
$$;
revoke execute on function sallyport.proxy_target(uuid, uuid, text, text, uuid, text) from public;
grant execute on function sallyport.proxy_target(uuid, uuid, text, text, uuid, text) to sallyport_app;

reset role;
set role sallyport_lookup;

-- Connections with an intent, the oldest first, at most `most` (1,000): whose they are, and nothing else of them.
create function sallyport.interrupted_refreshes(most int) returns table (org_id uuid, connection_id uuid)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select i.org_id, i.connection_id from sallyport.refresh_intent i order by i.started_at limit least(greatest(most, 1), 1000)
$$;

-- The same of usable connections whose head holds a refresh token and is from before `unused_since`, those aside that are being refreshed or
-- are not to be tried yet.
create function sallyport.idle_credentials(unused_since timestamptz, most int) returns table (org_id uuid, connection_id uuid)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select v.org_id, v.connection_id
  from sallyport.credential_version v
    join sallyport.connection c on c.org_id = v.org_id and c.id = v.connection_id and c.head_seq = v.seq
  where v.refreshable and v.obtained_at < unused_since and c.status in ('active', 'insufficient_scope')
    and (c.retry_at is null or c.retry_at <= clock_timestamp())
    and not exists (select from sallyport.refresh_intent i where i.org_id = c.org_id and i.connection_id = c.id)
  order by v.obtained_at limit least(greatest(most, 1), 1000)
$$;

revoke execute on function sallyport.interrupted_refreshes(int), sallyport.idle_credentials(timestamptz, int) from public;
grant execute on function sallyport.interrupted_refreshes(int), sallyport.idle_credentials(timestamptz, int) to sallyport_app;

reset role;
