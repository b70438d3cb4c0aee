/**
 * Owns the proof, at every start, that the configured root keys are those the database was sealed with. Refuses to start on a guess: a
 * wrong key found at the first decryption is found too late, with new rows already sealed under it.
 */
import { hasCode, open, seal, Secret } from '@sallyport/core'
import type { RootKeyring, SealingKey, SealPlace } from '@sallyport/core'
import type { SystemStore } from '../db/index.ts'
import { VaultError } from './vault-error.ts'

/** Sealed under each root key; that it opens is all it says. */
const CHECK_TEXT = 'sallyport root key check'

/**
 * Holds every stored check value against the ring, then stores one for each new key. Safe to repeat and to race.
 * @throws VaultError `root_key_missing` or `root_key_wrong`, before anything is stored.
 */
export async function checkRootKeys(system: SystemStore, keyring: RootKeyring): Promise<void> {
  const stored = await system.rootKeys()
  for (const [id, check] of stored) verify(keyring, id, check)
  for (const id of keyring.ids) {
    const key = keyring.get(id)
    if (key === undefined || stored.has(id)) continue
    // Another node may have stored its own first, made with other bytes.
    verify(keyring, id, await system.rootKeyAdd(id, checkValue(key)))
  }
}

/** An envelope that opens under exactly this key. */
export function checkValue(key: SealingKey): Buffer {
  return seal(key, checkPlace(key.id), new Secret(CHECK_TEXT))
}

function verify(keyring: RootKeyring, id: string, check: Uint8Array): void {
  if (keyring.get(id) === undefined) {
    throw new VaultError(
      'root_key_missing',
      `the database was sealed with root key "${id}", which is not configured: add it to the encryption keys`,
    )
  }
  try {
    open((name) => keyring.get(name), checkPlace(id), check)
  } catch (error) {
    if (!hasCode(error, 'decrypt_failed')) throw error
    throw new VaultError(
      'root_key_wrong',
      `root key "${id}" is configured with other bytes than the database was sealed with: restore the right key`,
    )
  }
}

function checkPlace(id: string): SealPlace {
  return { purpose: 'root-key-check', org: '', table: 'root_key', column: 'check_value', record: id, seq: 0n }
}
