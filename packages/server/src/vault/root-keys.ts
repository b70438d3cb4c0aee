/**
 * Owns the proof, at every start, that the configured root keys are those the database was sealed with. Refuses to start on a guess: a
 * wrong key found at the first decryption is found too late, with new rows already sealed under it. What nothing needs stops no start.
 */
import { CryptoError } from '@sallyport/core'
import type { KeyWrapper, Logger, RootKeys } from '@sallyport/core'
import { appendAudit, INSTALLATION } from '../audit/index.ts'
import { rootKeyAdd } from '../db/index.ts'
import type { Database, RootKeyUse } from '../db/index.ts'
import { rootKeyCheckPlace } from './sealed-columns.ts'
import { VaultError } from './vault-error.ts'

/** Wrapped under each root key; that it unwraps is all it says. */
const CHECK_TEXT = Buffer.from('sallyport root key check')

/** What the proof works on. */
export interface RootKeyRoom {
  readonly database: Pick<Database, 'system' | 'withTenant'>
  readonly logger: Logger
}

/**
 * Holds every stored check value against the root keys, then stores one for each new key. Safe to repeat and to race.
 *
 * A root key that the database knows and nobody configured stops the start when something is wrapped under it, and when no other is known
 * either: then these are another installation's keys. One that nothing is under is told of and left: it may be a rotated one that was not
 * removed yet, and whoever can write that table must not be able to stop the next start with a line of it.
 *
 * @throws VaultError `root_key_missing` or `root_key_wrong`, before anything is stored; KeySourceError when
 * whoever holds one can't be asked.
 */
export async function checkRootKeys(room: RootKeyRoom, keyring: RootKeys): Promise<void> {
  const { system } = room.database
  const [stored, use] = [await system.rootKeys(), await system.rootKeyUse()]
  const foreign = stored.size > 0 && ![...stored.keys()].some((id) => keyring.get(id) !== undefined)
  for (const [id, check] of stored) {
    if (keyring.get(id) !== undefined) await verify(keyring, id, check)
    else if (foreign || isUsed(use, id)) throw missing(id)
    else room.logger.warn('A root key is known to the database and not configured; nothing is under it', { rootKey: id })
  }
  for (const id of keyring.ids) {
    const key = keyring.get(id)
    if (key === undefined || stored.has(id)) continue
    // Another node may have stored its own first, made with other bytes.
    await verify(keyring, id, await introduce(room, keyring, key))
  }
}

/** Whether the stored check value of `id` is of these bytes. True, too, when nothing is stored. */
export async function isProven({ database }: Pick<RootKeyRoom, 'database'>, keyring: RootKeys, id: string): Promise<boolean> {
  const check = (await database.system.rootKeys()).get(id)
  return check === undefined || (keyring.get(id) !== undefined && (await unwraps(keyring.get(id)!, check)))
}

/** What unwraps under exactly this key. */
export function checkValue(key: KeyWrapper): Promise<Buffer> {
  return key.wrap(CHECK_TEXT, rootKeyCheckPlace(key.id))
}

/** Answers the check value that is stored afterwards. */
async function introduce({ database, logger }: RootKeyRoom, keyring: RootKeys, key: KeyWrapper): Promise<Buffer> {
  // Made before the transaction begins: whoever wraps may be far away.
  const check = await checkValue(key)
  return database.withTenant(INSTALLATION, async (tx) => {
    const { stored, added } = await rootKeyAdd(tx, key.id, check)
    if (added) {
      const detail = { id: key.id, primary: keyring.primary.id }
      await appendAudit(tx, { action: 'root_key.added', actor: 'system', target: key.id, detail })
      logger.info('Met a new root key', { rootKey: key.id })
    }
    return stored
  })
}

function isUsed(use: readonly RootKeyUse[], id: string): boolean {
  return use.some((key) => key.id === id && key.dataKeys + key.systemSecrets > 0)
}

function missing(id: string): VaultError {
  return new VaultError(
    'root_key_missing',
    `the database was sealed with root key "${id}", which is not configured: add it to the encryption keys`,
  )
}

async function verify(keyring: RootKeys, id: string, check: Uint8Array): Promise<void> {
  if (await unwraps(keyring.get(id)!, check)) return
  throw new VaultError(
    'root_key_wrong',
    `root key "${id}" is configured with other bytes than the database knows under that id: restore the right key, or give the new one another id. If nothing was ever sealed under it, the database forgets it with: sallyport keys remove ${id}`,
  )
}

async function unwraps(key: KeyWrapper, check: Uint8Array): Promise<boolean> {
  try {
    await key.unwrap(check, rootKeyCheckPlace(key.id))
    return true
  } catch (error) {
    // Bytes that are no envelope of it are as wrong as an envelope of another.
    if (error instanceof CryptoError) return false
    throw error
  }
}
