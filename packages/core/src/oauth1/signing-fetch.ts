/** Owns small calls that are signed as a person (RFC 5849 section 3): the account look-up, the end of a token. Refuses to sign bodies. */
import type { Clock } from '../kernel/index.ts'
import type { OutboundFetch } from '../oauth/index.ts'
import { oauth1Authorization, oauth1Moment } from './signature.ts'
import type { OAuth1Client, OAuth1Credential } from './signature.ts'

/** `fetch`, each of whose requests is signed. What else stands in the Authorization header is replaced. */
export function signingFetch(fetch: OutboundFetch, client: OAuth1Client, credential: OAuth1Credential, clock: Clock): OutboundFetch {
  return (url, request) => {
    const signed = oauth1Authorization({ method: request.method, url }, { client, credential, moment: oauth1Moment(clock) })
    return fetch(url, { ...request, headers: { ...request.headers, authorization: signed.reveal() } })
  }
}
