/**
 * Owns the making of versions: the one place where tokens become a row, sealed to their connection and number, with the fingerprint of their
 * refresh token; and of which connection a refresh token is. Refuses a transaction that doesn't hold the connection.
 */
import { frame, hmacSha256, readTokenSet, writeTokenSet } from '@sallyport/core'
import type { ConnectionId, CredentialVersion, KeyObject, Secret, TokenSet } from '@sallyport/core'
import {
  credentialInsert,
  credentialNextSeq,
  grantConnect,
  grantHold,
  grantRead,
  refreshTokenClaim,
  refreshTokenHolders,
  refreshTokenShare,
} from '../db/index.ts'
import type { ConnectionStatus, NewCredentialVersion, TenantTx } from '../db/index.ts'
import type { CredentialVersion as SealedVersion } from '../db/index.ts'
import { credentialPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface LineageOptions {
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  /** `refresh_fingerprint` of the installation. */
  readonly fingerprintKey: KeyObject
}

/** Told which connections hold the refresh token already. It throws, or lets one more hold it: which of the two is its caller's to know. */
export type OnHeld = (holders: readonly ConnectionId[]) => void | Promise<void>

export interface Consent {
  /** Asked when another connection holds the refresh token. A `candidate` for a connection holds none until it is `claim`ed. */
  readonly onHeld: OnHeld | 'candidate'
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
    consent: Consent,
  ): Promise<{ readonly generation: number; readonly seq: bigint } | undefined>
  /** Inserts the successor of `parentSeq`; what it is to the connection is the caller's. */
  insert(
    tx: TenantTx,
    id: ConnectionId,
    version: Pick<NewCredentialVersion, 'parentSeq' | 'generation' | 'saved'> & {
      readonly tokens: TokenSet
      /** Of the connection's integration. */
      readonly provider: string
      readonly onHeld: OnHeld | 'candidate'
    },
  ): Promise<bigint>
  /** Makes the connection a holder of its version's refresh token, where that was left open: a `candidate` became a connection. */
  claim(
    tx: TenantTx,
    id: ConnectionId,
    version: { readonly seq: bigint; readonly tokens: TokenSet; readonly provider: string; readonly onHeld: OnHeld },
  ): Promise<void>
  /**
   * The connections of the organization that hold one of these refresh tokens of `provider`, in whichever place: as their head's, or as one that is
   * spent or stands beside it. What another organization holds is not seen.
   */
  holders(tx: TenantTx, provider: string, refreshTokens: readonly Secret[]): Promise<readonly ConnectionId[]>
  /** @throws TokenError `credential_malformed`, and as `Vault.openIn`. */
  open(tx: TenantTx, sealed: SealedVersion): Promise<CredentialVersion>
}

export function createLineage({ vault, fingerprintKey }: LineageOptions): Lineage {
  const claim: Lineage['claim'] = async (tx, id, { seq, tokens: { refreshToken }, provider, onHeld }) => {
    if (refreshToken === null) return
    const token = { fingerprint: fingerprintOfAll(fingerprintKey, tx, provider, refreshToken), connection: id, seq }
    const holders = await refreshTokenClaim(tx, token)
    if (holders.length === 0) return
    await onHeld(holders)
    await refreshTokenShare(tx, token)
  }
  const insert: Lineage['insert'] = async (tx, id, { tokens, provider, onHeld, ...version }) => {
    const seq = await credentialNextSeq(tx, id)
    await credentialInsert(tx, {
      connection: id,
      seq,
      ...version,
      rtFingerprint: fingerprint(fingerprintKey, tx, id, tokens),
      sealed: await vault.seal(tx, credentialPlace(id, seq), writeTokenSet(tokens)),
      expiresAt: tokens.expiresAt === null ? null : new Date(tokens.expiresAt),
    })
    if (onHeld !== 'candidate') await claim(tx, id, { seq, tokens, provider, onHeld })
    return seq
  }
  return {
    insert,
    claim,
    holders: (tx, provider, refreshTokens) =>
      refreshTokenHolders(
        tx,
        refreshTokens.map((token) => fingerprintOfAll(fingerprintKey, tx, provider, token)),
      ),
    async consent(tx, id, tokens, { generation: decided, status, onHeld }) {
      const grant = (await grantHold(tx, id)) ? await grantRead(tx, id) : undefined
      if (grant === undefined || (decided !== undefined && grant.generation !== decided)) return undefined
      const generation = grant.headSeq === 0n ? grant.generation : grant.generation + 1
      const seq = await insert(tx, id, { parentSeq: null, generation, tokens, provider: grant.provider, onHeld })
      await grantConnect(tx, id, { head: seq, generation, ...(status === undefined ? {} : { status }) })
      return { generation, seq }
    },
    async open(tx, { connection, seq, parentSeq, generation, sealed, obtainedAt }) {
      const text = await vault.openIn(tx, credentialPlace(connection, seq), sealed)
      return { seq, parentSeq, generation, tokens: readTokenSet(text), obtainedAt: obtainedAt.getTime() }
    },
  }
}

/**
 * The same for whichever connection of the organization has the token, and for no other organization's. By provider and not by integration: two
 * integrations of one client end each other's grants just as well. The key is the installation's and never changes, whatever data and root keys do.
 */
function fingerprintOfAll(key: KeyObject, { org }: TenantTx, provider: string, refreshToken: Secret): Buffer {
  return hmacSha256(key, frame(['refresh-token-holder', org, provider]), refreshToken)
}

/** Keyed and of this connection alone: equal fingerprints say nothing across connections. */
function fingerprint(key: KeyObject, { org }: TenantTx, id: ConnectionId, { refreshToken }: TokenSet): Buffer | null {
  return refreshToken === null ? null : hmacSha256(key, frame([org, id]), refreshToken)
}
