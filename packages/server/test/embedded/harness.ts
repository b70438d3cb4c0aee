/** Folders, child gateways and folder digests for the tests of the embedded database. */
import { createHash } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { onTestFinished } from 'vitest'
import type { EmbeddedPostgres } from '../../src/db/embedded/index.ts'
import type { Report } from './gateway-process.ts'

/** A path in a fresh private folder, which goes with the test. The path itself does not exist yet. */
export async function freshDataDir(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sallyport-embedded-'))
  onTestFinished(() => rm(parent, { recursive: true, force: true, maxRetries: 10 }))
  return join(parent, 'data')
}

/** Stops with the test, whatever becomes of it. */
export function stopAfterTest(database: EmbeddedPostgres): EmbeddedPostgres {
  onTestFinished(() => database.stop())
  return database
}

export async function query<Row extends object = Record<string, unknown>>(database: EmbeddedPostgres, text: string): Promise<Row[]> {
  const client = new Client({ ...database.connection, password: database.connection.password.reveal() })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

export interface GatewayProcess {
  readonly child: ChildProcess
  /** Resolves with the first report of that step, past or future, that `accept` accepts; rejects when the process ends without one. */
  until<Step extends Report['step']>(
    step: Step,
    accept?: (report: Extract<Report, { step: Step }>) => boolean,
  ): Promise<Extract<Report, { step: Step }>>
  /** Everything reported so far. */
  readonly reports: readonly Report[]
  /** SIGKILL, then waits for the end and for its last reports. */
  kill(): Promise<void>
}

export function startGatewayProcess(dataDir: string, run = 0): GatewayProcess {
  const script = fileURLToPath(new URL('gateway-process.ts', import.meta.url))
  const child = spawn(process.execPath, [script, dataDir, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const reports: Report[] = []
  const listeners = new Set<() => void>()
  const tell = (): void => listeners.forEach((listener) => listener())
  createInterface({ input: child.stdout }).on('line', (line) => {
    reports.push(JSON.parse(line))
    tell()
  })
  let ended = false
  const closed = once(child, 'close').then(() => {
    ended = true
    tell()
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return {
    child,
    reports,
    until<Step extends Report['step']>(step: Step, accept: (report: Extract<Report, { step: Step }>) => boolean = () => true) {
      const wanted = (report: Report): report is Extract<Report, { step: Step }> =>
        report.step === step && accept(report as Extract<Report, { step: Step }>)
      return new Promise<Extract<Report, { step: Step }>>((resolve, reject) => {
        const look = (): void => {
          const found = reports.find(wanted)
          if (found === undefined && !ended) return
          listeners.delete(look)
          if (found === undefined) reject(new Error(`the process ended first; it reported ${JSON.stringify(reports.at(-1))}`))
          else resolve(found)
        }
        listeners.add(look)
        look()
      })
    },
    async kill() {
      child.kill('SIGKILL')
      await closed
    },
  }
}

/** Reads `postmaster.pid`; undefined when no server ever got that far. */
export async function postmasterPid(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isNaN(pid) ? undefined : pid
}

/** One line per entry below the named folders of `dataDir`: path, mode, owner and content. Must not open `gateway.lock`. */
export async function digestOf(dataDir: string): Promise<string[]> {
  const lines: string[] = []
  for (const name of ['postgres', 'secrets']) await digestEntry(dataDir, name, lines)
  return lines
}

async function digestEntry(root: string, path: string, lines: string[]): Promise<void> {
  const full = join(root, path)
  const found = await lstat(full).catch(() => undefined)
  if (found === undefined) return
  const content = found.isFile()
    ? createHash('sha256')
        .update(await readFile(full))
        .digest('hex')
    : ''
  lines.push(`${path} ${found.mode.toString(8)} ${found.uid} ${content}`)
  if (!found.isDirectory()) return
  for (const name of (await readdir(full)).sort()) await digestEntry(root, join(path, name), lines)
}
