/**
 * Owns the making of versions: the one place where tokens become a row, sealed to their connection and number, with the fingerprint of their
 * refresh token. Refuses a transaction that doesn't hold the connection.
 */
import { frame, hmacSha256, readTokenSet, writeTokenSet } from '@sallyport/core'
import type { ConnectionId, CredentialVersion, KeyObject, TokenSet } from '@sallyport/core'
import { credentialInsert, credentialNextSeq, grantConnect, grantHold, grantRead } from '../db/index.ts'
import type { ConnectionStatus, NewCredentialVersion, TenantTx } from '../db/index.ts'
import type { CredentialVersion as SealedVersion } from '../db/index.ts'
import { credentialPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface LineageOptions {
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  /** `refresh_fingerprint` of the installation. */
  readonly fingerprintKey: KeyObject
}

export interface Consent {
  /** The generation that this was decided on; absent: whatever it is. */
  readonly generation?: number
  /** What the connection becomes; absent: it stays what it is, for the caller to say later in the transaction. */
  readonly status?: ConnectionStatus
}

export interface Lineage {
  /**
   * A person's consent: the tokens become the head of a new generation, without intent or failure. The first consent of a connection is its
   * first generation. Undefined, and nothing written, when the connection is gone or of another generation than was decided on.
   */
  consent(
    tx: TenantTx,
    id: ConnectionId,
    tokens: TokenSet,
    consent?: Consent,
  ): Promise<{ readonly generation: number; readonly seq: bigint } | undefined>
  /** Inserts the successor of `parentSeq`; what it is to the connection is the caller's. */
  insert(
    tx: TenantTx,
    id: ConnectionId,
    version: Pick<NewCredentialVersion, 'parentSeq' | 'generation' | 'saved'> & { readonly tokens: TokenSet },
  ): Promise<bigint>
  /** @throws TokenError `credential_malformed`, and as `Vault.openIn`. */
  open(tx: TenantTx, sealed: SealedVersion): Promise<CredentialVersion>
}

export function createLineage({ vault, fingerprintKey }: LineageOptions): Lineage {
  const insert: Lineage['insert'] = async (tx, id, { tokens, ...version }) => {
    const seq = await credentialNextSeq(tx, id)
    await credentialInsert(tx, {
      connection: id,
      seq,
      ...version,
      rtFingerprint: fingerprint(fingerprintKey, tx, id, tokens),
      sealed: await vault.seal(tx, credentialPlace(id, seq), writeTokenSet(tokens)),
      expiresAt: tokens.expiresAt === null ? null : new Date(tokens.expiresAt),
    })
    return seq
  }
  return {
    insert,
    async consent(tx, id, tokens, { generation: decided, status } = {}) {
      const grant = (await grantHold(tx, id)) ? await grantRead(tx, id) : undefined
      if (grant === undefined || (decided !== undefined && grant.generation !== decided)) return undefined
      const generation = grant.headSeq === 0n ? grant.generation : grant.generation + 1
      const seq = await insert(tx, id, { parentSeq: null, generation, tokens })
      await grantConnect(tx, id, { head: seq, generation, ...(status === undefined ? {} : { status }) })
      return { generation, seq }
    },
    async open(tx, { connection, seq, parentSeq, generation, sealed, obtainedAt }) {
      const text = await vault.openIn(tx, credentialPlace(connection, seq), sealed)
      return { seq, parentSeq, generation, tokens: readTokenSet(text), obtainedAt: obtainedAt.getTime() }
    },
  }
}

/** Keyed and of this connection alone: equal fingerprints say nothing across connections. */
function fingerprint(key: KeyObject, { org }: TenantTx, id: ConnectionId, { refreshToken }: TokenSet): Buffer | null {
  return refreshToken === null ? null : hmacSha256(key, frame([org, id]), refreshToken)
}
