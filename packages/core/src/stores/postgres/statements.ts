/**
 * Owns the statements of the token store. Refuses text from outside: all values are parameters. Where a write may come too late, its
 * condition stands in the statement, which PostgreSQL judges again on the newest row when it had to wait for another (read committed).
 */

export const LAST_SEQ = 'select last_seq from sallyport_tokens.credential where scope = $1 and id = $2'

export const READ = `
  select c.generation, c.status, c.intent_id, c.intent_parent, c.intent_head, c.intent_attempt, c.intent_node, c.intent_started_at,
    c.intent_state, c.trouble, c.failed_at, c.failures, c.retry_at, v.seq, v.parent_seq, v.obtained_at, v.sealed,
    sallyport_tokens.now_ms() as now
  from sallyport_tokens.credential c
  join sallyport_tokens.credential_version v on v.scope = c.scope and v.id = c.id and v.seq = c.head_seq
  where c.scope = $1 and c.id = $2`

/** $3 the last number as it was read, $4 the next, $5 renewable, $6 sealed, $7 notice. No row when another was quicker. */
export const CONNECT = `
  with put as (
    insert into sallyport_tokens.credential as c (scope, id, generation, status, head_seq, last_seq, head_obtained_at, renewable)
    values ($1, $2, nextval('sallyport_tokens.generation'), 'active', $4::bigint, $4::bigint, sallyport_tokens.now_ms(), $5::boolean)
    on conflict (scope, id) do update set
      generation = excluded.generation, status = 'active', head_seq = $4::bigint, last_seq = $4::bigint,
      head_obtained_at = excluded.head_obtained_at, renewable = $5::boolean,
      intent_id = null, intent_parent = null, intent_head = null, intent_attempt = null, intent_node = null, intent_started_at = null,
      intent_state = null, trouble = null, failed_at = null, failures = 0, retry_at = null
      where c.last_seq = $3::bigint
    returning c.generation, c.head_obtained_at
  )
  insert into sallyport_tokens.credential_version (scope, id, seq, generation, obtained_at, renewable, sealed)
  select $1, $2, $4::bigint, put.generation, put.head_obtained_at, $5::boolean, $6::bytea from put
  returning generation, pg_catalog.pg_notify('sallyport_tokens', $7)`

/**
 * $3 generation, $4 head, $5 parent, $6 replaces, $7 id, $8 node, $9 attempt, $10 notice. A version that \`PRUNE\` takes in this very moment
 * may still be given as parent: its tokens are in the answer, and only a crash before the end of this refresh would miss it.
 */
export const BEGIN = `
  update sallyport_tokens.credential c set
    intent_id = $7, intent_parent = $5::bigint, intent_head = $4::bigint, intent_attempt = $9::int, intent_node = $8,
    intent_started_at = sallyport_tokens.now_ms(), intent_state = 'calling'
  from sallyport_tokens.credential_version v
  where c.scope = $1 and c.id = $2 and c.status = 'active' and c.generation = $3::bigint and c.head_seq = $4::bigint
    and c.intent_id is not distinct from $6::text
    and v.scope = c.scope and v.id = c.id and v.seq = $5::bigint and v.generation = c.generation
  returning v.seq, v.parent_seq, v.generation, v.obtained_at, v.sealed, c.intent_started_at as started,
    pg_catalog.pg_notify('sallyport_tokens', $10)`

/** $3 generation, $4 intent. \`open\`: an answer of this generation may be kept. \`outcome\`: what its saver was told before. */
export const BEFORE_SAVE = `
  select c.last_seq, c.generation = $3::bigint and c.status <> 'revoked' as open,
    (select v.outcome from sallyport_tokens.credential_version v where v.scope = c.scope and v.id = c.id and v.intent = $4) as outcome
  from sallyport_tokens.credential c where c.scope = $1 and c.id = $2`

