/**
 * Owns how a credential of each kind goes into one request, last of all: as the record's place says, as Basic (RFC 7617), signed (RFC 5849
 * section 3.5.1), or with a proof of its key (RFC 9449 section 7). Refuses to give the credential for more than this request where its kind can.
 */
import { openProofKey } from '../crypto/index.ts'
import { headerText } from '../http/index.ts'
import type { ApiBase, ForwardCall, Injection, ParsedHeaders } from '../http/index.ts'
import { makeDpopProof } from '../jwt/index.ts'
import { Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { challengesForNonce } from '../oauth/index.ts'
import type { DpopNonces } from '../oauth/index.ts'
import { oauth1Authorization, oauth1Moment } from '../oauth1/index.ts'
import type { OAuth1Client } from '../oauth1/index.ts'
import { TokenError } from '../tokens/index.ts'
import type { DpopTokens, SigningTokens, TokenSet } from '../tokens/index.ts'
import { pathOnly } from './route.ts'
import type { ProviderRoute } from './route.ts'

/** A request as it is about to go out. */
export interface OutgoingRequest {
  readonly method: string
  /** Under the API base, query included, exactly as it is sent. */
  readonly path: string
  /** The body, when and only when it is a whole application/x-www-form-urlencoded: OAuth 1.0a signs it (RFC 5849 section 3.4.1.3.1). */
  readonly form?: string | undefined
}

/** What credentials need beside themselves. */
export interface Authorizing {
  readonly nonces: DpopNonces
  readonly clock: Clock
  /** Our client at a provider that takes OAuth 1.0a. */
  readonly oauth1Client?: OAuth1Client | undefined
}

/** What goes into a call in the name of a connection. */
export interface AuthorizedCall {
  readonly parts: Pick<ForwardCall, 'inject' | 'mask'> & {
    readonly again?: (status: number, headers: ParsedHeaders) => readonly Injection[] | undefined
  }
  /** Whether the answer that was passed on refused the proof for want of a nonce: that says nothing of the token. */
  readonly wantedNonce: () => boolean
}

/**
 * The credential as it goes into this one request. Null: there is none, and none is sent.
 * @throws CryptoError `key_invalid`; OAuth1Error `request_unsignable`; TokenError `credential_malformed` for a credential of OAuth 1.0a where
 * nothing signs.
 */
export function authorize(route: ProviderRoute, tokens: TokenSet | null, request: OutgoingRequest, by: Authorizing): AuthorizedCall {
  if (tokens === null) return plain([])
  if (tokens.tokenType === 'dpop') return proven(route.base, tokens, request, by)
  if (tokens.tokenType === 'oauth1') return signed(route.base, tokens, request, by)
  if (tokens.tokenType === 'basic') return basic(tokens.accessToken)
  return plain(route.inject(tokens.accessToken), [tokens.accessToken])
}

function plain(inject: readonly Injection[], mask: readonly Secret[] = []): AuthorizedCall {
  return { parts: { inject, mask }, wantedNonce: () => false }
}

function header(name: string, value: Secret): Injection {
  return { kind: 'header', name, value }
}

/** The password alone is a secret too; where there is none, the name is the key. */
function basic(pair: Secret): AuthorizedCall {
  const text = pair.reveal()
  const encoded = new Secret(`Basic ${Buffer.from(text, 'utf8').toString('base64')}`)
  const colon = text.indexOf(':')
  const secret = colon === text.length - 1 ? text.slice(0, colon) : text.slice(colon + 1)
  return plain([header('authorization', encoded)], [pair, new Secret(secret)])
}

/** What the answer could echo is not the header alone: its parts are secrets by themselves. */
function signed(base: ApiBase, { accessToken, tokenSecret }: SigningTokens, request: OutgoingRequest, by: Authorizing): AuthorizedCall {
  const client = by.oauth1Client
  if (client === undefined) throw new TokenError('credential_malformed', 'a credential of OAuth 1.0a stands where nothing signs')
  const { method, path, form } = request
  const url = base.origin + base.basePath + path
  const credential = { token: accessToken, tokenSecret }
  const value = oauth1Authorization({ method, url, form }, { client, credential, moment: oauth1Moment(by.clock) })
  return plain([header('authorization', value)], [accessToken, tokenSecret, client.consumerSecret])
}

function proven(
  base: ApiBase,
  { accessToken, dpopKey }: DpopTokens,
  { method, path }: OutgoingRequest,
  { nonces, clock }: Authorizing,
): AuthorizedCall {
  const key = openProofKey(dpopKey)
  const url = base.origin + base.basePath + pathOnly(path)
  const injections = (nonce: string | undefined): Injection[] => {
    const proof = makeDpopProof(key, { method, url, now: clock.now(), accessToken, nonce })
    return [header('authorization', new Secret(`DPoP ${accessToken.reveal()}`)), header('dpop', new Secret(proof))]
  }
  const sent = nonces.get(base.origin)
  let wanted = false
  const again = (status: number, headers: ParsedHeaders): Injection[] | undefined => {
    nonces.put(base.origin, headerText(headers, 'dpop-nonce') ?? null)
    wanted = challengesForNonce(status, headerText(headers, 'www-authenticate'))
    const given = nonces.get(base.origin)
    return wanted && given !== sent ? injections(given) : undefined
  }
  return { parts: { inject: injections(sent), again }, wantedNonce: () => wanted }
}
