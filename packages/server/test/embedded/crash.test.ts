import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bundledPostgres } from '../../src/db/embedded/binaries.ts'
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { chooseLaunch } from '../../src/db/embedded/launch.ts'
import { runServer } from '../../src/db/embedded/server-process.ts'
import { gatewaySettings } from '../../src/db/embedded/settings.ts'
import { findStrays } from '../../src/db/embedded/strays.ts'
import { freshDataDir, postmasterPid, query, startGatewayProcess, stopAfterTest } from './harness.ts'

const KILLS = 20
const INTERRUPTED_MAKINGS = 6
const seed = Math.floor(Math.random() * 2 ** 31)

/** Park and Miller's generator: enough to spread moments, and repeatable from the printed seed. */
function randomFrom(start: number): (below: number) => number {
  let state = start || 1
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

describe(`after kill -9 (seed ${seed})`, { timeout: 120_000 }, () => {
  // Every fourth kill strikes during the start, the others between commits; every other one takes the database's parent process along.
  it(`the next start opens the folder with every acknowledged row, ${KILLS} times of ${KILLS}`, async () => {
    const random = randomFrom(seed)
    const dataDir = await freshDataDir()
    const acknowledged = new Map<number, number>()
    for (let run = 1; run <= KILLS; run++) {
      const gateway = startGatewayProcess(dataDir, run)
      if (run % 4 === 0) {
        await gateway.until('progress', ({ message }) => message.startsWith('Starting'))
        await delay(random(60))
      } else {
        const { rows } = await gateway.until('ready')
        expectNothingLost(rows, acknowledged)
        const enough = 1 + random(150)
        await gateway.until('committed', ({ n }) => n >= enough)
      }
      const postmaster = run % 2 === 0 ? await postmasterPid(dataDir) : undefined
      await gateway.kill()
      if (postmaster !== undefined && (await findStrays(join(dataDir, 'postgres'))).includes(postmaster)) killIfThere(postmaster)
      const last = gateway.reports.findLast((report) => report.step === 'committed')
      if (last?.step === 'committed') acknowledged.set(run, last.n)
    }
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    const rows = await query<RunRows>(database, 'SELECT run, count(*)::int AS rows, max(n) AS last FROM kept GROUP BY run ORDER BY run')
    expectNothingLost(rows, acknowledged)
    expect(acknowledged.size).toBeGreaterThanOrEqual(KILLS / 2)
  })

  it(`in the midst of making the database, the next start makes it anew, ${INTERRUPTED_MAKINGS} times of ${INTERRUPTED_MAKINGS}`, async () => {
    const random = randomFrom(seed)
    for (let round = 0; round < INTERRUPTED_MAKINGS; round++) {
      const dataDir = await freshDataDir()
      const gateway = startGatewayProcess(dataDir)
      await gateway.until('progress', ({ message }) => message.startsWith('Making'))
      await delay(random(500))
      await gateway.kill()
      const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
      expect(await query(database, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
      await database.stop()
      expect((await readdir(dataDir)).sort()).toEqual(['gateway.lock', 'postgres', 'secrets'])
    }
  })

  it('a half-made database is removed and made anew, and its password is kept', async () => {
    const dataDir = await freshDataDir()
    await mkdir(join(dataDir, 'postgres.new-AbCdEf', 'base'), { recursive: true })
    await writeFile(join(dataDir, 'postgres.new-AbCdEf', 'PG_VERSION'), '18\n')
    await mkdir(join(dataDir, 'secrets'))
    await writeFile(join(dataDir, 'secrets', 'postgres-superuser'), 'not-a-real-password')
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(database, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    expect(await readdir(dataDir)).not.toContain('postgres.new-AbCdEf')
    expect(await readFile(join(dataDir, 'secrets', 'postgres-superuser'), 'utf8')).toBe('not-a-real-password')
  })

  it('an orphaned database server is stopped, and its rows are there', async () => {
    const dataDir = await freshDataDir()
    const first = await startEmbeddedPostgres({ dataDir })
    await query(first, 'CREATE TABLE kept AS SELECT 7 AS n')
    await first.stop()
    const orphan = await startUntied(dataDir)
    const steps: string[] = []
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir, onProgress: (message) => steps.push(message) }))
    expect(steps[0]).toContain('that a killed gateway had left')
    expect(await query(database, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
    expect(await orphan.died).toEqual({ code: 0, signal: null })
  })

  it('a recorded process number that now belongs to another process is neither believed nor signalled', async () => {
    const dataDir = await freshDataDir()
    await (await startEmbeddedPostgres({ dataDir })).stop()
    const innocent = process.pid
    await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), `${innocent}\n${join(dataDir, 'postgres')}\n0\n5432\n/tmp\n\n`)
    const signals: string[] = []
    const note = (name: string): void => void signals.push(name)
    for (const name of ['SIGINT', 'SIGQUIT', 'SIGTERM'] as const) {
      process.on(name, note)
      onTestFinished(() => void process.off(name, note))
    }
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(database, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    expect(signals).toEqual([])
  })
})

interface RunRows {
  run: number
  rows: number
  last: number
}

function expectNothingLost(found: readonly RunRows[], acknowledged: ReadonlyMap<number, number>): void {
  for (const [run, n] of acknowledged) {
    const kept = found.find((row) => row.run === run)
    expect(kept?.last, `last row of run ${run}`).toBeGreaterThanOrEqual(n)
    expect(kept?.rows, `rows of run ${run}`).toBe(kept?.last)
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** A server as a gateway on a machine without setpriv would leave it: running, with nobody who stops it. */
async function startUntied(dataDir: string): Promise<Awaited<ReturnType<typeof runServer>>> {
  const { postgres } = await bundledPostgres()
  const launch = await chooseLaunch(postgres, undefined)
  const socketDir = await freshDataDir()
  await mkdir(socketDir, { mode: 0o700 })
  const server = await runServer({
    launch,
    postgres,
    clusterDir: join(dataDir, 'postgres'),
    settings: gatewaySettings(socketDir),
    startTimeoutMs: 30_000,
  })
  onTestFinished(() => server.stop())
  return server
}
