/**
 * Owns the writes of a refresh beside the versions: the intent, the failure, the end of a grant. Refuses all of them from a transaction that
 * has not held the connection first: whoever holds it reads what the one before has committed.
 */
import { sql } from 'kysely'
import type { ConnectionId, RefreshTrouble } from '@sallyport/core'
import type { ConnectionStatus, IntentState } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import { failureOf } from './connection.ts'
import type { ConnectionFailure } from './connection.ts'

/** A connection's credential without the credential. */
export interface Grant {
  readonly status: ConnectionStatus
  readonly generation: number
  /** 0n: there is none yet, or none any more. */
  readonly headSeq: bigint
  readonly grantedScopes: readonly string[]
  /** Of its integration. */
  readonly provider: string
  readonly failure: ConnectionFailure | null
  readonly intent: Intent | null
  /** The database's clock. */
  readonly now: Date
}

export interface Intent {
  readonly id: string
  readonly generation: number
  readonly parentSeq: bigint
  readonly headSeq: bigint
  readonly attempt: number
  readonly node: string
  readonly startedAt: Date
  readonly state: IntentState
}

export type NewIntent = Omit<Intent, 'startedAt' | 'state'>

/** Holds the connection against other writers until the transaction ends. False when it is gone. */
export async function grantHold(tx: TenantTx, id: ConnectionId): Promise<boolean> {
  const row = await tx
    .selectFrom('sallyport.connection')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row !== undefined
}

/** All of one moment. A statement of its own after `grantHold`: one that waits for a lock reads other tables as they were before. */
export async function grantRead(tx: TenantTx, id: ConnectionId): Promise<Grant | undefined> {
  const row = await tx
    .selectFrom('sallyport.connection as c')
    .innerJoin('sallyport.integration as g', (join) => join.onRef('g.org_id', '=', 'c.org_id').onRef('g.id', '=', 'c.integration_id'))
    .leftJoin('sallyport.refresh_intent as i', (join) => join.onRef('i.org_id', '=', 'c.org_id').onRef('i.connection_id', '=', 'c.id'))
    .select([
      'c.status',
      'c.generation',
      'c.head_seq',
      'c.granted_scopes',
      'g.provider',
      'c.trouble',
      'c.failing_since',
      'c.failed_at',
      'c.retry_at',
      'c.failures',
    ])
    .select([
      'i.id as intent',
      'i.generation as intent_generation',
      'i.parent_seq',
      'i.head_seq as intent_head_seq',
      'i.attempt',
      'i.node',
      'i.started_at',
      'i.state',
    ])
    .select(now().as('now'))
    .where('c.org_id', '=', tx.org)
    .where('c.id', '=', id)
    .executeTakeFirst()
  if (row === undefined) return undefined
  return {
    status: row.status,
    generation: row.generation,
    headSeq: BigInt(row.head_seq),
    grantedScopes: row.granted_scopes,
    provider: row.provider,
    failure: failureOf(row),
    intent:
      row.intent === null
        ? null
        : {
            id: row.intent,
            generation: row.intent_generation!,
            parentSeq: BigInt(row.parent_seq!),
            headSeq: BigInt(row.intent_head_seq!),
            attempt: row.attempt!,
            node: row.node!,
            startedAt: row.started_at!,
            state: row.state!,
          },
    now: row.now,
  }
}

/** Writes the intent in the place of the one that stands. Gives when it began. */
export async function intentPut(tx: TenantTx, connection: ConnectionId, intent: NewIntent): Promise<Date> {
  await intentDropAny(tx, connection)
  const { started_at } = await tx
    .insertInto('sallyport.refresh_intent')
    .values({
      org_id: tx.org,
      connection_id: connection,
      id: intent.id,
      generation: intent.generation,
      parent_seq: intent.parentSeq,
      head_seq: intent.headSeq,
      attempt: intent.attempt,
      node: intent.node,
      started_at: now(),
    })
    .returning('started_at')
    .executeTakeFirstOrThrow()
  return started_at
}