/**
 * Whether the head is where the intent $4 found it, or, when that is gone, at the answer's parent $5; not while another intent stands that has
 * shown the refresh token which the answer kept ($11).
 */
const WINS = `c.head_seq = case when c.intent_id = $4 then c.intent_head else $5::bigint end
        and not ($11::boolean and c.intent_id is not null and c.intent_id <> $4)`

/**
 * $3 generation, $4 intent, $5 parent, $6 the last number as it was read, $7 the next, $8 renewable, $9 sealed, $10 notice, $11 whether it
 * keeps the parent's refresh token. No row when anything that was read before has changed.
 */
export const SAVE = `
  with clock as (select sallyport_tokens.now_ms() as now), moved as (
    update sallyport_tokens.credential c set
      last_seq = $7::bigint,
      head_seq = case when ${WINS} then $7::bigint else c.head_seq end,
      head_obtained_at = case when ${WINS} then clock.now else c.head_obtained_at end,
      renewable = case when ${WINS} then $8::boolean else c.renewable end,
      status = case when ${WINS} then 'active' else c.status end,
      trouble = case when ${WINS} then null else c.trouble end,
      failed_at = case when ${WINS} then null else c.failed_at end,
      failures = case when ${WINS} then 0 else c.failures end,
      retry_at = case when ${WINS} then null else c.retry_at end,
      intent_id = case when c.intent_id = $4 then null else c.intent_id end,
      intent_parent = case when c.intent_id = $4 then null else c.intent_parent end,
      intent_head = case when c.intent_id = $4 then null else c.intent_head end,
      intent_attempt = case when c.intent_id = $4 then null else c.intent_attempt end,
      intent_node = case when c.intent_id = $4 then null else c.intent_node end,
      intent_started_at = case when c.intent_id = $4 then null else c.intent_started_at end,
      intent_state = case when c.intent_id = $4 then null else c.intent_state end
    from clock
    where c.scope = $1 and c.id = $2 and c.generation = $3::bigint and c.status <> 'revoked' and c.last_seq = $6::bigint
    returning c.head_seq = $7::bigint as wins, clock.now, c.generation
  )
  insert into sallyport_tokens.credential_version
    (scope, id, seq, parent_seq, generation, obtained_at, renewable, intent, outcome, sealed)
  select $1, $2, $7::bigint, $5::bigint, moved.generation, moved.now, $8::boolean, $4,
    case when moved.wins then 'head' else 'sibling' end, $9::bytea
  from moved
  returning outcome, pg_catalog.pg_notify('sallyport_tokens', $10)`

/** $3 intent, $4 trouble or null, $5 milliseconds until it may be tried again, $6 notice. */
export const WITHDRAW = `
  with clock as (select sallyport_tokens.now_ms() as now)
  update sallyport_tokens.credential c set
    intent_id = null, intent_parent = null, intent_head = null, intent_attempt = null, intent_node = null, intent_started_at = null,
    intent_state = null,
    trouble = coalesce($4::text, c.trouble),
    failed_at = case when $4::text is null then c.failed_at else clock.now end,
    failures = case when $4::text is null then c.failures else c.failures + 1 end,
    retry_at = case when $4::text is null then c.retry_at else clock.now + $5::bigint end
  from clock where c.scope = $1 and c.id = $2 and c.intent_id = $3
  returning pg_catalog.pg_notify('sallyport_tokens', $6)`

/** $3 intent, $4 trouble, $5 milliseconds until it may be tried again, $6 the answer sealed or null, $7 notice. */
export const DOUBT = `
  with clock as (select sallyport_tokens.now_ms() as now), doubted as (
    update sallyport_tokens.credential c set
      intent_state = 'unknown', trouble = $4, failed_at = clock.now, failures = c.failures + 1, retry_at = clock.now + $5::bigint
    from clock where c.scope = $1 and c.id = $2 and c.intent_id = $3
    returning clock.now
  ), kept as (
    insert into sallyport_tokens.unread_answer (scope, id, intent, kept_at, sealed)
    select $1, $2, $3, doubted.now, $6::bytea from doubted where $6::bytea is not null
    on conflict (scope, id, intent) do update set kept_at = excluded.kept_at, sealed = excluded.sealed
  )
  select pg_catalog.pg_notify('sallyport_tokens', $7) from doubted`

