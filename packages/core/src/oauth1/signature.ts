/**
 * Owns the signing of requests by OAuth 1.0a (RFC 5849 section 3). Refuses PLAINTEXT, which sends both secrets along, and RSA, which no
 * provider of the catalog asks for.
 *
 *   base string = METHOD & enc(scheme://host[:port]/path) & enc(name=value&...), the pairs of query, form and protocol sorted
 *   key         = enc(consumer secret) & enc(token secret, or nothing)
 *   signature   = Base64(HMAC(key, base string))
 */
import { oauth1Mac, randomToken } from '../crypto/index.ts'
import type { OAuth1SignatureMethod } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { formParameters, percentEncoded } from './encoding.ts'

/** The consumer, and how it signs. */
export interface OAuth1Client {
  readonly consumerKey: string
  readonly consumerSecret: Secret
  readonly signatureMethod: OAuth1SignatureMethod
}

/** Temporary credentials, or those of a person's consent. They don't expire by themselves. */
export interface OAuth1Credential {
  readonly token: Secret
  readonly tokenSecret: Secret
}

/** What is signed of a request (section 3.4.1). */
export interface OAuth1Request {
  readonly method: string
  /** Absolute; exactly as it is sent, because the query's encoding is signed. A fragment is not sent, so it is not signed. */
  readonly url: string
  /**
   * The body, when and only when it is application/x-www-form-urlencoded and whole (section 3.4.1.3.1). Other bodies aren't signed: who can
   * change them on the way is for TLS to say.
   */
  readonly form?: string | undefined
}

/** What distinguishes one signing from the next. */
export interface OAuth1Moment {
  /** Seconds since the epoch. Providers refuse what is minutes off. */
  readonly timestamp: number
  /** Never used twice by one consumer with one timestamp and token (section 3.3). */
  readonly nonce: string
}

/**
 * Parameters of the protocol that only some requests have: `oauth_callback` (section 2.1), `oauth_verifier` (section 2.3), and
 * `oauth_version`, "1.0", for providers that insist on it (section 3.1 lets it out).
 */
export type OAuth1Extra = Readonly<Partial<Record<'oauth_callback' | 'oauth_verifier' | 'oauth_version', string>>>

/** By whom and when a request is signed. `credential` null: for temporary credentials, before there are any. */
export interface OAuth1Signing {
  readonly client: OAuth1Client
  readonly credential: OAuth1Credential | null
  readonly extra?: OAuth1Extra
  readonly moment: OAuth1Moment
}

/** Now, in seconds, with a nonce of 128 bits (section 3.3). For one request. */
export function oauth1Moment(clock: Clock): OAuth1Moment {
  return { timestamp: Math.floor(clock.now() / 1000), nonce: randomToken(16) }
}

/** The value of the Authorization header (section 3.5.1). It holds for this very request. @throws OAuth1Error `request_unsignable`. */
export function oauth1Authorization(request: OAuth1Request, signing: OAuth1Signing): Secret {
  const protocol = protocolParameters(signing)
  const { client, credential } = signing
  const key = new Secret(`${percentEncoded(client.consumerSecret.reveal())}&${percentEncoded(credential?.tokenSecret.reveal() ?? '')}`)
  const signature = oauth1Mac(client.signatureMethod, key, signatureBase(request, protocol))
  const fields = [...protocol, ['oauth_signature', signature] as const]
  return new Secret(`OAuth ${fields.map(([name, value]) => `${percentEncoded(name)}="${percentEncoded(value)}"`).join(', ')}`)
}

type Field = readonly [name: string, value: string]

function protocolParameters({ client, credential, extra = {}, moment }: OAuth1Signing): Field[] {
  return [
    ['oauth_consumer_key', client.consumerKey],
    ...(credential === null ? [] : [['oauth_token', credential.token.reveal()] as const]),
    ['oauth_signature_method', client.signatureMethod],
    ['oauth_timestamp', String(moment.timestamp)],
    ['oauth_nonce', moment.nonce],
    ...Object.entries(extra),
  ]
}

/** Section 3.4.1. Of the folder alone: it holds a token in the clear. */
export function signatureBase({ method, url, form }: OAuth1Request, protocol: readonly Field[]): string {
  const { origin, pathname, search } = new URL(url)
  const sent = [...formParameters(search.slice(1)), ...formParameters(form ?? '')]
  const pairs = [...sent, ...protocol].map(([name, value]) => [percentEncoded(name), percentEncoded(value)] as const)
  const normalised = pairs.toSorted(byNameThenValue).map(([name, value]) => `${name}=${value}`)
  return [method.toUpperCase(), origin + pathname, normalised.join('&')].map(percentEncoded).join('&')
}

/** By encoded bytes (section 3.4.1.3.2): names and values apart, or `a=` would come after `a-b=`. */
function byNameThenValue([nameA, valueA]: Field, [nameB, valueB]: Field): number {
  if (nameA !== nameB) return nameA < nameB ? -1 : 1
  if (valueA === valueB) return 0
  return valueA < valueB ? -1 : 1
}
