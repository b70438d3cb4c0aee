/**
 * Owns the database a gateway runs on: the embedded PostgreSQL on the data folder, started, migrated and stopped here, or one given by
 * URL. Both are used through a login that owns nothing. Refuses to run on a database whose schema it could not bring up to date.
 */
import { randomBytes, Secret } from '@sallyport/core'
import type { Logger } from '@sallyport/core'
import type { Config } from '../config.ts'
import { lockDataDir, startEmbeddedPostgres } from '../db/embedded/index.ts'
import type { DataDirLock, EmbeddedPostgres } from '../db/embedded/index.ts'
import { databaseUrl, migrate, openDatabase, parseDatabaseUrl } from '../db/index.ts'
import type { Database } from '../db/index.ts'
import { requirePrivateStores } from './plaintext-stores.ts'
import { keepsRootKeys } from './root-keys.ts'

export interface Home {
  readonly database: Database
  /** Resolves when the embedded server ends by itself; never for a server given by URL. */
  readonly lost: Promise<void>
  /** Closes the database, stops the embedded server, frees the data folder. */
  close(): Promise<void>
}

/** The embedded server's login for the gateway. */
const APP_LOGIN = 'sallyport_gateway'

/** @throws DataDirError | DatabaseError, each with what to do */
export async function openHome(config: Config, logger: Logger): Promise<Home> {
  await requirePrivateStores(config, logger)
  return config.databaseUrl === undefined ? openEmbedded(config, logger) : openGiven(config, config.databaseUrl, logger)
}

/** Brings the Postgres given by URL to this build's schema, and makes its login of the gateway. Answers what was applied. */
export async function migrateGiven(config: Config, url: Secret, logger: Logger): Promise<readonly string[]> {
  await requirePrivateStores(config, logger)
  return migrateWith(config, url, logger)
}

async function migrateWith(config: Config, url: Secret, logger: Logger): Promise<readonly string[]> {
  const app = config.databaseUrl === undefined ? undefined : parseDatabaseUrl(config.databaseUrl)
  const { applied } = await migrate({
    url,
    ...(app === undefined ? {} : { appRole: { name: app.user, password: app.password } }),
    requireVerifiedTls: config.mode === 'production' && !config.insecureAllowPlaintextStores,
    logger,
  })
  return applied
}

async function openGiven(config: Config, url: Secret, logger: Logger): Promise<Home> {
  // The folder may still hold root keys, and two gateways must not make two sets of them.
  const lock = keepsRootKeys(config) ? await lockDataDir(config.dataDir) : undefined
  try {
    if (config.databaseMigrationUrl !== undefined) await migrateWith(config, config.databaseMigrationUrl, logger)
    const database = await openDatabase({
      url,
      sessionUrl: config.databaseSessionUrl,
      requireVerifiedTls: config.mode === 'production' && !config.insecureAllowPlaintextStores,
      logger,
    })
    const close = async (): Promise<void> => {
      await database.close()
      await lock?.release()
    }
    return { database, lost: new Promise(() => undefined), close }
  } catch (error) {
    await lock?.release()
    throw error
  }
}

async function openEmbedded(config: Config, logger: Logger): Promise<Home> {
  const lock = await lockDataDir(config.dataDir)
  let server: EmbeddedPostgres | undefined
  try {
    server = await startEmbeddedPostgres({ dataDir: config.dataDir, lock, onProgress: (message) => logger.info(message) })
    const database = await openMigrated(server, logger)
    return { database, lost: server.died.then(() => undefined), close: () => closeEmbedded(database, server!, lock) }
  } catch (error) {
    await server?.stop()
    await lock.release()
    throw error
  }
}

async function openMigrated(server: EmbeddedPostgres, logger: Logger): Promise<Database> {
  // A password made anew for each start: nobody else needs it, and it is written nowhere.
  const password = new Secret(randomBytes(24).toString('hex'))
  await migrate({ url: databaseUrl(server.connection), appRole: { name: APP_LOGIN, password }, logger })
  return openDatabase({ url: databaseUrl({ ...server.connection, user: APP_LOGIN, password }), logger })
}

async function closeEmbedded(database: Database, server: EmbeddedPostgres, lock: DataDirLock): Promise<void> {
  await database.close()
  await server.stop()
  await lock.release()
}
