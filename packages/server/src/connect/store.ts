/**
 * Owns the one transaction that turns an authorization into rows. Refuses to write any of it unless the session still waits for the answer,
 * and to put one account's credential under another's connection.
 *
 * A session makes at most one connection, and that connection has the session's id: the primary key says so. When a session reconnects, the row of
 * that id is only the candidate that waits for confirmation; the connection itself keeps its id and gets the credential then. The same where a
 * provider gives its user the refresh token again that a connection of that user holds already: one token is one connection.
 */
import { formatId, missingScopes, randomToken, readTokenSet, Secret, sha256 } from '@sallyport/core'
import type { ConnectionId, ConnectSessionId, ProviderAccount, TokenSet } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { OnHeld } from '../credentials/index.ts'
import {
  connectionActivate,
  connectionDeletePending,
  connectionDescribePending,
  connectionFind,
  connectionInsert,
  connectSessionAwait,
  connectSessionUpdate,
  credentialHead,
  integrationClientHeld,
} from '../db/index.ts'
import type { Connection, TenantTx } from '../db/index.ts'
import { credentialPlace } from '../vault/index.ts'
import { ConnectError } from './errors.ts'
import type { Flow } from './flow.ts'
import type { ConnectContext } from './options.ts'

/** What the browser is told. */
export type Outcome =
  /** The application must confirm with this code. */
  | { readonly kind: 'awaiting'; readonly code: Secret }
  /** A person in the console connected it for themselves: nothing is left to do. */
  | { readonly kind: 'connected'; readonly missing: readonly string[] }

/** The connection that this session makes, or the candidate for the one it reconnects. */
export function connectionOf(session: ConnectSessionId): ConnectionId {
  return session as string as ConnectionId
}

/**
 * @throws ConnectError `connect_session_invalid` when another step was first, or the integration is another client by now than the one it was granted to;
 * `connect_user_mismatch` for another account than before.
 */
export async function storeAuthorized(context: ConnectContext, flow: Flow, tokens: TokenSet, account: ProviderAccount): Promise<Outcome> {
  return context.database.withTenant(flow.org, async (tx) => {
    if ((await integrationClientHeld(tx, flow.integration.id)) !== flow.integration.clientId) throw movedOn()
    const target = await targetOf(context, tx, flow, tokens, account)
    if (flow.session.consoleSessionHash === null) return storeAwaiting(context, tx, flow, tokens, account)
    return storeConnected(context, tx, flow, tokens, account, target)
  })
}

async function storeAwaiting(
  context: ConnectContext,
  tx: TenantTx,
  flow: Flow,
  tokens: TokenSet,
  account: ProviderAccount,
): Promise<Outcome> {
  const { session } = flow
  const code = new Secret(randomToken(32))
  const made = connectionOf(session.id)
  await insertPending(context, tx, flow, tokens, account, 'candidate')
  const waits = await connectSessionAwait(tx, session.id, {
    completionHash: sha256(code),
    connection: session.connection ?? made,
    ttlSeconds: context.limits.completionTtlS,
  })
  if (!waits) throw movedOn()
  await appendAudit(tx, {
    action: 'connection.authorized',
    actor: 'system',
    target: formatId('conn', session.connection ?? made),
    detail: { session: formatId('cs', session.id), integration: formatId('int', flow.integration.id) },
  })
  return { kind: 'awaiting', code }
}

async function storeConnected(
  context: ConnectContext,
  tx: TenantTx,
  flow: Flow,
  tokens: TokenSet,
  account: ProviderAccount,
  target: Connection | undefined,
): Promise<Outcome> {
  const { session } = flow
  const made = target?.id ?? connectionOf(session.id)
  const done = await connectSessionUpdate(tx, session.id, ['authorizing'], { status: 'completed' })
  if (done === undefined) throw movedOn()
  let generation = 1
  if (target === undefined) await insertPending(context, tx, flow, tokens, account, heldElsewhere(flow))
  else generation = await replaceCredential(context, tx, flow, target, tokens)
  const missing = await activate(tx, flow, generation, made, tokens.scopes, account)
  if (!session.reconnect) await connectSessionUpdate(tx, session.id, ['completed'], { connection: made })
  await auditConnected(tx, flow, session.startedBy, made, target !== undefined)
  return { kind: 'connected', missing }
}

/**
 * Confirms what `storeAwaiting` left: the pending connection becomes usable, or the candidate's credential moves to the connection that is
 * reconnected.
 * @throws ConnectError `connect_session_invalid` when it was taken back meanwhile; `conflict` when the connection changed meanwhile.
 */
