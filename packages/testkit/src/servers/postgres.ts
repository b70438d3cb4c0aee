/** Owns the throw-away PostgreSQL servers of the test suite. Refuses durability: they write nothing through to the disk, and their folder goes with them. */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundledPostgres, type PostgresBinaries } from '../../../server/src/db/embedded/binaries.ts'
import { createCluster } from '../../../server/src/db/embedded/cluster.ts'
import { chooseLaunch } from '../../../server/src/db/embedded/launch.ts'
import { runServer } from '../../../server/src/db/embedded/server-process.ts'
import { COMMON_SETTINGS } from '../../../server/src/db/embedded/settings.ts'
import { onFreePort } from './free-port.ts'
import { temporaryFolder } from './temporary-folder.ts'

export type TestedMajor = 15 | 18

export interface TestPostgres {
  /** Superuser's URL on loopback, database `postgres`. */
  readonly url: string
  /** Such as `18.4`. */
  readonly version: string
  /** Stops the server and removes its folder. Idempotent. */
  stop(): Promise<void>
}

export interface TestPostgresOptions {
  readonly major: TestedMajor
  /** The server's own settings, such as `ssl`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where its log is written to as well, for tests that read it. */
  readonly logFile?: string
}

/** The bundled programs for 18, Debian's for 15; undefined when this machine has none of that version. */
export async function findPostgres(major: TestedMajor): Promise<PostgresBinaries | undefined> {
  if (major === 18) return bundledPostgres()
  const folder = `/usr/lib/postgresql/${major}/bin`
  const binaries = { postgres: `${folder}/postgres`, initdb: `${folder}/initdb`, major: String(major) }
  return existsSync(binaries.postgres) && existsSync(binaries.initdb) ? binaries : undefined
}

/**
 * Starts a fresh server on a random loopback port. It ends with this process, even at kill -9. Takes about a second.
 * @throws Error when the version is not installed; DataDirError when it does not start.
 */
export async function startTestPostgres({ major, settings = {}, logFile }: TestPostgresOptions): Promise<TestPostgres> {
  const binaries = await findPostgres(major)
  if (binaries === undefined) throw new Error(`PostgreSQL ${major} is not installed. On Debian: apt-get install postgresql-${major}`)
  const folder = await temporaryFolder()
  try {
    return await startIn(folder, binaries, settings, logFile)
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    throw error
  }
}

async function startIn(
  folder: string,
  binaries: PostgresBinaries,
  more: Readonly<Record<string, string>>,
  logFile: string | undefined,
): Promise<TestPostgres> {
  const launch = await chooseLaunch(binaries.postgres, undefined)
  const clusterDir = join(folder, 'postgres')
  const passwordFile = join(folder, 'password')
  const password = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString('hex')
  await writeFile(passwordFile, password, { mode: 0o600 })
  await createCluster({ binaries, launch, clusterDir, passwordFile, durable: false })
  const postgres = logFile === undefined ? binaries.postgres : await writingTo(logFile, binaries.postgres, folder)
  const { port, server } = await onFreePort(async (port) => {
    const settings = { ...COMMON_SETTINGS, ...THROW_AWAY, ...more, port: String(port) }
    return { port, server: await runServer({ launch, postgres, clusterDir, settings, startTimeoutMs: 60_000 }) }
  })
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    version: launch.version,
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

/** The same program with its log in a file too: the server's own collector would take it away from whoever waits for its start. */
async function writingTo(logFile: string, postgres: string, folder: string): Promise<string> {
  const program = join(folder, 'postgres-with-log')
  await writeFile(program, `#!/bin/bash\nexec '${postgres}' "$@" 2> >(exec tee '${logFile}' >&2)\n`, { mode: 0o755 })
  return program
}

const THROW_AWAY = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
}
