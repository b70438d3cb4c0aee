/** Owns keys for message authentication that are derived of a sealing key, so that processes with the same configuration have the same. */
import { createSecretKey, hkdfSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { KEY_BYTES } from './sealing-key.ts'
import type { SealingKey } from './sealing-key.ts'

/** A key for `hmacSha256` (RFC 5869). `purpose`: of no envelope, and one for each use. Says nothing of the sealing key. */
export function derivedHmacKey({ key }: SealingKey, purpose: string): KeyObject {
  const bytes = Buffer.from(hkdfSync('sha256', key, new Uint8Array(), `sallyport/hmac/${purpose}`, KEY_BYTES))
  try {
    return createSecretKey(bytes)
  } finally {
    bytes.fill(0)
  }
}
