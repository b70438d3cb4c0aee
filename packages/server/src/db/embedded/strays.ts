/**
 * Owns ending the PostgreSQL processes that a killed gateway left on our cluster. Refuses to trust a recorded process id: a process counts when its
 * program is called postgres and its working folder is this very cluster, by device and inode. Call only while holding the data folder's lock.
 */
import { readFile, readdir, readlink, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DataDirError, systemErrorCode } from './errors.ts'

const POLL_MS = 20
const FAST_SHUTDOWN_MS = 20_000
const IMMEDIATE_SHUTDOWN_MS = 20_000

/**
 * Ends them as a fast shutdown does and returns how many there were. Afterwards a `postmaster.pid` whose number now names another process is removed,
 * since PostgreSQL would believe it.
 * @throws DataDirError `postgres_start_failed` when one survives.
 */
export async function stopStrays(clusterDir: string): Promise<number> {
  const found = await findStrays(clusterDir)
  if (found.length > 0) {
    for (const pid of found) await askToStop(pid)
    const survivors = await waitUntilGone(clusterDir, FAST_SHUTDOWN_MS)
    for (const pid of survivors) signal(pid, 'SIGQUIT')
    const stubborn = survivors.length > 0 ? await waitUntilGone(clusterDir, IMMEDIATE_SHUTDOWN_MS) : []
    if (stubborn.length > 0) throw stillRunning(clusterDir, stubborn)
  }
  await removeMisleadingPidFile(clusterDir)
  return found.length
}

/** Process ids of every postgres, parent or child, that runs on the cluster. */
export async function findStrays(clusterDir: string): Promise<number[]> {
  const cluster = await stat(clusterDir)
  const names = await readdir('/proc')
  const pids = names.filter((name) => /^[1-9]\d*$/.test(name)).map(Number)
  const judged = await Promise.all(pids.map(async (pid) => ((await runsOn(pid, cluster)) ? [pid] : [])))
  return judged.flat()
}

async function runsOn(pid: number, cluster: { dev: number; ino: number }): Promise<boolean> {
  try {
    // A replaced installation shows as "postgres (deleted)".
    const program = basename(await readlink(`/proc/${pid}/exe`)).split(' ')[0]
    if (program !== 'postgres') return false
    const folder = await stat(`/proc/${pid}/cwd`)
    return folder.dev === cluster.dev && folder.ino === cluster.ino
  } catch (error) {
    // Gone meanwhile, a kernel thread, or another account's: in each case not ours to end.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '')) return false
    throw error
  }
}

/** The parent process gets a fast shutdown and ends its children; a child without a living parent must be ended by itself. */
async function askToStop(pid: number): Promise<void> {
  const title = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')
  if (!title.startsWith('postgres: ')) return signal(pid, 'SIGINT')
  const parent = await parentTitle(pid)
  if (!parent.includes('postgres')) signal(pid, 'SIGQUIT')
}

async function parentTitle(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  const parent = /^PPid:\t(\d+)$/m.exec(status)?.[1]
  return parent === undefined ? '' : readFile(`/proc/${parent}/comm`, 'latin1').catch(() => '')
}

/** Sends a signal; a process that is gone already is what was wanted. */
export function signal(pid: number, name: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
}

/** They are not our children, so the kernel sends no event when they end: polled. Returns who is left. */
async function waitUntilGone(clusterDir: string, limitMs: number): Promise<number[]> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const left = await findStrays(clusterDir)
    if (left.length === 0 || performance.now() > deadline) return left
    await delay(POLL_MS)
  }
}

function stillRunning(clusterDir: string, pids: readonly number[]): DataDirError {
  return new DataDirError(
    'postgres_start_failed',
    `A PostgreSQL left by an earlier gateway still runs on ${clusterDir} and does not stop (process ${pids.join(', ')}). End it by hand, then start again.`,
  )
}

async function removeMisleadingPidFile(clusterDir: string): Promise<void> {
  const file = join(clusterDir, 'postmaster.pid')
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return ''
    throw error
  })
  const pid = Number(/^\d+/.exec(text)?.[0] ?? 0)
  // A dead number stays: PostgreSQL then also looks for shared memory that a lost process may still hold.
  if (pid > 0 && isAlive(pid)) await rm(file, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemErrorCode(error) === 'EPERM'
  }
}
