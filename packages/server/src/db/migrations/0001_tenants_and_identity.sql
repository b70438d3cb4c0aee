-- Organizations, projects, people, sessions, keys. Every tenant table carries org_id, forces row-level security on it, and is referenced
-- through keys that carry it too, so that a row of one organization can't point into another's even by mistake.
set role sallyport_owner;

-- The tenant of this transaction, or NULL (no rows) when none was set. After a transaction the setting reads as '' and not NULL.
create function sallyport.current_org() returns uuid
  language sql stable parallel safe
  set search_path = pg_catalog
  return nullif(current_setting('sallyport.org', true), '')::uuid;

create table sallyport.organization (
  id uuid primary key,
  name text not null check (length(name) between 1 and 120),
  -- strict: a use of a credential is on record, committed, before it is decrypted. batched: within one group commit after.
  audit_use_mode text not null default 'batched' check (audit_use_mode in ('strict', 'batched')),
  created_at timestamptz not null default now()
);

create table sallyport.project (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  name text not null check (length(name) between 1 and 120),
  return_origins text[] not null default '{}',
  created_at timestamptz not null default now(),
  primary key (org_id, id)
);

-- A person is (issuer, subject) and belongs to no organization; only lookup functions see this table.
create table sallyport.person (
  id uuid primary key,
  issuer text not null,
  subject text not null,
  name text not null,
  created_at timestamptz not null default now(),
  unique (issuer, subject)
);

create table sallyport.membership (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  person_id uuid not null references sallyport.person (id) on delete cascade,
  role text not null check (role in ('OWNER', 'ADMIN', 'DEVELOPER', 'BILLING', 'VIEWER')),
  created_at timestamptz not null default now(),
  primary key (org_id, person_id)
);
create index membership_person on sallyport.membership (person_id);

-- Only SHA-256 of the 256-bit token is kept: the table alone signs nobody in.
create table sallyport.console_session (
  token_hash bytea primary key check (length(token_hash) = 32),
  person_id uuid not null references sallyport.person (id) on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index console_session_expiry on sallyport.console_session (expires_at);

create table sallyport.owner_link (
  token_hash bytea primary key check (length(token_hash) = 32),
  person_id uuid not null references sallyport.person (id) on delete cascade,
  expires_at timestamptz not null
);

create table sallyport.api_key (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  environment text not null check (environment in ('live', 'test')),
  name text not null check (length(name) between 1 and 120),
  -- Peppered HMAC-SHA256 of the secret, compared on every cold call, and the argon2id hash, compared once per process and version.
  secret_hmac bytea not null check (length(secret_hmac) = 32),
  secret_argon2id text not null check (secret_argon2id like '$argon2id$%'),
  version int not null default 1,
  scopes text[] not null check (cardinality(scopes) > 0),
  connection_id uuid,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (org_id, id),
  unique (id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade
);
create index api_key_list on sallyport.api_key (org_id, project_id, environment, id);

-- Secrets of the installation itself (the pepper of gateway keys), sealed under a root key; and one check value per root key, by which
-- a start finds out that it was given different bytes under a known id.
create table sallyport.system_secret (
  name text primary key,
  sealed bytea not null,
  created_at timestamptz not null default now()
);
create table sallyport.root_key (
  id text primary key,
  check_value bytea not null,
  created_at timestamptz not null default now()
);

-- One data key per organization, wrapped by a root key; `current` seals, `previous` only opens.
create table sallyport.data_key (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  root_key_id text not null references sallyport.root_key (id),
  wrapped bytea not null,
  status text not null check (status in ('current', 'previous')),
  created_at timestamptz not null default now(),
  primary key (org_id, id)
);
create unique index data_key_one_current on sallyport.data_key (org_id) where status = 'current';

reset role;
