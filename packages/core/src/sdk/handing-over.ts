/**
 * Owns connections without a person in front of a browser: a key, a name with a password, or the application's own client. Refuses a credential
 * that is not of the provider's scheme, or that no request could carry.
 */
import { Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { clientTokens, missingScopes } from '../oauth/index.ts'
import type { DpopNonces, OutboundFetch, ServerDirectory } from '../oauth/index.ts'
import type { CredentialStore, HeldCredential, TokenSet } from '../tokens/index.ts'
import { newBinding } from './binding.ts'
import type { ConfiguredProvider } from './config.ts'
import { SdkError } from './errors.ts'
import type { ConnectionName } from './events.ts'
import type { ClientScheme } from './schemes.ts'

/**
 * What is handed over: a key (`api_key`), a name and its password (`basic`), or the word that the application's own client is to speak
 * (`client_credentials`). At most 8,192 characters that a header can carry.
 */
export type GivenCredential =
  | { readonly apiKey: string | Secret }
  | { readonly username: string; readonly password: string | Secret }
  | 'client'

/** What is handed over, and for whom. */
export interface CredentialRequest extends ConnectionName {
  readonly credential: GivenCredential
}

/** A connection that was made without a person. */
export interface CredentialConnected extends ConnectionName {
  /** What was granted; empty where there are no scopes. */
  readonly scopes: readonly string[]
  /** Asked for and not granted. */
  readonly missingScopes: readonly string[]
}

export interface HandingOverParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly store: Pick<CredentialStore, 'read' | 'connect'>
  readonly fetch: OutboundFetch
  readonly nonces: DpopNonces
  readonly servers: ServerDirectory
  readonly clock: Clock
}

/** RFC 9110 section 5.5, without what is obsolete there. */
const CARRIED = /^[!-~](?:[ -~]{0,8190}[!-~])?$/u
/** RFC 7617 section 2: no controls, and in the name no colon. In UTF-8, which is what it is sent in. */
const NAME = /^[^\p{Cc}:]{0,4096}$/u
const PASSWORD = /^\P{Cc}{0,4096}$/u

export class HandingOver {
  readonly #parts: HandingOverParts

  constructor(parts: HandingOverParts) {
    this.#parts = parts
  }

  async connect({ provider: name, userId, credential }: CredentialRequest): Promise<CredentialConnected> {
    const provider = this.#parts.provider(name)
    const ref = { scope: name, id: userId }
    // A name that can't be kept, or a store that is away, is found out before a token is asked for.
    await this.#parts.store.read(ref)
    const tokens = await this.#tokensOf(provider, credential)
    await this.#parts.store.connect(ref, tokens)
    const { record, scopes, scheme } = provider
    const wanted = scheme.kind === 'client_credentials' ? scopes : []
    return { provider: name, userId, scopes: [...tokens.scopes], missingScopes: missingScopes(wanted, tokens.scopes, record.scopeContents) }
  }

  async #tokensOf({ scheme, scopes }: ConfiguredProvider, credential: GivenCredential): Promise<TokenSet> {
    if (credential === 'client' && scheme.kind === 'client_credentials') return this.#clientTokens(scheme, scopes)
    if (scheme.kind === 'api_key' && credential !== 'client' && 'apiKey' in credential) return held('api_key', keyOf(credential.apiKey))
    if (scheme.kind === 'basic' && credential !== 'client' && 'username' in credential)
      return held('basic', pairOf(credential.username, credential.password))
    throw mismatch(scheme.kind)
  }

  async #clientTokens({ server: recorded, client }: ClientScheme, requestedScopes: readonly string[]): Promise<TokenSet> {
    const { fetch, clock, servers } = this.#parts
    const server = await servers.complete(recorded)
    return clientTokens({ server, client, requestedScopes, fetch, now: clock.now(), ...newBinding(server, this.#parts) })
  }
}

function held(tokenType: HeldCredential['tokenType'], accessToken: Secret): HeldCredential {
  return { tokenType, accessToken, refreshToken: null, expiresAt: null, scopes: [], extra: new Secret('{}') }
}

function keyOf(given: string | Secret): Secret {
  const key = wrapped(given)
  if (!CARRIED.test(key.reveal())) throw new SdkError('argument_invalid', 'the key is empty, too long, or not what a request can carry')
  return key
}

function pairOf(username: string, password: string | Secret): Secret {
  const secret = wrapped(password).reveal()
  const isPair = username + secret !== '' && NAME.test(username) && PASSWORD.test(secret) && (username + secret).isWellFormed()
  if (!isPair) throw new SdkError('argument_invalid', 'the name or password is not what RFC 7617 lets a request carry')
  return new Secret(`${username}:${secret}`)
}

function wrapped(value: string | Secret): Secret {
  if (value instanceof Secret) return value
  if (typeof value !== 'string') throw new SdkError('argument_invalid', 'a key or password is a text')
  return new Secret(value)
}

const WAYS: Readonly<Record<ConfiguredProvider['scheme']['kind'], string>> = {
  authorization_code: 'is connected by "connect" and "handleCallback"',
  oauth1: 'is connected by "connect" and "handleCallback"',
  device_code: 'is connected by "connectDevice" and "awaitDevice"',
  client_credentials: 'is connected by "connect" with the credential "client"',
  api_key: 'is connected by "connect" with a credential { apiKey }',
  basic: 'is connected by "connect" with a credential { username, password }',
  none: 'needs no connection',
}

/** The verb or the credential was another scheme's. */
export function mismatch(kind: ConfiguredProvider['scheme']['kind']): SdkError {
  return new SdkError('scheme_mismatch', `a provider of the scheme ${kind} ${WAYS[kind]}`)
}
