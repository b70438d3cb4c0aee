/** Owns what a whole test run stands on: both PostgreSQL versions, PgBouncer, Redis, SoftHSM2 and a browser. Refuses to go on without one of them, except PostgreSQL 15. */
import { serverVersionNumber } from './database.ts'
import { installDebianPackages, mayInstallOn, type Progress } from './debian-packages.ts'
import { findProgram } from './find-program.ts'
import { findPgBouncer } from './pgbouncer.ts'
import { findPostgres, startTestPostgres } from './postgres.ts'
import { findRedis, startTestRedis } from './redis.ts'
import { findSoftHsm } from '../softhsm/softhsm.ts'

export interface TestServers {
  /** Superuser's URL of the bundled PostgreSQL 18, or of the server named by SALLYPORT_TEST_POSTGRES_URL (15 or newer). */
  readonly postgres18Url: string
  /** Superuser's URL of PostgreSQL 15, the oldest supported; undefined when this machine has none and cannot install it. */
  readonly postgres15Url: string | undefined
  readonly redisUrl: string
  /** Absolute path of Chromium or Chrome. */
  readonly chromiumPath: string
  /** Stops what was started here, never a server given by URL. Idempotent. */
  stop(): Promise<void>
}

export interface TestServerOptions {
  readonly onProgress?: Progress | undefined
  /** Read for SALLYPORT_TEST_POSTGRES_URL and SALLYPORT_TEST_REDIS_URL; the process's own when absent. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

interface Started {
  readonly url: string
  stop(): Promise<void>
}

/** A server given by URL is left as it is. */
async function notOurs(): Promise<void> {}

const OLDEST_SUPPORTED = 150_000

/**
 * Installs what is missing where it may, then starts everything. For a global set-up: call it from the main thread, and `stop()` at the end. All of it
 * also ends by itself when this process is killed.
 * @throws Error that names what to install and how, or which given server does not answer.
 */
export async function ensureTestServers(options: TestServerOptions = {}): Promise<TestServers> {
  const { environment = process.env, onProgress = () => {} } = options
  const givenPostgres = environment['SALLYPORT_TEST_POSTGRES_URL']
  const givenRedis = environment['SALLYPORT_TEST_REDIS_URL']
  await ensurePrograms({ redis: givenRedis === undefined, postgres15: givenPostgres === undefined }, onProgress)
  const chromiumPath = await findChromium()
  if (chromiumPath === undefined) throw new Error('Chromium was installed, but no program of that name is on the search path.')
  const postgres18 = givenPostgres === undefined ? startTestPostgres({ major: 18 }) : givenServer(givenPostgres)
  const postgres15 = startPostgres15(onProgress)
  const redis = givenRedis === undefined ? startTestRedis() : Promise.resolve({ url: givenRedis, stop: notOurs })
  const stop = async (): Promise<void> => {
    await Promise.all([postgres18, postgres15, redis].map((starting) => stopStarted(starting)))
  }
  try {
    const started = await Promise.all([postgres18, postgres15, redis])
    return { postgres18Url: started[0].url, postgres15Url: started[1]?.url, redisUrl: started[2].url, chromiumPath, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** One that never started has cleaned up after itself, and its failure is reported where it is awaited. */
async function stopStarted(starting: Promise<Started | undefined>): Promise<void> {
  const [result] = await Promise.allSettled([starting])
  if (result.status === 'fulfilled') await result.value?.stop()
}

/** One run of apt-get for all that is missing. PostgreSQL 15 is Debian 12's own version, and only there worth the asking. */
async function ensurePrograms(wanted: { redis: boolean; postgres15: boolean }, onProgress: Progress): Promise<void> {
  const missing: string[] = []
  if (wanted.redis && (await findRedis()) === undefined) missing.push('redis-server')
  if ((await findChromium()) === undefined) missing.push('chromium')
  if ((await findSoftHsm()) === undefined) missing.push('softhsm2')
  if ((await findPgBouncer()) === undefined) missing.push('pgbouncer')
  if (wanted.postgres15 && (await findPostgres(15)) === undefined && (await mayInstallOn('12'))) missing.push('postgresql-15')
  if (missing.length === 0) return
  onProgress(`Installing ${missing.join(', ')}; this happens once`)
  await installDebianPackages(missing, onProgress)
}

export function findChromium(): Promise<string | undefined> {
  return findProgram(['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'])
}

async function startPostgres15(onProgress: Progress): Promise<Started | undefined> {
  if ((await findPostgres(15)) !== undefined) return startTestPostgres({ major: 15 })
  onProgress('PostgreSQL 15 is not installed: its share of the tests runs on 18 alone. On Debian 12: apt-get install postgresql-15')
  return undefined
}

async function givenServer(url: string): Promise<Started> {
  const version = await serverVersionNumber(url).catch((cause: unknown) => {
    throw new Error(
      'The server named by SALLYPORT_TEST_POSTGRES_URL does not answer. Check the URL, or unset it to let the suite start its own.',
      { cause },
    )
  })
  if (version < OLDEST_SUPPORTED) throw new Error('The server named by SALLYPORT_TEST_POSTGRES_URL is older than PostgreSQL 15.')
  return { url, stop: notOurs }
}
