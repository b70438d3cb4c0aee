/**
 * Owns where root keys come from when the configuration names none (development): a file in the data folder, made once. Refuses to make
 * a second one beside data that an earlier one sealed.
 */
import { constants } from 'node:fs'
import { access, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { generateKeyBytes, RootKeyring, Secret } from '@sallyport/core'
import type { Config } from '../config.ts'
import { HomeError } from './home-error.ts'

const FILE = 'secrets/root-keys'

/** Whether root keys are read from the data folder, which is made to hold some if need be. */
export function keepsRootKeys(config: Config): boolean {
  return config.encryptionKeys === undefined && config.keys.source === 'config' && config.keys.wrapper === 'local'
}

/**
 * The root keys of the configuration, or of the data folder. Undefined only when something else wraps and neither has any.
 * @param fresh whether the database was made just now, so that nothing can have been sealed yet
 * @throws HomeError | CryptoError `key_invalid`
 */
export async function configuredRootKeys(config: Config, fresh: boolean): Promise<RootKeyring | undefined> {
  if (config.encryptionKeys !== undefined) return RootKeyring.parse(config.encryptionKeys)
  const path = join(config.dataDir, FILE)
  if (!(await exists(path))) {
    if (!keepsRootKeys(config)) return undefined
    if (!fresh) {
      throw new HomeError(
        'root_key_file_missing',
        `${path} is gone, and without it what the database holds can't be opened. Put it back from a backup, or set SALLYPORT_ENCRYPTION_KEYS to the keys it held. Nothing was changed.`,
      )
    }
    await make(path)
  }
  return RootKeyring.parse(await read(path))
}

/** Written whole and named last, so that a crash leaves a complete file or none. */
async function make(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(`root-1:${generateKeyBytes().toString('hex')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

async function read(path: string): Promise<Secret> {
  try {
    return new Secret((await readFile(path, 'utf8')).trim())
  } catch (error) {
    throw new HomeError('root_key_file_unusable', `${path} can't be read. Give this user the right to read it, then start again.`, {
      cause: error,
    })
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}
