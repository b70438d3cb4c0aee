/**
 * Owns the two steps that a browser takes: leaving for the provider and coming back from it. Refuses an answer unless it belongs to a state that
 * was just consumed, to this integration's own address, and to the browser (and console session) that left; only then is the code exchanged,
 * once.
 */
import {
  callbackState,
  digestEquals,
  exchangeCode,
  fetchAccount,
  formatId,
  generateProofKey,
  judgeAnswer,
  SallyportError,
  sha256,
  startAuthorization,
} from '@sallyport/core'
import type {
  AuthorizationRequest,
  AuthorizationServer,
  CodeExchange,
  OAuthClient,
  OrgId,
  Provider,
  ProviderAccount,
  Secret,
  TokenSet,
} from '@sallyport/core'
import { isAdmitted } from '../access/index.ts'
import { appendAudit } from '../audit/index.ts'
import {
  connectSessionFail,
  connectSessionFind,
  connectSessionUpdate,
  integrationFind,
  oauthStateDropOfSession,
  oauthStateInsert,
  projectFind,
} from '../db/index.ts'
import type { ConnectSession, Integration, OAuthStateRecord, Project, TenantTx } from '../db/index.ts'
import { cookieValues } from '../http/index.ts'
import { principalRef } from '../identity/index.ts'
import type { PersonPrincipal } from '../identity/index.ts'
import { queueOrphan } from '../revocation/index.ts'
import { clientSecretPlace, verifierPlace } from '../vault/index.ts'
import { browserHash } from './browser.ts'
import { connectError, ConnectError } from './errors.ts'
import type { ConnectContext } from './options.ts'
import { connectionOf, storeAuthorized } from './store.ts'
import type { Outcome } from './store.ts'

const TOKEN = /^[\w-]{43}$/u

/** A connect session with everything its pages and steps need to know. */
export interface Flow {
  readonly org: OrgId
  readonly session: ConnectSession
  readonly integration: Integration
  readonly project: Project
  readonly provider: Provider
}

/** The flow behind a link that can still begin. @throws ConnectError `connect_session_invalid`, `integration_not_configured`. */
export async function openFlow(context: ConnectContext, link: Secret): Promise<Flow> {
  const found = TOKEN.test(link.reveal()) ? await context.database.lookups.connectSessionLookup(sha256(link)) : undefined
  if (found === undefined || found.expired) throw over('the link is unknown or expired')
  const flow = await context.database.withTenant(found.org, (tx) => readFlow(context, tx, found.id))
  if (flow.session.status !== 'open' && flow.session.status !== 'authorizing') throw over('the link was used')
  return flow
}

/**
 * Sends the browser off: stores a fresh state bound to it, dropping the session's earlier ones, and gives the provider's address.
 * @param rawHeaders of the request, for the console session of flows that a person began.
 * @throws ConnectError as `openFlow`, and `connect_browser_mismatch`; `connect_exchange_failed` or `integration_not_configured` where the provider
 * publishes how it is to be asked, or takes requests from the client itself, and did not. The session stays as it is, for another try.
 */
export async function beginAuthorization(
  context: ConnectContext,
  flow: Flow,
  browser: Secret,
  rawHeaders: readonly string[],
): Promise<string> {
  const { org, session, integration } = flow
  await requireConsoleSession(context, flow, rawHeaders)
  const request = await started(context, flow)
  await context.database.withTenant(org, async (tx) => {
    const moved = await connectSessionUpdate(tx, session.id, ['open', 'authorizing'], { status: 'authorizing' })
    if (moved === undefined || moved.expired) throw over('the session moved on')
    await oauthStateDropOfSession(tx, session.id)
    await oauthStateInsert(tx, {
      stateHash: sha256(request.state),
      connectSession: session.id,
      context: integration.context,
      browserHash: browserHash(browser),
      verifier: await context.vault.seal(tx, verifierPlace(session.id), request.verifier),
      ttlSeconds: context.limits.stateTtlS,
    })
    await audit(tx, session, 'connect_session.authorizing', {})
  })
  return request.url
}

/** The request, handed in by ourselves where the provider takes it so (RFC 9126). No transaction is open meanwhile. */
async function started(context: ConnectContext, flow: Flow): Promise<AuthorizationRequest> {
  const { integration, provider } = flow
  try {
    return await startAuthorization({
      server: await context.servers.complete(provider.oauth),
      client: await clientOf(context, flow),
      redirectUri: redirectUri(context, integration),
      scopes: integration.scopes,
      fetch: context.fetch,
    })
  } catch (error) {
    const failure = connectError(error)
    if (failure instanceof ConnectError) logRefusal(context, flow, failure, 'a sign-in could not be begun at its provider')
    throw failure
  }
}

