/**
 * Owns the one transaction that ends connections: their tokens move, sealed anew, to the queue of what the provider is to be told; the
 * connections lose credential, refresh under way and generation; reconnects under way end; the log says so. Refuses to leave any of these for later: after the commit no
 * call finds a token here, and no kill loses one there.
 */
import { formatId, newId, readTokenSet } from '@sallyport/core'
import type { ConnectionId, ConnectSessionId, RevocationId, TokenSet } from '@sallyport/core'
import { appendAudit, appendAuditAll } from '../audit/index.ts'
import type { JsonObject } from '../audit/index.ts'
import {
  connectionDeletePending,
  connectionEndMany,
  connectionHoldLive,
  connectSessionFail,
  connectSessionHoldReconnects,
  credentialListNewest,
  revocationInsertMany,
} from '../db/index.ts'
import type { EndingVersion, LiveConnection, NewRevocation, RevocationCause, TenantTx } from '../db/index.ts'
import { credentialPlace, revocationPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import { isUnreadable, tokensToRevoke, writeTokensToRevoke } from './tokens.ts'
import type { TokensToRevoke } from './tokens.ts'

export interface Ending {
  readonly actor: string
  readonly cause: RevocationCause
  /** False: the provider itself said that the grant is over there. */
  readonly tellProvider: boolean
  /** Further facts for the log; never a token, never a name of a person. */
  readonly detail?: JsonObject
  /** How long the queue leaves the revocation to the caller, who tries it at once. */
  readonly delaySeconds?: number
}

export interface Ended {
  readonly connection: ConnectionId
  /** Null: there is nothing to tell the provider. */
  readonly revocation: RevocationId | null
}

/** Versions of one connection whose tokens are looked at. Older ones are over at every provider that rotates. */
const NEWEST = 8

/** Ends those of `ids` that have not ended. Safe to repeat and to race: of two, the second finds nothing. */
export async function endConnections(
  tx: TenantTx,
  vault: Pick<Vault, 'seal' | 'openIn'>,
  ids: readonly ConnectionId[],
  ending: Ending,
): Promise<readonly Ended[]> {
  const flows = await connectSessionHoldReconnects(tx, ids)
  // What a reconnect has brought waits under the id of its session, and is held in the same order as the rest.
  const all = await connectionHoldLive(tx, [...ids, ...flows.map(({ session }) => candidateOf(session))])
  const wanted = new Set(ids)
  const live = all.filter(({ id }) => wanted.has(id))
  if (live.length === 0) return []
  const held = live.map(({ id }) => id)
  const versions = Map.groupBy(ending.tellProvider ? await credentialListNewest(tx, held, NEWEST) : [], ({ connection }) => connection)
  const made: NewRevocation[] = []
  for (const connection of live) {
    const tokens = await openTokens(tx, vault, versions.get(connection.id) ?? [])
    if (tokens !== undefined) made.push(await newRevocation(tx, vault, connection, tokens, ending))
  }
  await revocationInsertMany(tx, made)
  await connectionEndMany(tx, held)
  for (const { session, connection } of flows) if (held.includes(connection)) await endReconnect(tx, vault, session, ending.actor)
  const of = new Map(made.map(({ connection, id }) => [connection, id]))
  await appendAuditAll(
    tx,
    live.map((connection) => event(connection, ending, of.get(connection.id))),
  )
  return live.map(({ id }) => ({ connection: id, revocation: of.get(id) ?? null }))
}

/** A consent from before the end would bring the connection back. */
async function endReconnect(tx: TenantTx, vault: Pick<Vault, 'seal' | 'openIn'>, session: ConnectSessionId, actor: string): Promise<void> {
  await connectSessionFail(tx, session, 'connect_session_invalid')
  await takeBackPending(tx, vault, candidateOf(session))
  const detail = { code: 'connect_session_invalid' }
  await appendAudit(tx, { action: 'connect_session.failed', actor, target: formatId('cs', session), detail })
}

/** The candidate for what a session reconnects has the session's id. */
function candidateOf(session: ConnectSessionId): ConnectionId {
  return session as string as ConnectionId
}

async function newRevocation(
  tx: TenantTx,
  vault: Pick<Vault, 'seal'>,
  { id: connection, integration, accountId }: Pick<LiveConnection, 'id' | 'integration' | 'accountId'>,
  tokens: TokensToRevoke,
  { cause, delaySeconds = 0 }: Pick<Ending, 'cause' | 'delaySeconds'>,
): Promise<NewRevocation> {
  const id = newId('rev')
  const sealed = await vault.seal(tx, revocationPlace(id), writeTokensToRevoke(tokens))
  return { id, integration, connection, accountId, cause, sealed, delaySeconds }
}

/** Queues tokens that arrived after their connection had ended: a refresh that was under way brought them. */
export async function queueOrphan(
  tx: TenantTx,
  vault: Pick<Vault, 'seal'>,
  of: Pick<LiveConnection, 'id' | 'integration' | 'accountId'>,
  tokens: TokenSet,
): Promise<RevocationId | undefined> {
  const found = tokensToRevoke([{ tokens, lives: true }])
  if (found === undefined) return undefined
  const made = await newRevocation(tx, vault, of, found, { cause: 'orphaned' })
  await revocationInsertMany(tx, [made])
  return made.id
}

/**
 * Removes a connection that nobody confirmed, and queues its tokens: nobody will use them, and they live at the provider. False, and nothing done, when
 * there is none that is pending.
 */
export async function takeBackPending(tx: TenantTx, vault: Pick<Vault, 'seal' | 'openIn'>, id: ConnectionId): Promise<boolean> {
  const [pending] = (await connectionHoldLive(tx, [id])).filter(({ status }) => status === 'pending')
  if (pending === undefined) return false
  const tokens = await openTokens(tx, vault, await credentialListNewest(tx, [id], NEWEST))
  if (tokens !== undefined) await revocationInsertMany(tx, [await newRevocation(tx, vault, pending, tokens, { cause: 'orphaned' })])
  return connectionDeletePending(tx, id)
}

/** A version that does not open (its key was destroyed, its bytes changed) can't be taken back, and must not keep the connection alive. */
async function openTokens(
  tx: TenantTx,
  vault: Pick<Vault, 'openIn'>,
  versions: readonly EndingVersion[],
): Promise<TokensToRevoke | undefined> {
  const opened: { tokens: TokenSet; lives: boolean }[] = []
  for (const { connection, seq, sealed, lives } of versions) {
    try {
      opened.push({ tokens: readTokenSet(await vault.openIn(tx, credentialPlace(connection, seq), sealed)), lives })
    } catch (error) {
      if (!isUnreadable(error)) throw error
    }
  }
  return tokensToRevoke(opened)
}

function event({ id, generation, status }: LiveConnection, { actor, cause, detail = {} }: Ending, revocation: RevocationId | undefined) {
  const queued = revocation === undefined ? {} : { revocation: formatId('rev', revocation) }
  return {
    action: 'connection.revoked',
    actor,
    target: formatId('conn', id),
    detail: { cause, generation, was: status, ...queued, ...detail },
  }
}
