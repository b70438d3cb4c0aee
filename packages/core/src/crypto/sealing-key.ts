/** Owns the 32-byte keys that seal. Refuses other lengths, bytes that can't have been random, and ids outside the grammar. */
import { createSecretKey, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { CryptoError } from './errors.ts'
import { keyWeakness } from './weakness.ts'

export const KEY_BYTES = 32

/** An id that may stand in an envelope: 1 to 64 ASCII letters, digits, `.`, `_` or `-`, starting with a letter or digit. */
const KEY_ID = /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/

declare const checked: unique symbol

/** A named key whose bytes were judged. Only `sealingKey` makes one. The bytes stay behind the KeyObject. */
export interface SealingKey {
  readonly id: string
  readonly key: KeyObject
  readonly [checked]: true
}

/** True when `id` may name a key. Ids are stored in the clear in every envelope. */
export function isKeyId(id: string): boolean {
  return KEY_ID.test(id)
}

/**
 * A key from exactly 32 bytes. The bytes are copied; the argument is left as it is, so that a caller can still wrap it, and
 * wiping it (`bytes.fill(0)`) is the caller's.
 * @throws CryptoError `key_invalid` for a wrong length, constant bytes, the published example key, or a bad id.
 */
export function sealingKey(id: string, bytes: Uint8Array): SealingKey {
  const faults: string[] = []
  if (!isKeyId(id)) faults.push('id is not 1 to 64 letters, digits, ".", "_" or "-"')
  if (bytes.length !== KEY_BYTES) faults.push('is not 32 bytes long')
  const weakness = keyWeakness(bytes)
  if (bytes.length > 0 && weakness !== undefined) faults.push(weakness)
  if (faults.length > 0) throw new CryptoError('key_invalid', `sealing key ${faults.join('; ')}`, faults)
  return Object.freeze({ id, key: createSecretKey(bytes) }) as SealingKey
}

/** 32 fresh random bytes for a data key. Wrap them, make the key of them, then wipe them. */
export function generateKeyBytes(): Buffer {
  return randomBytes(KEY_BYTES)
}
