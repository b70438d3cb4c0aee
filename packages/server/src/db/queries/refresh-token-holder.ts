/**
 * Owns which connection holds which refresh token, by fingerprint. Refuses a token a second holder unless it is said to be shared: a unique index
 * decides, so that of two nodes that give one token to two connections at the same time the second finds the first.
 */
import { sql } from 'kysely'
import type { ConnectionId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'

export interface HeldToken {
  readonly fingerprint: Buffer
  readonly connection: ConnectionId
  /** The version that has it. */
  readonly seq: bigint
}

/** Times that a holder may go away just as it is found. */
const TURNS = 8

/**
 * Makes the connection a holder of the token, or points its row at the newer version. Gives the other connections that stand in its way, all that
 * hold the token; then it may not be written down yet (`refreshTokenShare`).
 */
export async function refreshTokenClaim(tx: TenantTx, token: HeldToken): Promise<readonly ConnectionId[]> {
  for (let turn = 0; turn < TURNS; turn++) {
    // Waits for whoever is writing the same token, and does nothing once that is committed.
    if (await inserted(tx, token, false)) return others(tx, token)
    if (await repointed(tx, token)) return []
    const holders = await others(tx, token)
    if (holders.length > 0) return holders
  }
  throw new TypeError('the holder of a refresh token came and went')
}

/** Notes the connection as one more holder of a token that another has. */
export async function refreshTokenShare(tx: TenantTx, token: HeldToken): Promise<void> {
  await inserted(tx, token, true)
}

/** The connections that hold one of these tokens, without repetition; first those that held it first. */
export async function refreshTokenHolders(tx: TenantTx, fingerprints: readonly Buffer[]): Promise<readonly ConnectionId[]> {
  if (fingerprints.length === 0) return []
  const rows = await tx
    .selectFrom('sallyport.refresh_token_holder')
    .select('connection_id')
    .where('org_id', '=', tx.org)
    .where('fingerprint', 'in', [...fingerprints])
    .orderBy('shared')
    .orderBy('connection_id')
    .execute()
  return [...new Set(rows.map(({ connection_id }) => connection_id))]
}

async function inserted(tx: TenantTx, { fingerprint, connection, seq }: HeldToken, shared: boolean): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('sallyport.refresh_token_holder')
    .values({ org_id: tx.org, fingerprint, connection_id: connection, seq, shared })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

async function repointed(tx: TenantTx, { fingerprint, connection, seq }: HeldToken): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.refresh_token_holder')
    .set({ seq: sql`greatest(seq, ${String(seq)}::bigint)` })
    .where('org_id', '=', tx.org)
    .where('fingerprint', '=', fingerprint)
    .where('connection_id', '=', connection)
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

async function others(tx: TenantTx, { fingerprint, connection }: HeldToken): Promise<readonly ConnectionId[]> {
  return (await refreshTokenHolders(tx, [fingerprint])).filter((holder) => holder !== connection)
}
