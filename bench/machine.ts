/**
 * Owns what Linux tells about this machine and about processes: cores, CPU time, memory. Refuses to guess: what /proc doesn't say is absent.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, cpus, loadavg, setPriority, totalmem } from 'node:os'
import { promisify } from 'node:util'

/** USER_HZ. It is 100 on every Linux that Node runs on; /proc counts CPU time in it. */
const TICKS_PER_SECOND = 100
const US_PER_TICK = 1_000_000 / TICKS_PER_SECOND
const AUTOGROUP = '/proc/self/autogroup'

/** Which core the proxy under test has to itself, and which one everything else shares. */
export interface Cores {
  readonly proxy: number
  readonly rest: number
}

export interface MachineFacts {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  readonly undici: string
  /** Load average of the last minute when the run began. */
  readonly loadBefore: number
  readonly revision: string
  /** Whether files of the work tree differed from the revision. */
  readonly modified: boolean
  /** null: processes were not pinned, `unpinnedBecause` says why. */
  readonly pinned: Cores | null
  readonly unpinnedBecause: string | null
}

/** @throws Error on systems without /proc: nothing here could be measured there. */
export function machineFacts(root: string, pinning: Pinning): MachineFacts {
  if (process.platform !== 'linux') throw new Error('The benchmark reads CPU time and memory from /proc and runs on Linux only.')
  const models = cpus()
  return {
    cpu: models[0]?.model ?? 'unknown',
    cores: models.length,
    memoryBytes: totalmem(),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    node: process.version,
    undici: (JSON.parse(readFileSync(`${root}/node_modules/undici/package.json`, 'utf8')) as { version: string }).version,
    loadBefore: loadavg()[0]!,
    revision: git(root, ['rev-parse', '--short=12', 'HEAD']) ?? 'unknown',
    modified: git(root, ['status', '--porcelain', '--', 'packages', 'bench']) !== '',
    pinned: pinning.cores ?? null,
    unpinnedBecause: pinning.why ?? null,
  }
}

function git(root: string, args: string[]): string | undefined {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    // A tarball without its history is measured just as well.
    return undefined
  }
}

/**
 * Has this process yield its core to whatever else wants it: a caller from elsewhere who takes no core from those who are measured.
 * Linux weighs sessions against each other first (autogroups) and processes of one session after that, so both are told.
 */
export function giveWay(): void {
  setPriority(constants.priority.PRIORITY_LOW)
  if (existsSync(AUTOGROUP)) writeFileSync(AUTOGROUP, String(constants.priority.PRIORITY_LOW))
}

export interface Pinning {
  readonly cores?: Cores
  readonly why?: string
}

/** The first two cores that this process may use, when `taskset` can give them out. */
export function choosePinning(): Pinning {
  const [proxy, rest] = allowedCores()
  if (proxy === undefined || rest === undefined) return { why: 'fewer than two cores may be used' }
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
  } catch {
    return { why: 'taskset (util-linux) is not installed' }
  }
  return { cores: { proxy, rest } }
}

function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  return list.split(',').flatMap((part) => {
    const [from = Number.NaN, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
}

/** Moves processes, and what they start from now on, to one core. */
export async function moveTo(core: number, pids: readonly number[]): Promise<void> {
  for (const pid of pids) await promisify(execFile)('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)])
}

interface Stat {
  readonly parent: number
  readonly cpuUs: number
  /** Of children that ended and were waited for. */
  readonly endedChildrenUs: number
}

function statOf(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    // It ended between being listed and being read.
    return undefined
  }
  // proc(5): the name in parentheses may hold anything; fields are counted from behind it, the first one being number 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  return { parent: field(4), cpuUs: (field(14) + field(15)) * US_PER_TICK, endedChildrenUs: (field(16) + field(17)) * US_PER_TICK }
}

/** CPU time of a process since its start, all threads, user and system, in microseconds; steps of 10 ms. */
export function cpuUs(pid: number): number {
  return statOf(pid)?.cpuUs ?? 0
}

/** The same for everything that a process started, at any depth, those that ended included. */
export function descendantsCpuUs(pid: number): number {
  return descendants(pid).reduce((sum, child) => {
    const stat = statOf(child)
    return stat === undefined ? sum : sum + stat.cpuUs + stat.endedChildrenUs
  }, 0)
}

export function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const candidate = Number(name)
    const stat = Number.isInteger(candidate) ? statOf(candidate) : undefined
    if (stat !== undefined) parents.set(candidate, stat.parent)
  }
  const isBelow = (candidate: number): boolean => {
    for (let at = parents.get(candidate); at !== undefined; at = parents.get(at)) if (at === pid) return true
    return false
  }
  return [...parents.keys()].filter(isBelow)
}

/** Resident memory in bytes. */
export function rssBytes(pid: number): number {
  const kb = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return Number(kb ?? 0) * 1024
}

/** Microseconds of CPU time since boot: by one core, or by all. */
export interface CoreTime {
  /** User and system time: work that belongs to some process. */
  readonly workUs: number
  readonly idleUs: number
  /** Taken by other guests of the host. */
  readonly stolenUs: number
}

/** @param core a core's number; absent: all together */
export function coreTime(core?: number): CoreTime {
  const line = new RegExp(`^cpu${core ?? ''} +(.+)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, , , stolen = 0] = line.split(' ').map((ticks) => Number(ticks) * US_PER_TICK)
  return { workUs: user + nice + system, idleUs: idle + iowait, stolenUs: stolen }
}
