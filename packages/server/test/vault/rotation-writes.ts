/** Owns the writes that a refresh does: the next version of a credential, and the connection's step to it. */
import { Secret } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { credentialInsert, grantRenew } from '../../src/db/index.ts'
import type { TenantTx } from '../../src/db/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import type { Vault } from '../../src/vault/index.ts'

/** Version `seq`, where `seq - 1` is the one in use. */
export async function credentialAdvance(tx: TenantTx, vault: Vault, connection: ConnectionId, seq: bigint): Promise<void> {
  const sealed = await vault.seal(tx, credentialPlace(connection, seq), new Secret(`not a token, version ${seq}`))
  await credentialInsert(tx, { connection, seq, parentSeq: seq - 1n, generation: 1, rtFingerprint: null, sealed, expiresAt: null })
  await grantRenew(tx, connection, seq)
}
