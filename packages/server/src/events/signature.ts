/** Owns the proof that bytes were sent by whoever shares a secret with us. Refuses to compare in a way whose time tells how much was right. */
import { digestEquals, hmacKey, hmacSha256 } from '@sallyport/core'
import type { Secret } from '@sallyport/core'

const HEX = /^[0-9a-f]{64}$/u

/** True when `signature` is `prefix` and the lower-case hex of HMAC-SHA256 over the parts. */
export function isSignedBy(secret: Secret, parts: readonly (string | Buffer)[], signature: string | undefined, prefix: string): boolean {
  if (signature === undefined || !signature.startsWith(prefix)) return false
  const hex = signature.slice(prefix.length)
  if (!HEX.test(hex)) return false
  return digestEquals(hmacSha256(hmacKey(Buffer.from(secret.reveal(), 'utf8')), ...parts), Buffer.from(hex, 'hex'))
}