/** $3 generation, $4 head or null, $5 status, $6 trouble, $7 notice. What stands already is left as it is, and counts. */
export const END = `
  with clock as (select sallyport_tokens.now_ms() as now)
  update sallyport_tokens.credential c set
    status = $5,
    intent_id = null, intent_parent = null, intent_head = null, intent_attempt = null, intent_node = null, intent_started_at = null,
    intent_state = null,
    trouble = case when c.status = $5 then c.trouble else $6 end,
    failed_at = case when c.status = $5 then c.failed_at else clock.now end,
    failures = case when c.status = $5 then c.failures else c.failures + 1 end,
    retry_at = case when c.status = $5 then c.retry_at else clock.now end
  from clock
  where c.scope = $1 and c.id = $2 and c.generation = $3::bigint and ($4::bigint is null or c.head_seq = $4::bigint)
    and (c.status <> 'revoked' or $5 = 'revoked')
  returning pg_catalog.pg_notify('sallyport_tokens', $7)`

export const LINEAGE = `
  select v.seq, v.parent_seq, v.generation, v.obtained_at, v.sealed, v.seq = c.head_seq as is_head
  from sallyport_tokens.credential c
  join sallyport_tokens.credential_version v on v.scope = c.scope and v.id = c.id and v.generation = c.generation
  where c.scope = $1 and c.id = $2 order by v.seq desc`

export const INTERRUPTED = `
  select scope, id from sallyport_tokens.credential
  where intent_id is not null and (intent_state = 'calling' or retry_at is null or retry_at <= sallyport_tokens.now_ms())
  order by intent_started_at, scope, id limit $1::int`

export const IDLE = `
  select scope, id from sallyport_tokens.credential
  where status = 'active' and renewable and head_obtained_at < $1::bigint and intent_id is null
    and (retry_at is null or retry_at <= sallyport_tokens.now_ms())
  order by head_obtained_at limit $2::int`

/** $1 scopes as a list in JSON, $2 how many at most. By the index credential_ended, which has the revoked alone: few, and each for a while. */
export const ENDED = `
  select scope, id, generation from sallyport_tokens.credential
  where status = 'revoked' and retry_at <= sallyport_tokens.now_ms()
    and scope in (select pg_catalog.jsonb_array_elements_text($1::jsonb))
  order by retry_at, scope, id limit $2::int`

/** $1 counted no further than. */
export const ENDED_COUNT = `
  select count(*) as ended from (select from sallyport_tokens.credential where status = 'revoked' limit $1::int) counted`

/** $3 generation, $4 how long it rests. */
export const PUT_OFF = `
  update sallyport_tokens.credential set retry_at = sallyport_tokens.now_ms() + $4::bigint
  where scope = $1 and id = $2 and generation = $3::bigint and status = 'revoked' returning 1`

/** $1 before, $2 how many at most. The credentials are locked and looked at again, those that others work on are left for the next time. */
export const PRUNE = `
  with old as (
    select v.scope, v.id, v.seq
    from sallyport_tokens.credential_version v
    join sallyport_tokens.credential c on c.scope = v.scope and c.id = v.id
    where v.obtained_at < $1::bigint and v.seq <> c.head_seq and v.seq is distinct from c.intent_parent
    limit $2::int
  ), held as materialized (
    select c.scope, c.id, c.head_seq, c.intent_parent
    from sallyport_tokens.credential c
    where (c.scope, c.id) in (select scope, id from old)
    for update skip locked
  ), gone as (
    delete from sallyport_tokens.credential_version v using old, held
    where v.scope = old.scope and v.id = old.id and v.seq = old.seq and held.scope = old.scope and held.id = old.id
      and v.seq <> held.head_seq and v.seq is distinct from held.intent_parent
    returning 1
  )
  select count(*) as versions from gone`

