-- Registered clients, connect flows, connections and the lineage of their credentials.
set role sallyport_owner;

create table sallyport.integration (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  provider text not null,
  -- The last segment of this integration's own redirect URI: a code for one integration can't be delivered to another's.
  context text not null unique check (length(context) between 20 and 64),
  client_id text not null,
  client_secret bytea not null,
  scopes text[] not null default '{}',
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, project_id, environment, slug),
  unique (org_id, project_id, environment, id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade
);

create table sallyport.connection (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  integration_id uuid not null,
  end_user_id text not null check (length(end_user_id) between 1 and 255),
  status text not null check (status in ('pending', 'active', 'insufficient_scope', 'reconnect_required', 'revoked')),
  -- Rises with every reconnect: caches keyed by it never show one account's data as another's.
  generation int not null default 1 check (generation > 0),
  head_seq bigint not null default 0,
  granted_scopes text[] not null default '{}',
  account_id text,
  account_label text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, project_id, environment, id),
  foreign key (org_id, project_id, environment, integration_id)
    references sallyport.integration (org_id, project_id, environment, id) on delete cascade
);
create index connection_by_user on sallyport.connection (org_id, integration_id, end_user_id);
create index connection_list on sallyport.connection (org_id, project_id, environment, id);

alter table sallyport.api_key
  add foreign key (org_id, project_id, environment, connection_id)
    references sallyport.connection (org_id, project_id, environment, id) on delete cascade;

-- Insert-only: a version is never changed, so that no crash can lose the one before it. The gateway may insert, select and, when a
-- connection ends, delete.
create table sallyport.credential_version (
  org_id uuid not null,
  connection_id uuid not null,
  seq bigint not null check (seq > 0),
  parent_seq bigint,
  -- Keyed fingerprint of the refresh token; tells a repeated token from a rotated one without opening either.
  rt_fingerprint bytea,
  sealed bytea not null,
  obtained_at timestamptz not null default now(),
  expires_at timestamptz,
  primary key (org_id, connection_id, seq),
  foreign key (org_id, connection_id) references sallyport.connection (org_id, id) on delete cascade
);

create table sallyport.connect_session (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  integration_id uuid not null,
  connection_id uuid,
  reconnect boolean not null default false,
  end_user_id text not null check (length(end_user_id) between 1 and 255),
  link_hash bytea not null unique check (length(link_hash) = 32),
  return_to text,
  -- `key_...` or `user_...`; a flow that a person began in the console ends only in that person's own session.
  started_by text not null,
  console_session_hash bytea,
  status text not null default 'open' check (status in ('open', 'authorizing', 'awaiting_confirmation', 'completed', 'failed')),
  completion_hash bytea,
  completion_attempts int not null default 0,
  failure text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, project_id, environment, integration_id)
    references sallyport.integration (org_id, project_id, environment, id) on delete cascade,
  foreign key (org_id, project_id, environment, connection_id)
    references sallyport.connection (org_id, project_id, environment, id) on delete cascade
);

-- One authorization request under way. Only hashes; the PKCE verifier is sealed; consumed by one DELETE before the exchange.
create table sallyport.oauth_state (
  org_id uuid not null,
  state_hash bytea not null check (length(state_hash) = 32),
  connect_session_id uuid not null,
  context text not null,
  browser_hash bytea not null check (length(browser_hash) = 32),
  verifier bytea not null,
  expires_at timestamptz not null,
  primary key (org_id, state_hash),
  unique (state_hash),
  foreign key (org_id, connect_session_id) references sallyport.connect_session (org_id, id) on delete cascade
);

-- What went out. A log: no foreign keys, written in groups off the request's path.
create table sallyport.request_record (
  org_id uuid not null,
  id uuid not null,
  at timestamptz not null,
  project_id uuid not null,
  environment text not null,
  integration_slug text,
  connection_id uuid,
  key_id uuid not null,
  method text not null,
  path text not null,
  status int not null,
  source text not null check (source in ('gateway', 'provider')),
  error text,
  duration_us bigint not null,
  bytes_in bigint not null,
  bytes_out bigint not null,
  primary key (org_id, id)
);
create index request_record_list on sallyport.request_record (org_id, project_id, environment, id desc);

reset role;