async function clientOf({ vault }: ConnectContext, { org, integration }: Flow): Promise<OAuthClient> {
  const clientSecret = await vault.open(org, clientSecretPlace(integration.id), integration.clientSecret)
  return { clientId: integration.clientId, clientSecret }
}

export interface Callback {
  /** Last segment of the address it came to. */
  readonly context: string
  /** Raw, without `?`. */
  readonly query: string
  readonly browser: Secret | undefined
  readonly rawHeaders: readonly string[]
}

/** A callback that was refused after its session was known: the page can lead back to the application. */
export class RefusedCallback extends Error {
  readonly flow: Flow

  constructor(flow: Flow, cause: unknown) {
    super('a callback was refused', { cause })
    this.flow = flow
  }
}

/**
 * Takes what came back through every check, exchanges the code once, and stores the connection. The state is consumed before anything else,
 * so that of any number of identical callbacks one goes on (battery O-04).
 * @throws ConnectError `connect_state_invalid` when no flow is known by it; RefusedCallback with the reason as cause afterwards.
 */
export async function finishAuthorization(
  context: ConnectContext,
  callback: Callback,
): Promise<{ readonly flow: Flow; readonly outcome: Outcome }> {
  const state = stateOf(callback.query)
  const consumed = await context.database.lookups.oauthStateConsume(sha256(state))
  if (consumed === undefined) throw new ConnectError('connect_state_invalid', 'no such state, or one that was used')
  const flow = await context.database.withTenant(consumed.org, (tx) => readFlow(context, tx, consumed.connectSession))
  const brought: Brought = { codeSpent: false }
  try {
    await requireSameFlow(context, flow, consumed, callback)
    const exchange = await preparedExchange(context, flow, consumed, callback.query, state)
    brought.codeSpent = true
    brought.tokens = await exchangeCode(exchange)
    brought.account = await fetchAccount(flow.provider.userinfo, brought.tokens.accessToken, context.fetch, exchange.dpop)
    return { flow, outcome: await storeAuthorized(context, flow, brought.tokens, brought.account) }
  } catch (error) {
    throw await refused(context, flow, connectError(error), brought)
  }
}

/** How far an exchange came. */
interface Brought {
  codeSpent: boolean
  tokens?: TokenSet
  account?: ProviderAccount
}

function stateOf(query: string): Secret {
  try {
    return callbackState(query)
  } catch (error) {
    throw connectError(error)
  }
}

/** The checks that say whose answer this is. None of them ends the session: the one who began it may still come. */
async function requireSameFlow(context: ConnectContext, flow: Flow, state: OAuthStateRecord, callback: Callback): Promise<void> {
  if (state.expired) throw new Unbound('connect_state_invalid', 'the state is expired')
  if (state.context !== callback.context || state.context !== flow.integration.context) {
    throw new Unbound('connect_state_invalid', "the answer came to another integration's address")
  }
  if (callback.browser === undefined || !digestEquals(state.browserHash, browserHash(callback.browser))) {
    throw new Unbound('connect_browser_mismatch', 'the answer came from another browser')
  }
  await requireConsoleSession(context, flow, callback.rawHeaders)
  if (flow.session.status !== 'authorizing') throw new Unbound('connect_session_invalid', 'the session is not waiting for an answer')
}

/** A refusal that says nothing about the flow it was tried on. */
class Unbound extends ConnectError {}

/** A flow that a person began in the console goes on only in that person's own session there (battery O-03). */
async function requireConsoleSession(
  context: ConnectContext,
  { org, session }: Pick<Flow, 'org' | 'session'>,
  rawHeaders: readonly string[],
): Promise<void> {
  if (session.consoleSessionHash === null) return
  const [token, ...others] = cookieValues(rawHeaders, context.sessionCookie)
  // Compared first: no other token is worth asking the database for.
  const own = token !== undefined && others.length === 0 && digestEquals(sha256(token), session.consoleSessionHash)
  const person = own ? await context.sessions.lookup(token) : undefined
  const same = person !== undefined && principalRef(person) === session.startedBy && belongs(person, org)
  if (!same) throw new Unbound('connect_browser_mismatch', 'the console session is not the one that began the flow')
}

/** Still: the membership may have ended since the flow began, or the organization may ask for another sign-in. */
function belongs(person: PersonPrincipal, org: OrgId): boolean {
  const held = person.memberships.get(org)
  return held !== undefined && isAdmitted(person, org, held)
}

