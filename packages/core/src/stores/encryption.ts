/**
 * Owns the keys that tokens are sealed under in a store without organizations: their configuration, and the test that the store was sealed
 * with these very keys. Refuses every other cipher, and passphrases, weak, doubled and missing keys: there is no mode without encryption.
 */
import { generateKeyBytes, open, RootKeyring, seal } from '../crypto/index.ts'
import { CryptoError } from '../crypto/index.ts'
import type { RootKey, SealPlace } from '../crypto/index.ts'
import { hasCode, Secret } from '../kernel/index.ts'
import type { LineageRecords } from './records.ts'

/** The one cipher. Spelt as configuration files spell it. */
export const TOKEN_CIPHER = 'aes-256-gcm'
/** What a key without a name of its own is called: the id to give it when a second key comes. */
export const UNNAMED_KEY_ID = 'default'

/** 64 hex digits, wrapped or not. */
export type KeyText = string | Secret

/** As in configuration: one key, or several of which the first is current. A key is 64 hex digits (32 random bytes). */
export type EncryptionConfig =
  | { readonly key: KeyText; readonly algorithm?: string }
  | { readonly keys: readonly { readonly id: string; readonly key: KeyText }[]; readonly algorithm?: string }

const KEY_NAME = /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/u

/** @throws CryptoError `key_invalid` with every fault, none of which quotes what stood there. */
export function readEncryption(config: EncryptionConfig): RootKeyring {
  const faults = [...cipherFaults(config), ...shapeFaults(config)]
  if (faults.length > 0) throw new CryptoError('key_invalid', `encryption keys refused: ${faults.join('; ')}`, faults)
  const named = 'keys' in config ? config.keys : [{ id: UNNAMED_KEY_ID, key: config.key }]
  return RootKeyring.parse(new Secret(named.map(({ id, key }) => `${id}:${textOf(key)}`).join(',')))
}

function cipherFaults({ algorithm }: EncryptionConfig): string[] {
  return algorithm === undefined || algorithm === TOKEN_CIPHER ? [] : [`algorithm is not "${TOKEN_CIPHER}", the only one there is`]
}

function shapeFaults(config: EncryptionConfig): string[] {
  if ('key' in config && 'keys' in config) return ['"key" and "keys" are both given: name the key, and put it into "keys"']
  if (!('keys' in config)) return isKeyText(config.key) ? [] : ['"key" is missing: tokens are never kept unencrypted']
  if (!Array.isArray(config.keys) || config.keys.length === 0) return ['"keys" is empty: tokens are never kept unencrypted']
  return config.keys.flatMap(({ id, key }, index) => [
    ...(typeof id === 'string' && KEY_NAME.test(id)
      ? []
      : [`key ${index + 1} has an id that is not 1 to 64 letters, digits, ".", "_" or "-"`]),
    ...(isKeyText(key) ? [] : [`key ${index + 1} is missing`]),
  ])
}

function isKeyText(key: unknown): key is KeyText {
  return key instanceof Secret ? !key.isEmpty() : typeof key === 'string' && key !== ''
}

/** White space around it is a file's last newline. A comma inside would make two keys of it, so it is turned into what is no digit. */
function textOf(key: KeyText): string {
  return (key instanceof Secret ? key.reveal() : key).trim().replaceAll(',', ';')
}

/** Keys for tokens that end with this process. */
export function ephemeralKeys(): RootKeyring {
  const bytes = generateKeyBytes()
  try {
    return RootKeyring.parse(new Secret(`process:${bytes.toString('hex')}`))
  } finally {
    bytes.fill(0)
  }
}

/**
 * Holds every key against what the store was sealed with under the same id, and notes the ids that are new to it.
 * @throws CryptoError `key_invalid` when the bytes of an id have changed; TokenError `store_unavailable`.
 */
export async function proveKeys(keys: RootKeyring, records: Pick<LineageRecords, 'keyCheck' | 'kind'>): Promise<void> {
  for (const id of keys.ids) {
    const key = keys.get(id)!
    const standing = await records.keyCheck(id, seal(key, checkPlace(id), new Secret(id)))
    if (!opens(key, standing)) throw changedKey(id, records.kind)
  }
}

function opens(key: RootKey, check: Uint8Array): boolean {
  try {
    open((id) => (id === key.id ? key : undefined), checkPlace(key.id), check)
    return true
  } catch (error) {
    if (hasCode(error, 'decrypt_failed')) return false
    throw error
  }
}

function checkPlace(id: string): SealPlace {
  return { purpose: 'key-check', org: '', table: 'key', column: 'check', record: id, seq: 0n }
}

function changedKey(id: string, kind: string): CryptoError {
  const fault = `the key "${id}" has other bytes than the one that tokens in this store (${kind}) were sealed with: give the new key an id of its own, and keep the old one under "${id}"`
  return new CryptoError('key_invalid', `encryption keys refused: ${fault}`, [fault])
}
