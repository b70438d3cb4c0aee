/** Owns reading and appending the audit log. Refuses to change it; the database does too. */
import { sql } from 'kysely'
import type { OrgId } from '@sallyport/core'
import { markMade } from '../creation-mark.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page } from './page.ts'

export interface StoredAuditEvent {
  readonly org: OrgId
  readonly seq: bigint
  /** As it was hashed: `YYYY-MM-DDTHH:MM:SS.ssssssZ`. A Date would lose the microseconds. */
  readonly at: string
  readonly action: string
  readonly actor: string
  readonly target: string
  /** Canonical JSON text (RFC 8785) of an object, as it was hashed. */
  readonly detail: string
  /** 2 with personal facts, 1 without: which bytes were hashed. */
  readonly form: number
  /** What it says of a person, sealed, in base64url; null when it says nothing of one. */
  readonly personal: string | null
  readonly prevHash: Buffer
  readonly hash: Buffer
}

export interface AuditHead {
  readonly seq: bigint
  readonly hash: Buffer
}

/** What the caller may decide of an event; the rest is the database's. */
export interface NewAuditEvent {
  readonly action: string
  readonly actor: string
  readonly target: string
  /** Canonical JSON text of an object. */
  readonly detail: string
  /** Base64url. */
  readonly personal?: string
}

/**
 * Appends in order and answers the new head, which is committed with the transaction. Holds the lock of the organization's log until then:
 * call it last. @throws DatabaseError `database_query_failed` for a detail that is no JSON object.
 */
export async function auditAppend(tx: TenantTx, events: readonly NewAuditEvent[]): Promise<AuditHead> {
  const head = auditHeadOf((await auditAppending(events).execute(tx)).rows)
  await markMade(tx, events)
  return head
}

export interface AuditHeadRow {
  readonly head_seq: string
  readonly head_hash: Buffer
}

/** The statement of `auditAppend`, for one that does more. */
export function auditAppending(events: readonly NewAuditEvent[]) {
  return sql<AuditHeadRow>`select head_seq, head_hash from sallyport.audit_append(${JSON.stringify(events)}::jsonb)`
}

/** What `auditAppending` answered. */
export function auditHeadOf([head]: readonly AuditHeadRow[]): AuditHead {
  if (head === undefined) throw new TypeError('audit_append gave no head')
  return { seq: BigInt(head.head_seq), hash: head.head_hash }
}

/**
 * The last event as the log's own counter knows it, and, at the same moment, the highest number in the log; null where there is none. One
 * statement, so that an append can't come between the two.
 */
export async function auditEndFind(tx: TenantTx): Promise<{ head: AuditHead | null; last: bigint | null }> {
  const { rows } = await sql<{ seq: string | null; hash: Buffer | null; last: string | null }>`
    select h.seq, h.hash, e.last
    from (select max(seq) as last from sallyport.audit_event where org_id = ${tx.org}) e
    left join sallyport.audit_head h on h.org_id = ${tx.org}`.execute(tx)
  const { seq = null, hash = null, last = null } = rows[0] ?? {}
  return { head: seq === null || hash === null ? null : { seq: BigInt(seq), hash }, last: last === null ? null : BigInt(last) }
}

export async function auditEventFind(tx: TenantTx, seq: bigint): Promise<StoredAuditEvent | undefined> {
  const row = await events(tx).where('seq', '=', String(seq)).executeTakeFirst()
  return row && auditEvent(row)
}

/** Newest first: the events before `after`. */
export function auditEventList(tx: TenantTx, page: Page<bigint>): Promise<StoredAuditEvent[]> {
  return auditEventListFiltered(tx, {}, page, 'descending')
}

/** All that is named must hold. */
export interface AuditEventFilter {
  readonly action?: string | undefined
  readonly actor?: string | undefined
  readonly target?: string | undefined
  /** What came of it, as its action says. */
  readonly outcome?: AuditOutcome | undefined
  /** From this moment on, RFC 3339. */
  readonly from?: string | undefined
  /** Up to this moment, and not at it. */
  readonly until?: string | undefined
}

export type AuditOutcome = 'done' | 'refused' | 'failed'

/** Verbs of actions by which something was refused, or failed; all others were done. */
const NOT_DONE: Readonly<Record<Exclude<AuditOutcome, 'done'>, string>> = {
  refused: '[._](refused|denied|rejected)$',
  failed: '[._](failed|broken|orphaned)$',
}

/** Indexes audit_event_action, _actor and _target; a filter by time or outcome alone walks the log from the end that it begins at. */
export async function auditEventListFiltered(
  tx: TenantTx,
  { action, actor, target, outcome, from, until }: AuditEventFilter,
  page: Page<bigint>,
  order: 'ascending' | 'descending',
): Promise<StoredAuditEvent[]> {
  const [onward, direction] = order === 'ascending' ? (['>', 'asc'] as const) : (['<', 'desc'] as const)
  const rows = await events(tx)
    .$if(page.after !== undefined, (query) => query.where('seq', onward, String(page.after)))
    .$if(action !== undefined, (query) => query.where('action', '=', action!))
    .$if(actor !== undefined, (query) => query.where('actor', '=', actor!))
    .$if(target !== undefined, (query) => query.where('target', '=', target!))
    .$if(from !== undefined, (query) => query.where(sql<boolean>`at >= ${from}::timestamptz`))
    .$if(until !== undefined, (query) => query.where(sql<boolean>`at < ${until}::timestamptz`))
    .$if(outcome !== undefined, (query) => query.where(outcomeIs(outcome!)))
    .orderBy('seq', direction)
    .limit(page.limit)
    .execute()
  return rows.map(auditEvent)
}

function outcomeIs(outcome: AuditOutcome) {
  if (outcome !== 'done') return sql<boolean>`action ~ ${NOT_DONE[outcome]}`
  return sql<boolean>`action !~ ${NOT_DONE.refused} and action !~ ${NOT_DONE.failed}`
}

/**
 * How often something was done in the last `seconds`, and exactly: whoever else would append waits until this transaction ends. Index
 * audit_event_action; not for `credential.used`.
 */
export async function auditCountRecent(tx: TenantTx, action: string, seconds: number): Promise<number> {
  await auditAppend(tx, [])
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from sallyport.audit_event
    where org_id = ${tx.org} and action = ${action} and action <> 'credential.used'
      and at > clock_timestamp() - make_interval(secs => ${seconds}::double precision)`.execute(tx)
  return rows[0]!.n
}

/** Oldest first: the events after `page.after`, for walking the chain. */
export async function auditEventListAscending(tx: TenantTx, page: Page<bigint>): Promise<StoredAuditEvent[]> {
  const rows = await events(tx)
    .where('seq', '>', String(page.after ?? 0n))
    .orderBy('seq')
    .limit(page.limit)
    .execute()
  return rows.map(auditEvent)
}

function events(tx: TenantTx) {
  return tx
    .selectFrom('sallyport.audit_event')
    .select(['org_id', 'seq', 'action', 'actor', 'target', 'detail', 'form', 'personal', 'prev_hash', 'hash'])
    .select(sql<string>`to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as('at'))
    .where('org_id', '=', tx.org)
}

type Row = Awaited<ReturnType<ReturnType<typeof events>['executeTakeFirstOrThrow']>>

function auditEvent(row: Row): StoredAuditEvent {
  return {
    org: row.org_id,
    seq: BigInt(row.seq),
    at: row.at,
    action: row.action,
    actor: row.actor,
    target: row.target,
    detail: row.detail,
    form: row.form,
    personal: row.personal,
    prevHash: row.prev_hash,
    hash: row.hash,
  }
}
