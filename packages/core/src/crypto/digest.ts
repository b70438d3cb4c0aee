/** Owns hashing, message authentication and comparing. Refuses other hash functions than SHA-256 and early-exit comparison. */
import { createHash, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { Secret } from '../kernel/index.ts'
import { CryptoError } from './errors.ts'
import { keyWeakness } from './weakness.ts'

/** What may be hashed. Text is taken as UTF-8; a `Secret` is revealed only into the hash. */
export type DigestInput = string | Uint8Array | Secret

/** SHA-256 (FIPS 180-4) of the parts one after another: 32 bytes. Parts run together; use `frame` when their borders matter. */
export function sha256(...parts: readonly DigestInput[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(revealed(part))
  return hash.digest()
}

/** HMAC-SHA256 (RFC 2104) of the parts one after another: 32 bytes. Parts run together; use `frame` when their borders matter. */
export function hmacSha256(key: KeyObject, ...parts: readonly DigestInput[]): Buffer {
  const hmac = createHmac('sha256', key)
  for (const part of parts) hmac.update(revealed(part))
  return hmac.digest()
}

/**
 * A key for `hmacSha256` from at least 16 bytes (RFC 2104 section 3 asks for the hash's 32; Standard Webhooks allows 24).
 * Copies; wiping `bytes` stays with the caller. Keep and reuse the KeyObject: making one costs more than the HMAC.
 * @throws CryptoError `key_invalid` for shorter, constant or published bytes.
 */
export function hmacKey(bytes: Uint8Array): KeyObject {
  const weakness = bytes.length < 16 ? 'is shorter than 16 bytes' : keyWeakness(bytes)
  if (weakness !== undefined) throw new CryptoError('key_invalid', `HMAC key ${weakness}`, [weakness])
  return createSecretKey(bytes)
}

/** Equality in time that depends on the lengths alone. Different lengths, and two empty digests, are not equal. */
export function digestEquals(a: Uint8Array, b: Uint8Array): boolean {
  return a.length > 0 && a.length === b.length && timingSafeEqual(a, b)
}

/**
 * Joins texts so that no two different lists give the same bytes: each part is its length in bytes (32 bits, big-endian)
 * followed by its UTF-8. @throws TypeError for text with a lone surrogate, which UTF-8 can't tell from U+FFFD.
 */
export function frame(parts: readonly string[]): Buffer {
  // Nearly all that is framed is short and ASCII, where a character is a byte: then all of it is one text and one copy.
  let text = ''
  for (const part of parts) {
    if (part.length >= SHORT_LENGTHS.length || !ASCII.test(part)) return frameOfAny(parts)
    text += SHORT_LENGTHS[part.length]! + part
  }
  return Buffer.from(text, 'latin1')
}

// oxlint-disable-next-line no-control-regex -- control characters are ASCII, too
const ASCII = /^[\u0000-\u007f]*$/u
/** The four bytes before a part of 0 to 255 bytes. */
const SHORT_LENGTHS = Array.from({ length: 256 }, (_, length) => `\0\0\0${String.fromCharCode(length)}`)

function frameOfAny(parts: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(parts.reduce((total, part) => total + 4 + Buffer.byteLength(part, 'utf8'), 0))
  let at = 0
  for (const part of parts) {
    if (!part.isWellFormed()) throw new TypeError('framed text must be well-formed Unicode')
    const length = bytes.write(part, at + 4, 'utf8')
    bytes.writeUInt32BE(length, at)
    at += 4 + length
  }
  return bytes
}

function revealed(part: DigestInput): string | Uint8Array {
  return part instanceof Secret ? part.reveal() : part
}
