/** Owns the lineage of credentials: insert-only versions of one connection. Refuses to change one. */
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { ConnectionId } from '@sallyport/core'
import type { SavedAs } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'

export interface CredentialVersion {
  readonly connection: ConnectionId
  readonly seq: bigint
  /** The version it was refreshed from; null for one that a person's consent made. */
  readonly parentSeq: bigint | null
  readonly generation: number
  /** Null: it holds no refresh token, or is from before fingerprints were taken. */
  readonly rtFingerprint: Buffer | null
  /** An envelope, sealed to this connection and sequence number. */
  readonly sealed: Buffer
  readonly obtainedAt: Date
  readonly expiresAt: Date | null
}

export interface NewCredentialVersion extends Omit<CredentialVersion, 'obtainedAt'> {
  /** The refresh that brought it. */
  readonly saved?: { readonly intent: string; readonly as: SavedAs }
}

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
      generation: version.generation,
      rt_fingerprint: version.rtFingerprint,
      refreshable: version.rtFingerprint !== null,
      sealed: version.sealed,
      expires_at: version.expiresAt,
      intent_id: version.saved?.intent ?? null,
      saved_as: version.saved?.as ?? null,
      // Not the transaction's beginning: it may have waited for another's.
      obtained_at: sql<Date>`clock_timestamp()`,
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
  return row && version(row)
}

export async function credentialFind(tx: TenantTx, connection: ConnectionId, seq: bigint): Promise<CredentialVersion | undefined> {
  const row = await versionsOf(tx, connection).where('seq', '=', String(seq)).executeTakeFirst()
  return row && version(row)
}

/** Of a query over connections `c`: whose person consented after `moment`. The consent of a version that was forgotten is a month old. */
export function consentedAfter(moment: Date): RawBuilder<boolean> {
  return sql<boolean>`exists (
    select from sallyport.credential_version v
    where v.org_id = c.org_id and v.connection_id = c.id and v.generation = c.generation and v.parent_seq is null
      and v.obtained_at > ${moment})`
}

/** What became of a refresh whose answer was saved. */
export async function credentialSavedAs(tx: TenantTx, connection: ConnectionId, intent: string): Promise<SavedAs | undefined> {
  const row = await versionsOf(tx, connection).where('intent_id', '=', intent).executeTakeFirst()
  return row?.saved_as ?? undefined
}

/** Versions of a generation but `head`, newest first. */
export async function credentialSiblings(
  tx: TenantTx,
  connection: ConnectionId,
  at: { readonly generation: number; readonly head: bigint },
): Promise<CredentialVersion[]> {
  const rows = await versionsOf(tx, connection)
    .where('generation', '=', at.generation)
    .where('seq', '<>', String(at.head))
    .orderBy('seq', 'desc')
    .execute()
  return rows.map(version)
}

/** Forgets versions obtained before `before` that are neither a head nor what a refresh under way was begun with. How many. */
export async function credentialPrune(tx: TenantTx, before: Date): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from sallyport.credential_version v
    where v.org_id = ${tx.org} and v.obtained_at < ${before}
      and not exists (
        select from sallyport.connection c where c.org_id = v.org_id and c.id = v.connection_id and c.head_seq = v.seq)
      and not exists (
        select from sallyport.refresh_intent i
        where i.org_id = v.org_id and i.connection_id = v.connection_id and i.parent_seq = v.seq)`.execute(tx)
  return Number(numAffectedRows ?? 0n)
}

/** Forgets every version of a connection that has ended, and the refresh under way. Answers how many versions there were. */
export async function credentialDeleteAll(tx: TenantTx, connection: ConnectionId): Promise<number> {
  await tx.deleteFrom('sallyport.refresh_intent').where('org_id', '=', tx.org).where('connection_id', '=', connection).execute()
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.credential_version')
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', connection)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

function versionsOf(tx: TenantTx, connection: ConnectionId) {
  return tx.selectFrom('sallyport.credential_version').selectAll().where('org_id', '=', tx.org).where('connection_id', '=', connection)
}

type Row = Awaited<ReturnType<ReturnType<typeof versionsOf>['executeTakeFirstOrThrow']>>

function version(row: Row): CredentialVersion {
  return {
    connection: row.connection_id,
    seq: BigInt(row.seq),
    parentSeq: row.parent_seq === null ? null : BigInt(row.parent_seq),
    generation: row.generation,
    rtFingerprint: row.rt_fingerprint,
    sealed: row.sealed,
    obtainedAt: row.obtained_at,
    expiresAt: row.expires_at,
  }
}
