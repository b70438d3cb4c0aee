/**
 * Owns the embedded database: a real PostgreSQL that the gateway starts on its data folder, supervises and stops. Refuses to share the folder, to listen
 * on the network, and to repair or remove anything that might be somebody's data.
 */
import { join } from 'node:path'
import type { Secret } from '@sallyport/core'
import { Client, DatabaseError } from 'pg'
import { bundledPostgres, type PostgresBinaries } from './binaries.ts'
import { corrupt, createCluster, giveTo, inspectCluster } from './cluster.ts'
import { createSuperuserPassword, lockDataDir, readSuperuserPassword, superuserPasswordFile, type DataDirLock } from './data-dir.ts'
import { DataDirError } from './errors.ts'
import { chooseLaunch, type Launch } from './launch.ts'
import { runServer, type ServerExit, type ServerProcess } from './server-process.ts'
import { gatewaySettings, SOCKET_PORT } from './settings.ts'
import { reachableBinaries } from './reachable.ts'
import { makeSocketFolder, removeSocketFolder } from './socket-folder.ts'
import { stopStrays } from './strays.ts'

export { DataDirError, type DataDirErrorCode } from './errors.ts'
export { lockDataDir, type DataDirLock } from './data-dir.ts'

export interface SuperuserConnection {
  /** The folder of the Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret
  readonly database: 'postgres'
}

export interface EmbeddedPostgres {
  /** For migrations and the making of roles; requests must run as a role that owns nothing. */
  readonly connection: SuperuserConnection
  /** Absolute path of the data folder. */
  readonly dataDir: string
  /** Such as `18.4`. */
  readonly serverVersion: string
  /** Fast shutdown, waits for every process to end, removes the socket folder and frees the folder's lock if it was taken here. Idempotent. */
  stop(): Promise<void>
  /** Resolves when the server ends without `stop()` having been called; otherwise never. `stop()` is still due then. */
  readonly died: Promise<ServerExit>
}

export interface EmbeddedOptions {
  readonly dataDir: string
  /** A lock the caller already holds on `dataDir` and goes on holding; without it one is taken here. */
  readonly lock?: DataDirLock | undefined
  /** Gets one sentence per step that can take a noticeable time. */
  readonly onProgress?: ((message: string) => void) | undefined
  /** Two minutes when absent: the replay of a long log counts. */
  readonly startTimeoutMs?: number | undefined
}

const START_TIMEOUT_MS = 120_000

/**
 * Starts PostgreSQL on `dataDir`, making folder and cluster the first time. Ends a PostgreSQL that a killed gateway left there. Call it from the main
 * thread: the server ends with the thread that started it.
 * @throws DataDirError every code; on each the data is as it was.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const lock = options.lock ?? (await lockDataDir(options.dataDir))
  const release = async (): Promise<void> => {
    if (options.lock === undefined) await lock.release()
  }
  try {
    return await startLocked(lock.dataDir, options, release)
  } catch (error) {
    await release()
    throw error
  }
}

async function startLocked(dataDir: string, options: EmbeddedOptions, release: () => Promise<void>): Promise<EmbeddedPostgres> {
  const { launch, password, binaries } = await prepareCluster(dataDir, await bundledPostgres(), options)
  const socketDir = await makeSocketFolder(dataDir, launch.account)
  const connection: SuperuserConnection = { host: socketDir, port: SOCKET_PORT, user: 'postgres', password, database: 'postgres' }
  let server: ServerProcess | undefined
  try {
    server = await runWithoutStrays(dataDir, socketDir, binaries, launch, options)
    await proveLogin(connection, dataDir)
  } catch (error) {
    await server?.stop()
    await removeSocketFolder(dataDir)
    throw error
  }
  return handle(server, connection, dataDir, launch.version, release)
}

/** Judges the cluster or makes it, and finds the account that can run it. Nothing is written before the judgement. */
async function prepareCluster(
  dataDir: string,
  installed: PostgresBinaries,
  options: EmbeddedOptions,
): Promise<{ launch: Launch; password: Secret; binaries: PostgresBinaries }> {
  const clusterDir = clusterFolder(dataDir)
  const owner = await inspectCluster(clusterDir, installed.major)
  const kept = await readSuperuserPassword(dataDir)
  const launch = await chooseLaunch(installed.postgres, owner)
  const binaries = await reachableBinaries(installed, launch.account)
  if (owner !== undefined) {
    if (kept === undefined) throw corrupt(clusterDir, `came without its password (${superuserPasswordFile(dataDir)} is missing or empty)`)
    if (launch.account !== undefined && launch.account.uid !== owner.uid) await giveTo(launch.account, clusterDir)
    return { launch, password: kept, binaries }
  }
  options.onProgress?.(`Making a new database with PostgreSQL ${launch.version} in ${dataDir}`)
  const password = kept ?? (await createSuperuserPassword(dataDir))
  await createCluster({ binaries, launch, clusterDir, passwordFile: superuserPasswordFile(dataDir), durable: true })
  return { launch, password, binaries }
}

/** A process that was only being spawned when its gateway died shows up late, and then our first start fails on it: hence one more round. */
async function runWithoutStrays(
  dataDir: string,
  socketDir: string,
  binaries: PostgresBinaries,
  launch: Launch,
  options: EmbeddedOptions,
): Promise<ServerProcess> {
  const clusterDir = clusterFolder(dataDir)
  const { onProgress, startTimeoutMs = START_TIMEOUT_MS } = options
  const start = (): Promise<ServerProcess> =>
    runServer({ launch, postgres: binaries.postgres, clusterDir, settings: gatewaySettings(socketDir), startTimeoutMs, onProgress })
  if ((await stopStrays(clusterDir)) > 0) onProgress?.('Stopped a PostgreSQL that a killed gateway had left on the data folder')
  onProgress?.(`Starting PostgreSQL ${launch.version}`)
  try {
    return await start()
  } catch (error) {
    if ((await stopStrays(clusterDir)) === 0) throw error
    return start()
  }
}

const WRONG_PASSWORD = '28P01'

/** Logs in once, so that a password which does not fit is told here and not by the first request. */
async function proveLogin(connection: SuperuserConnection, dataDir: string): Promise<void> {
  const client = new Client({ ...connection, password: connection.password.reveal(), connectionTimeoutMillis: 10_000 })
  // Errors outside a call also reject the call that suffers from them; without a listener they would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
  } catch (error) {
    if (error instanceof DatabaseError && error.code === WRONG_PASSWORD) {
      throw corrupt(clusterFolder(dataDir), `does not know the password in ${superuserPasswordFile(dataDir)}`, error)
    }
    throw new DataDirError(
      'postgres_start_failed',
      `PostgreSQL runs on ${dataDir} but cannot be logged in to. Check that no limit on open files or memory applies, then start again.`,
      { cause: error },
    )
  }
}

function handle(
  server: ServerProcess,
  connection: SuperuserConnection,
  dataDir: string,
  serverVersion: string,
  release: () => Promise<void>,
): EmbeddedPostgres {
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await server.stop()
    await removeSocketFolder(dataDir)
    await release()
  }
  return {
    connection,
    dataDir,
    serverVersion,
    died: server.died,
    stop() {
      stopping ??= stop()
      return stopping
    },
  }
}

function clusterFolder(dataDir: string): string {
  return join(dataDir, 'postgres')
}
