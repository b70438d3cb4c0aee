/** Owns the lineage of credentials: insert-only versions of one connection. Refuses to change one. */
import { sql } from 'kysely'
import type { ConnectionId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'

export interface CredentialVersion {
  readonly connection: ConnectionId
  readonly seq: bigint
  /** The version it was refreshed from; null for one that a person's consent made. */
  readonly parentSeq: bigint | null
  readonly rtFingerprint: Buffer | null
  /** An envelope, sealed to this connection and sequence number. */
  readonly sealed: Buffer
  readonly obtainedAt: Date
  readonly expiresAt: Date | null
}

export type NewCredentialVersion = Omit<CredentialVersion, 'obtainedAt'>

/** The number that the next version of this connection takes. Two may read the same; then the second insert is a `conflict`. */
export async function credentialNextSeq(tx: TenantTx, connection: ConnectionId): Promise<bigint> {
  const row = await tx
    .selectFrom('sallyport.credential_version')
    .select(sql<string>`coalesce(max(seq), 0) + 1`.as('next'))
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', connection)
    .executeTakeFirstOrThrow()
  return BigInt(row.next)
}

/** Stores a version; it is used once `connectionAdvanceHead` points at it. @throws DatabaseError `conflict` when the number is taken. */
export async function credentialInsert(tx: TenantTx, version: NewCredentialVersion): Promise<void> {
  await tx
    .insertInto('sallyport.credential_version')
    .values({
      org_id: tx.org,
      connection_id: version.connection,
      seq: version.seq,
      parent_seq: version.parentSeq,
      rt_fingerprint: version.rtFingerprint,
      sealed: version.sealed,
      expires_at: version.expiresAt,
    })
    .execute()
}

/** The version that the connection uses now. */
export async function credentialHead(tx: TenantTx, connection: ConnectionId): Promise<CredentialVersion | undefined> {
  const row = await tx
    .selectFrom('sallyport.connection as c')
    .innerJoin('sallyport.credential_version as v', (join) =>
      join.onRef('v.org_id', '=', 'c.org_id').onRef('v.connection_id', '=', 'c.id').onRef('v.seq', '=', 'c.head_seq'),
    )
    .selectAll('v')
    .where('c.org_id', '=', tx.org)
    .where('c.id', '=', connection)
    .executeTakeFirst()
  if (row === undefined) return undefined
  return {
    connection: row.connection_id,
    seq: BigInt(row.seq),
    parentSeq: row.parent_seq === null ? null : BigInt(row.parent_seq),
    rtFingerprint: row.rt_fingerprint,
    sealed: row.sealed,
    obtainedAt: row.obtained_at,
    expiresAt: row.expires_at,
  }
}

/** Forgets every version of a connection that has ended. Answers how many there were. */
export async function credentialDeleteAll(tx: TenantTx, connection: ConnectionId): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.credential_version')
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', connection)
    .executeTakeFirst()
  return Number(numDeletedRows)
}
