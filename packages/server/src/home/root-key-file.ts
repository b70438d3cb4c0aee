/**
 * Owns the file of root keys in the data folder: one line of `id:64-hex` entries, the first primary. Refuses to write it in place: it is written
 * whole beside and named last, so that a crash leaves the old line or the new one.
 */
import { constants } from 'node:fs'
import { access, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RootKeyring, Secret } from '@sallyport/core'
import type { Config } from '../config.ts'
import { lockDataDir } from '../db/embedded/index.ts'
import { HomeError } from './home-error.ts'

export function rootKeyFile({ dataDir }: Pick<Config, 'dataDir'>): string {
  return join(dataDir, 'secrets/root-keys')
}

export async function rootKeyFileExists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}

/** @throws HomeError `root_key_file_unusable` */
export async function readRootKeyFile(path: string): Promise<Secret> {
  try {
    return new Secret((await readFile(path, 'utf8')).trim())
  } catch (error) {
    throw new HomeError('root_key_file_unusable', `${path} can't be read. Give this user the right to read it, then start again.`, {
      cause: error,
    })
  }
}

export async function writeRootKeyFile(path: string, text: Secret): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(`${text.reveal()}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

/**
 * Puts `entry` first: it is the primary from the next start on.
 * @throws DataDirError `data_dir_in_use` while a gateway has the folder; HomeError | CryptoError `key_invalid`, with the file as it was.
 */
export async function appendRootKey(config: Config, entry: Secret): Promise<void> {
  requireFileSource(config)
  const lock = await lockDataDir(config.dataDir)
  try {
    await prepend(rootKeyFile(config), entry)
  } finally {
    await lock.release()
  }
}

async function prepend(path: string, entry: Secret): Promise<void> {
  const text = new Secret((await rootKeyFileExists(path)) ? `${entry.reveal()},${(await readRootKeyFile(path)).reveal()}` : entry.reveal())
  RootKeyring.parse(text)
  await writeRootKeyFile(path, text)
}

/** Takes the key `id` out of the file. False when it isn't there, or when root keys come from elsewhere. The last one stays. */
export async function forgetRootKey(config: Config, id: string): Promise<boolean> {
  if (config.encryptionKeys !== undefined || !(await rootKeyFileExists(rootKeyFile(config)))) return false
  const path = rootKeyFile(config)
  const entries = (await readRootKeyFile(path)).reveal().split(',')
  const kept = entries.filter((entry) => !entry.startsWith(`${id}:`))
  if (kept.length === 0 || kept.length === entries.length) return false
  await writeRootKeyFile(path, new Secret(kept.join(',')))
  return true
}

function requireFileSource({ encryptionKeys, keys }: Config): void {
  if (encryptionKeys === undefined && keys.source === 'config' && keys.wrapper === 'local') return
  throw new HomeError(
    'root_key_file_unusable',
    'The root keys come from the configuration, so the data folder has no file of them. Print a key with `sallyport keys generate` and put it first in the encryption keys.',
  )
}
