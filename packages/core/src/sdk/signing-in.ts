/**
 * Owns the sign-in of an application's user at a provider: the way out and the way back. Refuses a callback that is not the one answer to a
 * sign-in of this very user or session, and consumes its state before anything else is looked at.
 */
import { digestEquals, sha256 } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import {
  authorizationRequest,
  callbackState,
  exchangeCode,
  fetchAccount,
  judgeAnswer,
  missingScopes,
  revokeTokens,
} from '../oauth/index.ts'
import type { OutboundFetch, ProviderAccount } from '../oauth/index.ts'
import type { ConnectStates, CredentialStore, TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'
import { SdkError } from './errors.ts'
import type { ConnectionName } from './events.ts'

export interface ConnectRequest extends ConnectionName {
  /** In place of the configured ones, for this sign-in. */
  readonly scopes?: readonly string[]
  /** Parameters of the provider's own for the authorization request (`login_hint`). */
  readonly params?: Readonly<Record<string, string>>
  /** Names the browser's session. Only its hash is kept; the callback has to name the same. */
  readonly session?: string
}

export interface ConnectStart {
  /** Where to send the browser. Good for ten minutes, and once. */
  readonly url: string
  readonly state: string
}

/** Who has come back. The user who is signed in to the application, its session, or both; and the provider, where each has its own callback. */
export type CallbackExpectation = { readonly provider?: string } & (
  | { readonly userId: string; readonly session?: string }
  | { readonly userId?: string; readonly session: string }
)

export interface Connected extends ConnectionName {
  readonly account: ProviderAccount
  /** What was granted. */
  readonly scopes: readonly string[]
  /** Asked for and not granted: calls that need them will be refused by the provider. */
  readonly missingScopes: readonly string[]
}

/** How long a person may take. */
const LIFE_MS = 600_000

interface SignIn extends ConnectionName {
  readonly v: 1
  readonly session: string | null
  readonly verifier: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
}

export interface SigningInParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly states: ConnectStates
  readonly store: CredentialStore
  readonly fetch: OutboundFetch
  readonly clock: Clock
}

export class SigningIn {
  readonly #parts: SigningInParts

  constructor(parts: SigningInParts) {
    this.#parts = parts
  }

  async begin({ provider: name, userId, scopes: wanted, params = {}, session }: ConnectRequest): Promise<ConnectStart> {
    const { provider, states, store } = this.#parts
    const { record, client, redirectUri, scopes: configured, authorizationParams } = provider(name)
    const scopes = wanted ?? configured
    const { oauth: server } = record
    const extra = { ...authorizationParams, ...params }
    const { url, state, verifier } = authorizationRequest({ server, clientId: client.clientId, redirectUri, scopes, extra })
    // A name that can't be kept, or a store that is away, is found out before a person is sent off.
    await store.read({ scope: name, id: userId })
    const bound = session === undefined ? null : hashOf(session)
    const signIn: SignIn = { v: 1, provider: name, userId, session: bound, verifier: verifier.reveal(), redirectUri, scopes }
    await states.put(state, new Secret(JSON.stringify(signIn)), LIFE_MS)
    return { url, state: state.reveal() }
  }

  async finish(callback: string | URL | URLSearchParams, expected: CallbackExpectation): Promise<Connected> {
    const { provider, store, fetch, clock } = this.#parts
    if (expected.userId === undefined && expected.session === undefined)
      throw new SdkError('argument_invalid', 'a callback needs the user or the session that it came from: anybody could have sent it')
    const query = queryOf(callback)
    const state = callbackState(query)
    const signIn = await this.#taken(state)
    requireSame(signIn, expected)
    const { record, client } = provider(signIn.provider)
    const answer = judgeAnswer(record.oauth, query, state)
    const { redirectUri, scopes: requestedScopes } = signIn
    const verifier = new Secret(signIn.verifier)
    const now = clock.now()
    const tokens = await exchangeCode({ server: record.oauth, client, redirectUri, verifier, answer, requestedScopes, fetch, now })
    const account = await this.#accountOf(signIn.provider, tokens)
    await store.connect({ scope: signIn.provider, id: signIn.userId }, tokens)
    const missing = missingScopes(requestedScopes, tokens.scopes, record.scopeContents)
    return { provider: signIn.provider, userId: signIn.userId, account, scopes: [...tokens.scopes], missingScopes: missing }
  }

  async #taken(state: Secret): Promise<SignIn> {
    const taken = await this.#parts.states.take(state)
    if (taken.kind === 'taken') return JSON.parse(taken.text.reveal()) as SignIn
    throw new SdkError(`state_${taken.kind}`, STATE_FAULTS[taken.kind], { publicDetail: START_AGAIN })
  }

  /** Tokens of an account that can't be named are kept nowhere, so they are given back. */
  async #accountOf(name: string, tokens: TokenSet): Promise<ProviderAccount> {
    const { provider, fetch, clock } = this.#parts
    const { record, client } = provider(name)
    try {
      return await fetchAccount(record.userinfo, tokens.accessToken, fetch)
    } catch (error) {
      const refreshTokens = tokens.refreshToken === null ? [] : [tokens.refreshToken]
      const accessTokens = [tokens.accessToken]
      const now = clock.now()
      await revokeTokens({ way: record.revocation, client, refreshTokens, accessTokens, accountShared: true, fetch, now })
      throw error
    }
  }
}

const START_AGAIN = 'This sign-in is not under way any more. Start again from the application.'
const STATE_FAULTS = {
  unknown: 'the callback has a state that was never made here, or ended long ago',
  used: 'the callback has a state that was used before',
  expired: 'the person took longer than a sign-in may',
}

function requireSame(signIn: SignIn, { provider, userId, session }: CallbackExpectation): void {
  if (provider !== undefined && provider !== signIn.provider)
    throw new SdkError('state_other_provider', 'the sign-in was begun for another provider', { publicDetail: START_AGAIN })
  const otherUser = userId !== undefined && userId !== signIn.userId
  if (otherUser || !isSameSession(signIn.session, session))
    throw new SdkError('state_other_session', 'the sign-in was begun by another user or session', { publicDetail: START_AGAIN })
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
