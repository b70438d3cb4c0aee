/** Owns the signed checkpoints of audit logs and the public keys of their signatures. Refuses to change either; the database does too. */
import { sql } from 'kysely'
import type { OrgId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'
import type { AuditHead } from './audit-event.ts'
import type { Page } from './page.ts'

export interface StoredCheckpoint {
  readonly org: OrgId
  /** From 1, without gaps. */
  readonly number: bigint
  /** The last event that it vouches for, and its hash. */
  readonly seq: bigint
  readonly hash: Buffer
  /** As it was signed: `YYYY-MM-DDTHH:MM:SS.ssssssZ`. */
  readonly at: string
  /** Digest of the checkpoint before; zeroes for the first. */
  readonly previous: Buffer
  /** Id of the signing key. */
  readonly key: string
  readonly signature: Buffer
}

export interface AuditSigningKey {
  readonly id: string
  /** 32 bytes. */
  readonly publicKey: Buffer
  readonly createdAt: Date
  /** Null: it signs. */
  readonly retiredAt: Date | null
}

/** The end of the log and its last checkpoint, at one moment of the database's clock. */
export interface CheckpointStart {
  readonly head: AuditHead | null
  readonly last: StoredCheckpoint | undefined
  readonly now: string
}

const AT = (column: string) => sql<string>`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

export async function checkpointStart(tx: TenantTx): Promise<CheckpointStart> {
  const { rows } = await sql<{ seq: string | null; hash: Buffer | null; now: string }>`
    select h.seq, h.hash, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now
    from (select 1) one left join sallyport.audit_head h on h.org_id = ${tx.org}`.execute(tx)
  const { seq, hash, now } = rows[0]!
  const last = await checkpoints(tx).orderBy('number', 'desc').limit(1).executeTakeFirst()
  return { head: seq === null || hash === null ? null : { seq: BigInt(seq), hash }, last: last && checkpoint(last), now }
}

/** Oldest first: those after `page.after`. */
export async function checkpointListAscending(tx: TenantTx, page: Page<bigint>): Promise<StoredCheckpoint[]> {
  const rows = await checkpoints(tx)
    .where('number', '>', String(page.after ?? 0n))
    .orderBy('number')
    .limit(page.limit)
    .execute()
  return rows.map(checkpoint)
}

/** False: another was appended meanwhile. @throws DatabaseError for one that vouches for what is not in the log. */
export async function checkpointPut(tx: TenantTx, its: Omit<StoredCheckpoint, 'org'>): Promise<boolean> {
  const { rows } = await sql<{ done: boolean }>`
    select sallyport.audit_checkpoint_put(${String(its.number)}::bigint, ${String(its.seq)}::bigint, ${its.hash}, ${its.at}::timestamptz,
      ${its.previous}, ${its.key}, ${its.signature}) as done`.execute(tx)
  return rows[0]?.done === true
}

/** Makes a key the one that signs; false when another than `replaces` signs by now. */
export async function auditSigningKeyPut(
  tx: TenantTx,
  key: Pick<AuditSigningKey, 'id' | 'publicKey'>,
  replaces: string | null,
): Promise<boolean> {
  const { rows } = await sql<{ done: boolean }>`
    select sallyport.audit_signing_key_put(${key.id}, ${key.publicKey}, ${replaces}) as done`.execute(tx)
  return rows[0]?.done === true
}

/** Every key of the installation, oldest first. They belong to no organization. */
export async function auditSigningKeyList(tx: TenantTx): Promise<AuditSigningKey[]> {
  const rows = await tx
    .selectFrom('sallyport.audit_signing_key')
    .select(['id', 'public_key', 'created_at', 'retired_at'])
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map((row) => ({ id: row.id, publicKey: row.public_key, createdAt: row.created_at, retiredAt: row.retired_at }))
}

function checkpoints(tx: TenantTx) {
  return tx
    .selectFrom('sallyport.audit_checkpoint')
    .select(['org_id', 'number', 'seq', 'hash', 'previous', 'key_id', 'signature'])
    .select(AT('at').as('at'))
    .where('org_id', '=', tx.org)
}

type Row = Awaited<ReturnType<ReturnType<typeof checkpoints>['executeTakeFirstOrThrow']>>

function checkpoint(row: Row): StoredCheckpoint {
  return {
    org: row.org_id,
    number: BigInt(row.number),
    seq: BigInt(row.seq),
    hash: row.hash,
    at: row.at,
    previous: row.previous,
    key: row.key_id,
    signature: row.signature,
  }
}
