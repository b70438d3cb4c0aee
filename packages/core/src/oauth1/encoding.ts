/**
 * Owns the spelling of names and values in OAuth 1.0a (RFC 5849 section 3.6) and the reading of forms back into bytes. Refuses what has no one
 * reading: both ends must spell a request alike, or its signature is wrong.
 */
import { SallyportError } from '../kernel/index.ts'

/** `request_unsignable`: the request's query or form can't be read in one way, so no signature would be right. */
export type OAuth1ErrorCode = 'request_unsignable'

/** A failure of OAuth 1.0a (RFC 5849). Nothing of a request or an answer is in it. */
export class OAuth1Error extends SallyportError<OAuth1ErrorCode> {}

/** A decoded name or value: bytes, because a query may hold ones that are no UTF-8. */
export type Parameter = readonly [name: Uint8Array, value: Uint8Array]

const UNRESERVED = /^[0-9A-Za-z._~-]$/u
/** The encoded form of each byte; upper-case hexadecimal. */
const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return UNRESERVED.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
})
const MALFORMED = /%(?![0-9A-Fa-f]{2})/u

/** Everything but letters, digits and `-._~` as %XX. Text is taken as UTF-8. @throws OAuth1Error for a lone surrogate. */
export function percentEncoded(text: string | Uint8Array): string {
  if (typeof text === 'string' && !text.isWellFormed()) throw unsignable('text with a lone surrogate')
  let encoded = ''
  for (const byte of typeof text === 'string' ? Buffer.from(text, 'utf8') : text) encoded += ENCODED[byte]!
  return encoded
}

/** The pairs of a query or form (application/x-www-form-urlencoded), in order. @throws OAuth1Error for a broken %XX. */
export function formParameters(text: string): Parameter[] {
  if (MALFORMED.test(text)) throw unsignable('a broken percent-encoding')
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      return equals < 0 ? [decoded(pair), new Uint8Array()] : [decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1))]
    })
}

function decoded(text: string): Uint8Array {
  const bytes = Buffer.from(text.replaceAll('+', ' '), 'utf8')
  let length = 0
  for (let at = 0; at < bytes.length; at += 1, length += 1) {
    if (bytes[at] !== 0x25) bytes[length] = bytes[at]!
    else {
      bytes[length] = Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16)
      at += 2
    }
  }
  return bytes.subarray(0, length)
}

function unsignable(what: string): OAuth1Error {
  return new OAuth1Error('request_unsignable', `a request can't be signed: ${what}`, {
    publicDetail: 'The query or form of this request is not well-formed, so it can’t be signed for the provider. Encode it anew.',
  })
}