export async function storeConfirmed(context: ConnectContext, tx: TenantTx, flow: Flow, actor: string): Promise<ConnectionId> {
  const { session } = flow
  const pending = await connectionFind(tx, session, connectionOf(session.id))
  if (pending?.account === null || pending?.status !== 'pending') throw movedOn()
  const { seq, tokens } = await openCandidate(context, tx, pending.id)
  const target = await targetOf(context, tx, flow, tokens, pending.account)
  if (target === undefined) {
    await context.lineage.claim(tx, pending.id, { seq, tokens, provider: flow.integration.provider, onHeld: heldElsewhere(flow) })
    await activate(tx, flow, pending.generation, pending.id, pending.grantedScopes, pending.account)
    await auditConnected(tx, flow, actor, pending.id, false)
    return pending.id
  }
  // The candidate would take the session along that names it.
  if (!session.reconnect) {
    await connectSessionUpdate(tx, session.id, ['awaiting_confirmation'], { connection: target.id })
  }
  await connectionDeletePending(tx, pending.id)
  const generation = await replaceCredential(context, tx, flow, target, tokens)
  await activate(tx, flow, generation, target.id, pending.grantedScopes, pending.account)
  await auditConnected(tx, flow, actor, target.id, true)
  return target.id
}

/**
 * The connection that gets what was authorized, where there is one: the one that the session reconnects, or the one of the same user, integration and
 * account that holds this very refresh token.
 */
async function targetOf(
  context: ConnectContext,
  tx: TenantTx,
  flow: Flow,
  { refreshToken }: TokenSet,
  account: ProviderAccount,
): Promise<Connection | undefined> {
  const { session, integration } = flow
  if (session.reconnect) return requireSameAccount(tx, flow, account)
  if (refreshToken === null) return undefined
  for (const id of await context.lineage.holders(tx, integration.provider, [refreshToken])) {
    const holder = await connectionFind(tx, session, id)
    const sameUser = holder?.integration === integration.id && holder.endUserId === session.endUserId
    if (sameUser && (holder.account === null || holder.account.id === account.id)) return holder
  }
  return undefined
}

/** Where tokens rotate, two connections with one of them end each other. Where they don't, an account that several users share has one for all of them. */
function heldElsewhere({ provider }: Flow): OnHeld {
  return () => {
    if (provider.rotation.kind !== 'none') throw new ConnectError('refresh_token_held', 'another connection holds the refresh token')
  }
}

/** Sealed to the candidate's own row, it must be opened there and sealed anew for where it goes. */
async function openCandidate(
  context: ConnectContext,
  tx: TenantTx,
  candidate: ConnectionId,
): Promise<{ readonly seq: bigint; readonly tokens: TokenSet }> {
  const version = await credentialHead(tx, candidate)
  if (version === undefined) throw movedOn()
  return { seq: version.seq, tokens: readTokenSet(await context.vault.openIn(tx, credentialPlace(candidate, version.seq), version.sealed)) }
}

async function insertPending(
  context: ConnectContext,
  tx: TenantTx,
  flow: Flow,
  tokens: TokenSet,
  account: ProviderAccount,
  onHeld: OnHeld | 'candidate',
): Promise<void> {
  const { session, integration } = flow
  const id = connectionOf(session.id)
  await connectionInsert(tx, {
    id,
    project: session.project,
    environment: session.environment,
    integration: integration.id,
    endUserId: session.endUserId,
  })
  await context.lineage.consent(tx, id, tokens, { onHeld })
  await connectionDescribePending(tx, id, { grantedScopes: tokens.scopes, account })
}

/** A new generation: whoever reads the new credential reads it as another generation's (battery O-23). */
async function replaceCredential(context: ConnectContext, tx: TenantTx, flow: Flow, target: Connection, tokens: TokenSet): Promise<number> {
  const made = await context.lineage.consent(tx, target.id, tokens, { generation: target.generation, onHeld: heldElsewhere(flow) })
  if (made === undefined) throw changedMeanwhile()
  return made.generation
}

/** Usable, or marked as lacking scopes (battery O-21). Gives the missing ones. */
async function activate(
  tx: TenantTx,
  { integration, provider }: Flow,
  generation: number,
  id: ConnectionId,
  grantedScopes: readonly string[],
  account: ProviderAccount,
): Promise<readonly string[]> {
  const missing = missingScopes(integration.scopes, grantedScopes, provider.scopeContents)
  const status = missing.length === 0 ? 'active' : 'insufficient_scope'
  if (!(await connectionActivate(tx, id, { generation, status, grantedScopes, account }))) throw changedMeanwhile()
  return missing
}

/** A connection stays one account for life: connecting another account under it is refused, and needs a connection of its own. */
async function requireSameAccount(tx: TenantTx, { session }: Flow, account: ProviderAccount): Promise<Connection> {
  const target = session.connection === null ? undefined : await connectionFind(tx, session, session.connection)
  if (target === undefined) throw movedOn()
  if (target.account !== null && target.account.id !== account.id) {
    throw new ConnectError('connect_user_mismatch', 'another account came back than the one that was connected')
  }
  return target
}

function auditConnected(
  tx: TenantTx,
  { session, integration }: Flow,
  actor: string,
  connection: ConnectionId,
  reconnected: boolean,
): Promise<void> {
  return appendAudit(tx, {
    action: reconnected ? 'connection.reconnected' : 'connection.created',
    actor,
    target: formatId('conn', connection),
    detail: { session: formatId('cs', session.id), integration: formatId('int', integration.id) },
  })
}

function movedOn(): ConnectError {
  return new ConnectError('connect_session_invalid', 'the session moved on')
}

function changedMeanwhile(): ConnectError {
  return new ConnectError('conflict', 'the connection changed meanwhile', { publicDetail: 'The connection changed meanwhile. Try again.' })
}
