/** Owns one running PostgreSQL as our child, from spawn to the end of its last process. Refuses to call it running before it accepts connections. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable } from 'node:stream'
import { DataDirError } from './errors.ts'
import type { Launch } from './launch.ts'
import { CHILD_ENVIRONMENT } from './launch.ts'
import { LastLines } from './last-lines.ts'
import { findStrays, signal } from './strays.ts'

export interface ServerExit {
  readonly code: number | null
  readonly signal: string | null
}

export interface ServerProcess {
  readonly pid: number
  /** Resolves when the server ends without `stop()` having been called; otherwise never. */
  readonly died: Promise<ServerExit>
  /** Fast shutdown: clients are cut, data is checkpointed. Resolves when all of its processes are gone. Idempotent. */
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly launch: Launch
  /** The program `postgres`. */
  readonly postgres: string
  readonly clusterDir: string
  /** Given on the command line, where nothing in the folder can override them. */
  readonly settings: Readonly<Record<string, string>>
  /** Milliseconds until an unready server is stopped; replaying a long log counts. */
  readonly startTimeoutMs: number
  readonly onProgress?: ((message: string) => void) | undefined
}

type Child = ChildProcessByStdio<null, null, Readable>

/** A fast shutdown writes a checkpoint of what our small settings let be dirty: well under a second here. */
const FAST_SHUTDOWN_MS = 8_000
/** An immediate shutdown writes nothing; a process that is not gone by then doesn't run at all (stopped, or stuck in the kernel). */
const IMMEDIATE_SHUTDOWN_MS = 3_000
const PROGRESS_EVERY_MS = 3_000
const READY = 'database system is ready to accept connections'

/** @throws DataDirError `postgres_start_failed` with the last log lines. */
export async function runServer(options: ServerOptions): Promise<ServerProcess> {
  const child = spawnServer(options)
  const lines = new LastLines()
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const started = performance.now()
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000)
    options.onProgress?.(`PostgreSQL is still starting after ${seconds} s; after an unclean stop it first replays its log`)
  }, PROGRESS_EVERY_MS)
  try {
    await untilReady(child, lines, options)
  } catch (error) {
    await shutDown(child, closed, options.clusterDir)
    throw error
  } finally {
    clearInterval(progress)
  }
  return supervise(child, closed, options.clusterDir)
}

function spawnServer(options: ServerOptions): Child {
  const settings = Object.entries(options.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [file, args] = options.launch.command('INT', options.postgres, ['-D', options.clusterDir, ...settings])
  // Its own session: Ctrl-C in a terminal reaches the gateway alone, which drains before it stops the database.
  return spawn(file, args, { env: CHILD_ENVIRONMENT, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], detached: true })
}

function untilReady(child: Child, lines: LastLines, options: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => fail(`was not ready within ${options.startTimeoutMs} ms`), options.startTimeoutMs)
    const fail = (what: string, cause?: unknown): void => {
      clearTimeout(limit)
      reject(startFailed(options.clusterDir, what, lines, cause))
    }
    child.once('error', (error) => fail('could not be run', error))
    child.once('close', (code, signal) => fail(`ended with ${code ?? signal} while starting`))
    // Stays attached for good: an unread pipe would fill up and halt the server.
    child.stderr.on('data', (chunk: Buffer) => {
      if (!lines.add(chunk).some((line) => line.includes(READY))) return
      clearTimeout(limit)
      resolve()
    })
  })
}

function startFailed(clusterDir: string, what: string, lines: LastLines, cause: unknown): DataDirError {
  return new DataDirError(
    'postgres_start_failed',
    `PostgreSQL on ${clusterDir} ${what}. Nothing was removed; its last lines say what to mend:\n${lines.text()}`,
    { cause },
  )
}

function supervise(child: Child, closed: Promise<void>, clusterDir: string): ServerProcess {
  let stopping: Promise<void> | undefined
  const died = new Promise<ServerExit>((resolve) => {
    child.once('exit', (code, signal) => {
      if (stopping === undefined) resolve({ code, signal })
    })
  })
  return {
    pid: child.pid!,
    died,
    stop() {
      stopping ??= shutDown(child, closed, clusterDir)
      return stopping
    },
  }
}

/**
 * SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one, SIGKILL for every process on the cluster the last resort: safe all three,
 * but after the latter two the next start replays the log.
 */
async function shutDown(child: Child, closed: Promise<void>, clusterDir: string): Promise<void> {
  const running = child.pid !== undefined && child.exitCode === null && child.signalCode === null
  if (running) child.kill('SIGINT')
  const immediate = setTimeout(() => child.kill('SIGQUIT'), FAST_SHUTDOWN_MS)
  const last = setTimeout(() => void killAll(clusterDir), FAST_SHUTDOWN_MS + IMMEDIATE_SHUTDOWN_MS)
  // After a crash of the parent its children still hold the pipe; the folder is free only once they are gone.
  if (child.pid !== undefined) await closed
  clearTimeout(immediate)
  clearTimeout(last)
}

async function killAll(clusterDir: string): Promise<void> {
  for (const pid of await findStrays(clusterDir)) signal(pid, 'SIGKILL')
}