export const PRUNE_UNREAD = `
  delete from sallyport_tokens.unread_answer u using sallyport_tokens.credential c
  where c.scope = u.scope and c.id = u.id and u.kept_at < $1::bigint and c.intent_id is distinct from u.intent`

/** $3 notice, $4 generation or null. */
export const REMOVE = `
  delete from sallyport_tokens.credential where scope = $1 and id = $2 and generation = coalesce($4::bigint, generation) returning pg_catalog.pg_notify('sallyport_tokens', $3)`

export const REPLACE_VERSION = `
  update sallyport_tokens.credential_version set sealed = $5::bytea
  where scope = $1 and id = $2 and seq = $3::bigint and sealed = $4::bytea returning 1`

export const REPLACE_UNREAD = `
  update sallyport_tokens.unread_answer set sealed = $5::bytea
  where scope = $1 and id = $2 and intent = $3 and sealed = $4::bytea returning 1`

export const VERSIONS_AFTER = `
  select scope, id, seq, sealed from sallyport_tokens.credential_version
  where (scope, id, seq) > ($1, $2, $3::bigint) order by scope, id, seq limit $4::int`

export const UNREAD_AFTER = `
  select scope, id, intent, sealed from sallyport_tokens.unread_answer
  where (scope, id, intent) > ($1, $2, $3) order by scope, id, intent limit $4::int`

export const PUT_KEY_CHECK = 'insert into sallyport_tokens.key_check (id, sealed) values ($1, $2::bytea) on conflict (id) do nothing'

export const KEY_CHECK = 'select sealed from sallyport_tokens.key_check where id = $1'

/** $1 key, $2 holder, $3 milliseconds. */
export const TAKE_LEASE = `
  insert into sallyport_tokens.lease as l (key, holder, expires_at) values ($1, $2, sallyport_tokens.now_ms() + $3::bigint)
  on conflict (key) do update set holder = excluded.holder, expires_at = excluded.expires_at
    where l.expires_at <= sallyport_tokens.now_ms()
  returning 1`

export const RENEW_LEASE = `
  update sallyport_tokens.lease set expires_at = sallyport_tokens.now_ms() + $3::bigint where key = $1 and holder = $2 returning 1`

export const DROP_LEASE = 'delete from sallyport_tokens.lease where key = $1 and holder = $2'

export const SETTINGS = `
  select pg_catalog.current_setting('fsync') as fsync, pg_catalog.current_setting('full_page_writes') as full_page_writes,
    pg_catalog.current_setting('synchronous_commit') as synchronous_commit`

/** $1 name, $2 sealed, $3 how long it lives, $4 how long ended ones are remembered. */
export const PUT_STATE = `
  with forgotten as (delete from sallyport_tokens.connect_state where ends_at < sallyport_tokens.now_ms() - $4::bigint)
  insert into sallyport_tokens.connect_state (name, sealed, ends_at) values ($1, $2::bytea, sallyport_tokens.now_ms() + $3::bigint)`

/** Who comes second waits for the first, and then finds nothing sealed. */
export const TAKE_STATE = `
  with standing as (select name, sealed from sallyport_tokens.connect_state where name = $1 for update)
  update sallyport_tokens.connect_state s set sealed = null from standing
    where s.name = standing.name and standing.sealed is not null and s.ends_at > sallyport_tokens.now_ms()
  returning standing.sealed`

export const HOW_STATE_STANDS = 'select sealed is null as used from sallyport_tokens.connect_state where name = $1'

/** 1 name. */
export const READ_STATE = 'select sealed, ends_at <= sallyport_tokens.now_ms() as ended from sallyport_tokens.connect_state where name = $1'
