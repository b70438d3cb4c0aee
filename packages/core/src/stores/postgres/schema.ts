/**
 * Owns the tables of the token store, in a schema of their own, and how they come about. Refuses a schema that a newer release has changed.
 *
 * Times are milliseconds since the epoch by the server's clock, as the port has them. Nothing secret is in the clear: `sealed` holds
 * envelopes, and of a refresh token is known that there is one (`renewable`).
 */
import type { ClientBase } from 'pg'
import { misconfigured } from '../address.ts'

/** Held while the tables are made: many processes may start at once. */
const MAKING = 'select pg_catalog.pg_advisory_xact_lock(7255, 1)'

/** From the catalogue's rows: a name that was looked up before the lock came would still be unknown to the session after it. */
const FOUND = `
  select exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport_tokens' and c.relname = 'schema_version'
  ) as found`
const STANDING = 'select max(version) as version from sallyport_tokens.schema_version'

const LINEAGES = `
create schema if not exists sallyport_tokens;

create table sallyport_tokens.schema_version (version int primary key);

create function sallyport_tokens.now_ms() returns bigint language sql volatile
  return floor(extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint;

-- Never used twice, not even by a credential that was removed and connected anew.
create sequence sallyport_tokens.generation;

create table sallyport_tokens.credential (
  scope text not null,
  id text not null,
  generation bigint not null,
  status text not null check (status in ('active', 'reconnect_required', 'revoked')),
  head_seq bigint not null,
  last_seq bigint not null check (last_seq >= head_seq),
  head_obtained_at bigint not null,
  renewable boolean not null,
  intent_id text,
  intent_parent bigint,
  intent_head bigint,
  intent_attempt int,
  intent_node text,
  intent_started_at bigint,
  intent_state text check (intent_state in ('calling', 'unknown')),
  trouble text,
  failed_at bigint,
  failures int not null default 0,
  retry_at bigint,
  primary key (scope, id),
  check (num_nulls(intent_id, intent_parent, intent_head, intent_attempt, intent_node, intent_started_at, intent_state) in (0, 7)),
  check (num_nulls(trouble, failed_at, retry_at) in (0, 3))
);
create index credential_interrupted on sallyport_tokens.credential (intent_started_at) where intent_id is not null;
create index credential_idle on sallyport_tokens.credential (head_obtained_at) where status = 'active' and renewable;

-- \`intent\`: the refresh that brought it, and what its saver was told. A consent has none.
create table sallyport_tokens.credential_version (
  scope text not null,
  id text not null,
  seq bigint not null,
  parent_seq bigint,
  generation bigint not null,
  obtained_at bigint not null,
  renewable boolean not null,
  intent text,
  outcome text check (outcome in ('head', 'sibling')),
  sealed bytea not null,
  primary key (scope, id, seq),
  unique (scope, id, intent),
  foreign key (scope, id) references sallyport_tokens.credential (scope, id) on delete cascade,
  check ((intent is null) = (outcome is null))
);
create index credential_version_age on sallyport_tokens.credential_version (obtained_at);

create function sallyport_tokens.only_resealed() returns trigger language plpgsql as $$
begin
  old.sealed := new.sealed;
  if old is distinct from new then
    raise exception 'a version is never changed, only sealed anew';
  end if;
  return new;
end
$$;
create trigger insert_only before update on sallyport_tokens.credential_version
  for each row execute function sallyport_tokens.only_resealed();

create table sallyport_tokens.unread_answer (
  scope text not null,
  id text not null,
  intent text not null,
  kept_at bigint not null,
  sealed bytea not null,
  primary key (scope, id, intent),
  foreign key (scope, id) references sallyport_tokens.credential (scope, id) on delete cascade
);

-- What each key sealed when it first came: another key of the same name doesn't open it.
create table sallyport_tokens.key_check (id text primary key, sealed bytea not null);

create table sallyport_tokens.lease (key text primary key, holder text not null, expires_at bigint not null);

insert into sallyport_tokens.schema_version (version) values (1);
`

/** Sign-ins under way. `sealed` is gone once it was taken. */
const CONNECT_STATES = `
create table sallyport_tokens.connect_state (name text primary key, sealed bytea, ends_at bigint not null);
create index connect_state_end on sallyport_tokens.connect_state (ends_at);

insert into sallyport_tokens.schema_version (version) values (2);
`

/** Of grants that the application ended: their tokens are to be taken back. */
const ENDED = `
create index credential_ended on sallyport_tokens.credential (retry_at) where status = 'revoked';

insert into sallyport_tokens.schema_version (version) values (3);
`

/** What leads to each version from the one before it. */
const STEPS = [LINEAGES, CONNECT_STATES, ENDED]

/**
 * Makes the tables, or what is new of them, unless they are there; safe from many processes at once. Needs the right to create a schema the
 * first time, and afterwards the right to create tables in it when a release brings some.
 * @throws TokenError `store_misconfigured` when a newer release has changed them.
 */
export async function prepareTables(client: ClientBase): Promise<void> {
  if ((await standingVersion(client)) === STEPS.length) return
  await client.query('begin')
  try {
    await client.query(MAKING)
    for (const step of STEPS.slice(await standingVersion(client))) await client.query(step)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/** 0 when there are none. */
async function standingVersion(client: ClientBase): Promise<number> {
  const { rows: found } = await client.query<{ found: boolean }>(FOUND)
  if (!found[0]!.found) return 0
  const { rows } = await client.query<{ version: number | null }>(STANDING)
  const version = rows[0]!.version ?? 0
  if (version > STEPS.length) throw misconfigured('the token store was changed by a newer release than this one')
  return version
}