/** False when it does not stand (any more). */
export async function intentDrop(tx: TenantTx, connection: ConnectionId, intent: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.refresh_intent')
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', connection)
    .where('id', '=', intent)
    .executeTakeFirst()
  return numDeletedRows === 1n
}

/** Marks it as one whose end nobody knows, with what came back where something did. False when it does not stand. */
export async function intentDoubt(tx: TenantTx, connection: ConnectionId, intent: string, answer: Buffer | null): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.refresh_intent')
    .set({ state: 'unknown', ...(answer === null ? {} : { answer }) })
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', connection)
    .where('id', '=', intent)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Notes one more failure in a row. */
export async function grantFail(
  tx: TenantTx,
  id: ConnectionId,
  failure: { readonly trouble: RefreshTrouble; readonly retryInMs: number },
): Promise<void> {
  await connectionOf(tx, id).set(failed(failure)).execute()
}

/** Points at the version that calls use from now on, and forgets what failed before, be it that the grant was given up for lost. Scopes are written where they are given. */
export async function grantRenew(tx: TenantTx, id: ConnectionId, head: bigint, grantedScopes?: readonly string[]): Promise<void> {
  const status = sql<ConnectionStatus>`case status when 'reconnect_required' then 'active' else status end`
  await connectionOf(tx, id)
    .set({
      head_seq: head,
      status,
      ...(grantedScopes === undefined ? {} : { granted_scopes: [...grantedScopes] }),
      ...NO_FAILURE,
      updated_at: now(),
    })
    .execute()
}

/** Ends the grant and the refresh under way; versions stay. */
export async function grantEnd(
  tx: TenantTx,
  id: ConnectionId,
  status: Extract<ConnectionStatus, 'reconnect_required' | 'revoked'>,
  trouble: RefreshTrouble,
): Promise<void> {
  await intentDropAny(tx, id)
  await connectionOf(tx, id)
    .set({ ...failed({ trouble, retryInMs: 0 }), status })
    .execute()
}

/** A person's consent: the version is the head of a new generation, or of the first, and nothing has failed yet. */
export async function grantConnect(
  tx: TenantTx,
  id: ConnectionId,
  made: { readonly head: bigint; readonly generation: number; readonly status?: ConnectionStatus },
): Promise<void> {
  await intentDropAny(tx, id)
  await connectionOf(tx, id)
    .set({
      head_seq: made.head,
      generation: made.generation,
      ...(made.status === undefined ? {} : { status: made.status }),
      ...NO_FAILURE,
      updated_at: now(),
    })
    .execute()
}

/** Forgets that there was a credential. What is still under way for it belongs to a generation that is over. */
export async function grantForget(tx: TenantTx, id: ConnectionId, generation: number): Promise<void> {
  await connectionOf(tx, id)
    .set({ head_seq: 0, generation: generation + 1, status: 'revoked', ...NO_FAILURE, updated_at: now() })
    .execute()
}

const NO_FAILURE = { trouble: null, failing_since: null, failed_at: null, retry_at: null, failures: 0 }

function failed({ trouble, retryInMs }: { readonly trouble: RefreshTrouble; readonly retryInMs: number }) {
  return {
    trouble,
    // One moment for all of them.
    failing_since: sql<Date>`coalesce(failing_since, statement_timestamp())`,
    failed_at: sql<Date>`statement_timestamp()`,
    retry_at: sql<Date>`statement_timestamp() + make_interval(secs => ${retryInMs / 1000}::double precision)`,
    failures: sql<number>`failures + 1`,
    updated_at: now(),
  }
}

function connectionOf(tx: TenantTx, id: ConnectionId) {
  noteChange(tx, 'connection', id)
  return tx.updateTable('sallyport.connection').where('org_id', '=', tx.org).where('id', '=', id)
}

async function intentDropAny(tx: TenantTx, connection: ConnectionId): Promise<void> {
  await tx.deleteFrom('sallyport.refresh_intent').where('org_id', '=', tx.org).where('connection_id', '=', connection).execute()
}

function now() {
  return sql<Date>`clock_timestamp()`
}
