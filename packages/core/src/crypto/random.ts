/** Owns random text. Refuses modulo bias and any source but the system's cryptographic generator. */
import { randomBytes } from 'node:crypto'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** The largest multiple of 62 that fits a byte: bytes from here on would favour the first digits and are thrown away. */
const FAIR = 248

/** `bytes` random bytes (16 or more, for 128 bits) as unpadded base64url. For states, session tokens and one-time links. */
export function randomToken(bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes < 16) throw new RangeError('a token needs at least 16 random bytes')
  return randomBytes(bytes).toString('base64url')
}

/** `length` base62 digits, every digit equally likely (5.95 bits each; 43 digits hold 256 bits). */
export function randomBase62(length: number): string {
  if (!Number.isSafeInteger(length) || length < 1) throw new RangeError('length must be a positive integer')
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length + 8)) {
      if (byte < FAIR && text.length < length) text += DIGITS[byte % DIGITS.length]!
    }
  }
  return text
}