async function preparedExchange(
  context: ConnectContext,
  flow: Flow,
  state: OAuthStateRecord,
  query: string,
  stateText: Secret,
): Promise<CodeExchange> {
  const { org, session, integration, provider } = flow
  const server = await context.servers.complete(provider.oauth)
  const answer = judgeAnswer(server, query, stateText)
  const verifier = await context.vault.open(org, verifierPlace(session.id), state.verifier)
  return {
    server,
    client: await clientOf(context, flow),
    redirectUri: redirectUri(context, integration),
    verifier,
    answer,
    requestedScopes: integration.scopes,
    fetch: context.fetch,
    now: context.clock.now(),
    ...boundTo(context, server),
  }
}

/** A key of the connection's own, for a provider that binds tokens (RFC 9449). It is sealed with what it is exchanged for. */
function boundTo({ dpopNonces, clock }: ConnectContext, { tokenBinding }: AuthorizationServer): Pick<CodeExchange, 'dpop'> {
  if (tokenBinding !== 'dpop') return {}
  return { dpop: { key: generateProofKey(), nonces: dpopNonces, now: () => clock.now() } }
}

/**
 * Writes the refusal down, and ends the session unless the answer was not its own. A failure of ours leaves it as it is, for another try, until
 * the code is spent: from then on the grant can be lost, so the session ends and its end is on record.
 */
async function refused(context: ConnectContext, flow: Flow, error: unknown, brought: Brought): Promise<RefusedCallback> {
  if (error instanceof ConnectError) {
    await writeRefusal(context, flow, error.code, !(error instanceof Unbound), brought)
    logRefusal(context, flow, error)
  } else if (brought.codeSpent) await writeOwnFailure(context, flow, error)
  return new RefusedCallback(flow, error)
}

/** Tokens that were brought and refused are taken back at the provider. Of what a failure of ours left open, the sweep does. */
function writeRefusal({ database, vault }: ConnectContext, flow: Flow, code: string, ends: boolean, brought?: Brought): Promise<void> {
  return database.withTenant(flow.org, async (tx) => {
    if (ends) await connectSessionFail(tx, flow.session.id, code)
    if (brought?.tokens !== undefined) {
      const of = { id: connectionOf(flow.session.id), integration: flow.integration.id, accountId: brought.account?.id ?? null }
      await queueOrphan(tx, vault, of, brought.tokens)
    }
    await audit(tx, flow.session, ends ? 'connect_session.failed' : 'connect_session.refused', { code })
  })
}

/** What failed may be the database: then nothing can be written down, and what failed first is what the caller hears. */
async function writeOwnFailure(context: ConnectContext, flow: Flow, error: unknown): Promise<void> {
  try {
    await writeRefusal(context, flow, context.problemFor(error, formatId('cs', flow.session.id)).code, true)
  } catch (unwritten) {
    context.logger.error('the end of a connect session could not be written down', {
      session: formatId('cs', flow.session.id),
      error: unwritten,
    })
  }
}

function logRefusal(
  { logger }: ConnectContext,
  { session, integration }: Flow,
  error: ConnectError,
  message = 'a connect callback was refused',
): void {
  const cause = error.cause instanceof SallyportError ? error.cause : error
  logger.info(message, {
    session: formatId('cs', session.id),
    integration: formatId('int', integration.id),
    code: error.code,
    reason: cause.message,
    error: cause.cause,
  })
}

export async function readFlow(context: ConnectContext, tx: TenantTx, id: ConnectSession['id']): Promise<Flow> {
  const session = await connectSessionFind(tx, id)
  if (session === undefined) throw over('the session is gone')
  const integration = await integrationFind(tx, session, session.integration)
  const project = await projectFind(tx, session.project)
  if (integration === undefined || project === undefined) throw over('the integration is gone')
  const provider = context.providers(integration.provider)
  if (provider === undefined) throw new ConnectError('integration_not_configured', `the catalog has no provider ${integration.provider}`)
  return { org: tx.org, session, integration, project, provider }
}

function redirectUri({ publicUrl }: ConnectContext, { context }: Integration): string {
  return callbackAddress(publicUrl, context)
}

/** An integration's own address: no other integration's answers arrive there (battery O-06, O-08). */
export function callbackAddress(publicUrl: string, context: string): string {
  return `${publicUrl}/oauth/cb/${context}`
}

function audit(tx: TenantTx, session: ConnectSession, action: string, detail: Record<string, string>): Promise<void> {
  // Whoever holds the link acts here, and is nobody the gateway knows.
  return appendAudit(tx, { action, actor: 'system', target: formatId('cs', session.id), detail })
}

function over(message: string): ConnectError {
  return new ConnectError('connect_session_invalid', message)
}
