/**
 * Owns the sign-in of an application's user at a provider through a browser: the way out and the way back, by OAuth 2.0 or OAuth 1.0a. Refuses
 * a callback that is not the one answer to a sign-in of this very user or session, and consumes its state before anything else is looked at.
 */
import { digestEquals, sha256 } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { callbackState, exchangeCode, fetchAccount, judgeAnswer, missingScopes, startAuthorization } from '../oauth/index.ts'
import type { DpopNonces, OutboundFetch, ProviderAccount, ServerDirectory } from '../oauth/index.ts'
import { oauth1AuthorizationRequest, oauth1CallbackToken, oauth1Tokens, signingFetch } from '../oauth1/index.ts'
import type { ConnectStates, CredentialStore, TakenState, TokenSet } from '../tokens/index.ts'
import { newBinding } from './binding.ts'
import type { ConfiguredProvider } from './config.ts'
import { SdkError } from './errors.ts'
import type { ConnectionName } from './events.ts'
import { mismatch } from './handing-over.ts'
import type { CodeScheme, SigningScheme } from './schemes.ts'
import { takeBack } from './taking-back.ts'

/** Whose sign-in is to begin. */
export interface ConnectRequest extends ConnectionName {
  /** In place of the configured ones, for this sign-in. Not for `oauth1`, which has none. */
  readonly scopes?: readonly string[]
  /** Parameters of the provider's own for the authorization request (`login_hint`). Not for `oauth1`. */
  readonly params?: Readonly<Record<string, string>>
  /** Names the browser's session. Only its hash is kept; the callback has to name the same. */
  readonly session?: string
}

/** A sign-in that has begun. */
export interface ConnectStart {
  /** Where to send the browser, now. Good once and for ten minutes; where requests are pushed (RFC 9126), for as long as the server keeps them: a minute, mostly. */
  readonly url: string
  /** Comes back with the callback: OAuth 2.0's `state`, or OAuth 1.0a's `oauth_token`. */
  readonly state: string
}

/** Who has come back. The user who is signed in to the application, its session, or both; and the provider, where each has its own callback. */
export type CallbackExpectation = { readonly provider?: string } & (
  | { readonly userId: string; readonly session?: string }
  | { readonly userId?: string; readonly session: string }
)

/** A sign-in that came to its end. */
export interface Connected extends ConnectionName {
  readonly account: ProviderAccount
  /** What was granted. */
  readonly scopes: readonly string[]
  /** Asked for and not granted: calls that need them will be refused by the provider. */
  readonly missingScopes: readonly string[]
}

/** How long a person may take. */
const LIFE_MS = 600_000

interface Begun extends ConnectionName {
  readonly v: 1
  readonly session: string | null
  readonly scopes: readonly string[]
}

interface CodeSignIn extends Begun {
  readonly kind?: undefined
  readonly verifier: string
  readonly redirectUri: string
}

/** RFC 5849 section 2.1: the temporary credentials. */
interface SigningSignIn extends Begun {
  readonly kind: 'oauth1'
  readonly token: string
  readonly tokenSecret: string
}

type SignIn = CodeSignIn | SigningSignIn | (Begun & { readonly kind: 'device' })

export interface SigningInParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly states: ConnectStates
  readonly store: Pick<CredentialStore, 'read' | 'connect'>
  readonly fetch: OutboundFetch
  readonly nonces: DpopNonces
  readonly servers: ServerDirectory
  readonly clock: Clock
}

export class SigningIn {
  readonly #parts: SigningInParts

  constructor(parts: SigningInParts) {
    this.#parts = parts
  }

  async begin(request: ConnectRequest): Promise<ConnectStart> {
    const { scheme } = this.#parts.provider(request.provider)
    if (scheme.kind === 'authorization_code') return this.#beginCode(request, scheme)
    if (scheme.kind === 'oauth1') return this.#beginSigning(request, scheme)
    throw mismatch(scheme.kind)
  }

