/**
 * Owns the proof, at every start, that the configured root keys are those the database was sealed with. Refuses to start on a guess: a
 * wrong key found at the first decryption is found too late, with new rows already sealed under it.
 */
import { hasCode } from '@sallyport/core'
import type { KeyWrapper, RootKeys } from '@sallyport/core'
import type { SystemStore } from '../db/index.ts'
import { rootKeyCheckPlace } from './sealed-columns.ts'
import { VaultError } from './vault-error.ts'

/** Wrapped under each root key; that it unwraps is all it says. */
const CHECK_TEXT = Buffer.from('sallyport root key check')

/**
 * Holds every stored check value against the root keys, then stores one for each new key. Safe to repeat and to race.
 * @throws VaultError `root_key_missing` or `root_key_wrong`, before anything is stored; KeySourceError when
 * whoever holds one can't be asked.
 */
export async function checkRootKeys(system: SystemStore, keyring: RootKeys): Promise<void> {
  const stored = await system.rootKeys()
  for (const [id, check] of stored) await verify(keyring, id, check)
  for (const id of keyring.ids) {
    const key = keyring.get(id)
    if (key === undefined || stored.has(id)) continue
    // Another node may have stored its own first, made with other bytes.
    await verify(keyring, id, await system.rootKeyAdd(id, await checkValue(key)))
  }
}

/** What unwraps under exactly this key. */
export function checkValue(key: KeyWrapper): Promise<Buffer> {
  return key.wrap(CHECK_TEXT, rootKeyCheckPlace(key.id))
}

async function verify(keyring: RootKeys, id: string, check: Uint8Array): Promise<void> {
  const key = keyring.get(id)
  if (key === undefined) {
    throw new VaultError(
      'root_key_missing',
      `the database was sealed with root key "${id}", which is not configured: add it to the encryption keys; or, if it was rotated out and nothing is under it any more, forget it with: sallyport keys remove ${id}`,
    )
  }
  try {
    await key.unwrap(check, rootKeyCheckPlace(id))
  } catch (error) {
    if (!hasCode(error, 'decrypt_failed')) throw error
    throw new VaultError(
      'root_key_wrong',
      `root key "${id}" is configured with other bytes than the database was sealed with: restore the right key`,
    )
  }
}
