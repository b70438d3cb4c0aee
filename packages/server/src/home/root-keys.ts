/**
 * Owns where root keys come from when the configuration names none (development): a file in the data folder, made once. Refuses to make
 * a second one beside data that an earlier one sealed.
 */
import { generateKeyBytes, RootKeyring, Secret } from '@sallyport/core'
import type { Config } from '../config.ts'
import { HomeError } from './home-error.ts'
import { readRootKeyFile, rootKeyFile, rootKeyFileExists, writeRootKeyFile } from './root-key-file.ts'

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
  const path = rootKeyFile(config)
  if (!(await rootKeyFileExists(path))) {
    if (!keepsRootKeys(config)) return undefined
    if (!fresh) {
      throw new HomeError(
        'root_key_file_missing',
        `${path} is gone, and without it what the database holds can't be opened. Put it back from a backup, or set SALLYPORT_ENCRYPTION_KEYS to the keys it held. Nothing was changed.`,
      )
    }
    await writeRootKeyFile(path, new Secret(`root-1:${generateKeyBytes().toString('hex')}`))
  }
  return RootKeyring.parse(await readRootKeyFile(path))
}