  async finish(callback: string | URL | URLSearchParams, expected: CallbackExpectation): Promise<Connected> {
    const { provider } = this.#parts
    if (expected.userId === undefined && expected.session === undefined)
      throw new SdkError('argument_invalid', 'a callback needs the user or the session that it came from: anybody could have sent it')
    const query = queryOf(callback)
    const state = stateOf(query)
    const signIn = await this.#taken(state)
    requireSame(signIn, expected)
    const { scheme } = provider(signIn.provider)
    // A device's handle is no state, and a provider may have another scheme since.
    if (signIn.kind === undefined && scheme.kind === 'authorization_code') return this.#finishCode(signIn, scheme, query, state)
    if (signIn.kind === 'oauth1' && scheme.kind === 'oauth1') return this.#finishSigning(signIn, scheme, query)
    throw stateFault('unknown')
  }

  async #beginCode(
    { provider: name, userId, scopes: wanted, params = {}, session }: ConnectRequest,
    scheme: CodeScheme,
  ): Promise<ConnectStart> {
    const { client, redirectUri, authorizationParams } = scheme
    const { servers, fetch } = this.#parts
    const scopes = wanted ?? this.#parts.provider(name).scopes
    await this.#requireName(name, userId)
    const server = await servers.complete(scheme.server)
    const extra = { ...authorizationParams, ...params }
    const { url, state, verifier } = await startAuthorization({ server, client, redirectUri, scopes, extra, fetch })
    const begun = { v: 1, provider: name, userId, session: boundTo(session), scopes } as const
    const signIn: CodeSignIn = { ...begun, verifier: verifier.reveal(), redirectUri }
    await this.#parts.states.put(state, new Secret(JSON.stringify(signIn)), LIFE_MS)
    return { url, state: state.reveal() }
  }

  async #beginSigning({ provider: name, userId, scopes, params, session }: ConnectRequest, scheme: SigningScheme): Promise<ConnectStart> {
    if (scopes !== undefined || params !== undefined)
      throw new SdkError('argument_invalid', 'OAuth 1.0a has neither scopes nor parameters of a sign-in')
    await this.#requireName(name, userId)
    const { url, temporary } = await oauth1AuthorizationRequest({ ...scheme, ...this.#parts }, scheme.redirectUri)
    const begun = { v: 1, kind: 'oauth1', provider: name, userId, session: boundTo(session), scopes: [] } as const
    const signIn: SigningSignIn = { ...begun, token: temporary.token.reveal(), tokenSecret: temporary.tokenSecret.reveal() }
    await this.#parts.states.put(temporary.token, new Secret(JSON.stringify(signIn)), LIFE_MS)
    return { url, state: temporary.token.reveal() }
  }

  async #finishCode(signIn: CodeSignIn, { server: recorded, client }: CodeScheme, query: string, state: Secret): Promise<Connected> {
    const { fetch, clock, servers } = this.#parts
    const server = await servers.complete(recorded)
    const answer = judgeAnswer(server, query, state)
    const { redirectUri, scopes: requestedScopes } = signIn
    const verifier = new Secret(signIn.verifier)
    const bound = newBinding(server, this.#parts)
    const now = clock.now()
    const tokens = await exchangeCode({ server, client, redirectUri, verifier, answer, requestedScopes, fetch, now, ...bound })
    return keepSignedIn(this.#parts, signIn, tokens)
  }

  async #finishSigning(signIn: SigningSignIn, scheme: SigningScheme, query: string): Promise<Connected> {
    const temporary = { token: new Secret(signIn.token), tokenSecret: new Secret(signIn.tokenSecret) }
    const { credential, extra } = await oauth1Tokens({ ...scheme, ...this.#parts }, query, temporary)
    const { token: accessToken, tokenSecret } = credential
    const granted = { accessToken, refreshToken: null, expiresAt: null, scopes: [], extra }
    return keepSignedIn(this.#parts, signIn, { ...granted, tokenType: 'oauth1', tokenSecret })
  }

  /** A name that can't be kept, or a store that is away, is found out before a person is sent off. */
  async #requireName(scope: string, id: string): Promise<void> {
    await this.#parts.store.read({ scope, id })
  }

  async #taken(state: Secret): Promise<SignIn> {
    const taken = await this.#parts.states.take(state)
    if (taken.kind === 'taken') return JSON.parse(taken.text.reveal()) as SignIn
    throw stateFault(taken.kind)
  }
}

/** Finds out whose account the tokens open, and keeps them for the user. Tokens of an account that can't be named are given back. */
export async function keepSignedIn(
  parts: SigningInParts,
  { provider: name, userId, scopes }: Pick<Begun, 'provider' | 'userId' | 'scopes'>,
  tokens: TokenSet,
): Promise<Connected> {
  const { fetch, clock } = parts
  const provider = parts.provider(name)
  let account: ProviderAccount
  try {
    account = await accountOf(parts, provider, tokens)
  } catch (error) {
    await takeBack(provider, { sets: [tokens], accountShared: true, fetch, clock })
    throw error
  }
  await parts.store.connect({ scope: name, id: userId }, tokens)
  return {
    provider: name,
    userId,
    account,
    scopes: [...tokens.scopes],
    missingScopes: missingScopes(scopes, tokens.scopes, provider.record.scopeContents),
  }
}

async function accountOf(
  { fetch, clock, nonces }: SigningInParts,
  { scheme }: ConfiguredProvider,
  tokens: TokenSet,
): Promise<ProviderAccount> {
  if (!('userinfo' in scheme)) throw mismatch(scheme.kind)
  const { accessToken } = tokens
  if (tokens.tokenType === 'dpop')
    return fetchAccount(scheme.userinfo, accessToken, fetch, { key: tokens.dpopKey, nonces, now: () => clock.now() })
  if (tokens.tokenType !== 'oauth1' || scheme.kind !== 'oauth1') return fetchAccount(scheme.userinfo, accessToken, fetch)
  const credential = { token: accessToken, tokenSecret: tokens.tokenSecret }
  return fetchAccount(scheme.userinfo, null, signingFetch(fetch, scheme.client, credential, clock))
}

const START_AGAIN = 'This sign-in is not under way any more. Start again from the application.'
const STATE_FAULTS = {
  unknown: 'the callback has a state that was never made here, or ended long ago',
  used: 'the callback has a state that was used before',
  expired: 'the person took longer than a sign-in may',
}

export function stateFault(kind: Exclude<TakenState['kind'], 'taken'>): SdkError {
  return new SdkError(`state_${kind}`, STATE_FAULTS[kind], { publicDetail: START_AGAIN })
}

/** @throws SdkError `state_other_provider`, `state_other_session` */
export function requireSame(
  signIn: Pick<Begun, 'provider' | 'userId' | 'session'>,
  { provider, userId, session }: CallbackExpectation,
): void {
  if (provider !== undefined && provider !== signIn.provider)
    throw new SdkError('state_other_provider', 'the sign-in was begun for another provider', { publicDetail: START_AGAIN })
  const otherUser = userId !== undefined && userId !== signIn.userId
  if (otherUser || !isSameSession(signIn.session, session))
    throw new SdkError('state_other_session', 'the sign-in was begun by another user or session', { publicDetail: START_AGAIN })
}

/** What the callback names its sign-in by. One that has a `state` is OAuth 2.0's, whatever else it has. */
function stateOf(query: string): Secret {
  const parameters = new URLSearchParams(query)
  const isSigning = !parameters.has('state') && (parameters.has('oauth_token') || parameters.has('denied'))
  return isSigning ? oauth1CallbackToken(query) : callbackState(query)
}

function boundTo(session: string | undefined): string | null {
  return session === undefined ? null : hashOf(session)
}

function isSameSession(bound: string | null, given: string | undefined): boolean {
  if (bound === null || given === undefined) return bound === null && given === undefined
  return digestEquals(Buffer.from(bound), Buffer.from(hashOf(given)))
}

function hashOf(session: string): string {
  return sha256(session).toString('base64url')
}

/** What stands after the question mark; a text without one is taken for the query itself. */
function queryOf(callback: string | URL | URLSearchParams): string {
  if (callback instanceof URLSearchParams) return callback.toString()
  const text = callback instanceof URL ? callback.search : callback.split('#', 1)[0]!
  return text.slice(text.indexOf('?') + 1)
}
