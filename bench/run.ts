/**
 * Owns the course of a run: what is started where, which target is loaded when, what is read before and after. Targets take turns within every
 * round and the turn begins with another one each time. Everything it starts it stops, also when it fails; its folder is thrown away.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectAccount, startGateway } from './gateway.ts'
import type { Access, GatewayOptions } from './gateway.ts'
import { choosePinning, coreTime, cpuUs, descendants, descendantsCpuUs, machineFacts, moveTo, rssBytes } from './machine.ts'
import type { CoreTime, Pinning } from './machine.ts'
import type { Call, LoadResult, Order, ProbeResult } from './messages.ts'
import type { Plan } from './plan.ts'
import { launch } from './processes.ts'
import type { Running } from './processes.ts'
import { startOAuthServer } from './provider.ts'
import { figuresOf } from './report.ts'
import type { Counted, Counts, ProxyName, Report, Resting, Sample, Scenario, StreamMemory, TargetName } from './report.ts'
import { rotated, spread } from './statistics.ts'

const ROOT = dirname(import.meta.dirname)

export interface RunOptions {
  readonly plan: Plan
  /** Told what is being done, now and then. */
  readonly progress: (what: string) => void
  /** Where a CPU profile of the gateway goes; absent: none is taken. */
  readonly profileDir?: string
  /** Stops the run, in order. */
  readonly signal?: AbortSignal
}

/** @throws Error when a process could not be started or ended early, or a target gave no right answer at all; AbortError when asked to stop. */
export async function runBenchmark({ plan, progress, profileDir, signal }: RunOptions): Promise<Report> {
  const startedAt = new Date()
  const pinning = choosePinning()
  const machine = machineFacts(ROOT, pinning)
  await using bench = await Bench.open(pinning, signal)
  progress('starting the upstream, the load generator and the proxies')
  const targets = await bench.startTargets(profileDir)
  const resting = await measureAll(bench, plan, targets, progress)
  await bench.stopProxies()
  progress('memory of open streams, queries and slow hashes per call, with a probe loaded')
  const { streams, counts } = await measureProbed(bench, plan)
  const measured = { samples: bench.samples, streams, resting, counts, otherErrors: Object.fromEntries(bench.otherErrors) }
  return {
    version: 1,
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    plan: plan.name,
    profiled: profileDir !== undefined,
    machine,
    figures: figuresOf(measured),
    ...measured,
  }
}

/** Where a target is called, and which process to watch. */
interface Target {
  readonly name: TargetName
  readonly port: number
  readonly prefix: string
  readonly headers: Readonly<Record<string, string>>
  /** undefined: there is no proxy. */
  readonly process: Running | undefined
}

const KILOBYTE = { path: '/bytes/1024', bytes: 1024 }

const BODIES: readonly { scenario: Scenario; path: string; bytes: number; upBytes: number; connections: number }[] = [
  { scenario: '100 KB down', path: '/bytes/102400', bytes: 102_400, upBytes: 0, connections: 16 },
  { scenario: '1 MB down', path: '/bytes/1048576', bytes: 1_048_576, upBytes: 0, connections: 8 },
  { scenario: '100 KB up', path: '/upload', bytes: 1024, upBytes: 102_400, connections: 16 },
]

/** Bytes of the two events of a short stream. */
const SHORT_STREAM_BYTES =
  2 * Buffer.byteLength('event: tick\ndata: {"text":"one event of a stream, about as long as a word or two of a model"}\n\n')

async function measureAll(bench: Bench, plan: Plan, targets: readonly Target[], progress: RunOptions['progress']): Promise<Resting[]> {
  const idle = await idleMemory(bench, targets)
  progress('warming up')
  for (const target of targets) await bench.warm(target, plan)
  for (let round = 0; round < plan.rounds; round++) {
    progress(`round ${round + 1} of ${plan.rounds}: as many calls as there can be`)
    for (const target of rotated(targets, round)) await bench.saturate(target, round, plan)
    if (round >= plan.bodies.rounds) continue
    for (const body of BODIES) for (const target of rotated(targets, round)) await bench.loadBodies(target, round, plan, body)
  }
  const perSecond = plan.moderate.share * spread(bench.ratesOf('gateway')).median
  for (let round = 0; round < plan.rounds; round++) {
    progress(`round ${round + 1} of ${plan.rounds}: ${Math.round(perSecond)} calls a second, first bytes`)
    for (const target of rotated(targets, round)) await bench.pace(target, round, plan, perSecond)
    for (const target of rotated(targets, round)) await bench.timeFirstBytes(target, round, plan)
  }
  return idle.map(({ target, idleBytes, pid }) => ({ target, idleBytes, afterBytes: rssBytes(pid) }))
}

async function idleMemory(bench: Bench, targets: readonly Target[]): Promise<{ target: ProxyName; idleBytes: number; pid: number }[]> {
  const memory = []
  for (const { name, process: running, ...where } of targets) {
    if (name === 'direct' || running === undefined) continue
    await bench.once({ name, process: running, ...where })
    memory.push({ target: name, idleBytes: rssBytes(running.pid), pid: running.pid })
  }
  return memory
}

async function measureProbed(bench: Bench, plan: Plan): Promise<{ streams: StreamMemory[]; counts: Counts }> {
  const streams: StreamMemory[] = []
  for (let round = 0; round < plan.memory.rounds; round++) {
    // Fresh ones each time: memory that load left behind would take the streams in without growing.
    const targets = await bench.startProbed()
    for (const target of targets) streams.push({ target: target.name as ProxyName, round, ...(await bench.holdStreams(target, plan)) })
    if (round < plan.memory.rounds - 1) await bench.stopProxies()
    else
      return {
        streams,
        counts: await bench.count(
          targets.find(({ name }) => name === 'gateway')!,
          plan,
        ),
      }
  }
  throw new RangeError('a plan needs at least one round of memory')
}

/** The processes of a run and what was measured of them. */
class Bench implements AsyncDisposable {
  readonly samples: Sample[] = []
  readonly otherErrors = new Map<string, number>()
  readonly #pinning: Pinning
  readonly #signal: AbortSignal | undefined
  readonly #folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  readonly #token = `bench-token-${randomBytes(24).toString('hex')}`
  readonly #open: AsyncDisposableStack = new AsyncDisposableStack()
  readonly #running = new Set<Running>()
  #load!: Running
  #upstream!: Running
  #origins!: GatewayOptions['origins']
  #access: Access | undefined

  private constructor(pinning: Pinning, signal: AbortSignal | undefined) {
    this.#pinning = pinning
    this.#signal = signal
  }

  static async open(pinning: Pinning, signal: AbortSignal | undefined): Promise<Bench> {
    const bench = new Bench(pinning, signal)
    try {
      await bench.#prepare()
      return bench
    } catch (error) {
      await bench[Symbol.asyncDispose]()
      throw error
    }
  }

  async #prepare(): Promise<void> {
    this.#open.defer(() => rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
    const rest = this.#pinning.cores?.rest
    if (rest !== undefined) await moveTo(rest, [process.pid])
    const oauth = await startOAuthServer(this.#token)
    this.#open.defer(() => oauth.close())
    this.#upstream = await this.#start({ name: 'the upstream', script: 'upstream.ts', core: rest, env: { BENCH_TOKEN: this.#token } })
    this.#load = await this.#start({ name: 'the load generator', script: 'load.ts', core: rest })
    this.#origins = { oauth: oauth.origin, api: `http://127.0.0.1:${portOf(this.#upstream)}` }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  async startTargets(profileDir: string | undefined): Promise<Target[]> {
    const profiling = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
    return [this.#direct(), await this.#proxy('bare'), await this.#gateway(profiling), await this.#proxy('reply-from')]
  }

  /** The proxies once more, each with the probe in it. */
  async startProbed(): Promise<Target[]> {
    const nodeArgs = ['--import', join(import.meta.dirname, 'probe.ts')]
    const packages = { BENCH_PACKAGES: join(ROOT, 'packages/server') }
    return [await this.#proxy('bare', nodeArgs), await this.#gateway(nodeArgs, packages), await this.#proxy('reply-from', nodeArgs)]
  }

  async stopProxies(): Promise<void> {
    for (const running of this.#running) if (running !== this.#load && running !== this.#upstream) await this.#stop(running)
  }

  async #start(options: {
    name: string
    script: string
    core: number | undefined
    env?: NodeJS.ProcessEnv
    nodeArgs?: readonly string[]
  }): Promise<Running> {
    const { env = {}, script, ...rest } = options
    return this.#watch(await launch({ ...rest, script: join(import.meta.dirname, script), cwd: ROOT, env: { ...process.env, ...env } }))
  }

  #watch(running: Running): Running {
    this.#running.add(running)
    this.#open.defer(() => this.#stop(running))
    return running
  }

  async #stop(running: Running): Promise<void> {
    this.#running.delete(running)
    await running.stop()
  }

  #direct(): Target {
    return {
      name: 'direct',
      port: portOf(this.#upstream),
      prefix: '',
      headers: { authorization: `Bearer ${this.#token}` },
      process: undefined,
    }
  }

  async #proxy(name: 'bare' | 'reply-from', nodeArgs: readonly string[] = []): Promise<Target> {
    const running = await this.#start({
      name,
      script: `proxies/${name}.ts`,
      core: this.#pinning.cores?.proxy,
      env: { BENCH_UPSTREAM: this.#origins.api },
      nodeArgs,
    })
    return { ...this.#direct(), name, port: portOf(running), process: running }
  }

  async #gateway(nodeArgs: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Target> {
    const core = this.#pinning.cores?.proxy
    const gateway = await startGateway({ root: ROOT, dataDir: this.#folder, origins: this.#origins, core, nodeArgs, env })
    this.#watch(gateway.process)
    // Its database is measured apart, and is not to slow it down on its own core.
    if (this.#pinning.cores !== undefined) await moveTo(this.#pinning.cores.rest, descendants(gateway.process.pid))
    this.#access ??= await connectAccount(gateway)
    const { key, connection } = this.#access
    return {
      name: 'gateway',
      port: gateway.port,
      prefix: '/proxy/github',
      headers: { authorization: `Bearer ${key}`, 'sallyport-connection': connection },
      process: gateway.process,
    }
  }

  /** One call, to see the target work. */
  async once(target: Target): Promise<void> {
    this.#note(target, 'first call', await this.#obtain({ type: 'first-bytes', call: callOf(target, KILOBYTE), count: 1 }))
  }

  async warm(target: Target, { warmUp: { calls, seconds }, saturation: { connections } }: Plan): Promise<void> {
    const order = { type: 'load', call: callOf(target, KILOBYTE), connections, calls, seconds } as const
    this.#note(target, 'warming up', await this.#obtain(order))
    for (const body of BODIES) {
      const less = {
        type: 'load',
        call: callOf(target, body),
        connections: body.connections,
        calls: calls / 20,
        seconds: seconds / 10,
      } as const
      this.#note(target, 'warming up', await this.#obtain(less))
    }
  }

  saturate(target: Target, round: number, { saturation: { connections, seconds } }: Plan): Promise<void> {
    return this.#sample('saturation', target, round, { type: 'load', call: callOf(target, KILOBYTE), connections, seconds })
  }

  pace(target: Target, round: number, { moderate: { connections, seconds } }: Plan, perSecond: number): Promise<void> {
    return this.#sample('moderate', target, round, { type: 'load', call: callOf(target, KILOBYTE), connections, seconds, perSecond })
  }

  loadBodies(
    target: Target,
    round: number,
    { bodies: { seconds } }: Plan,
    { scenario, connections, ...body }: (typeof BODIES)[number],
  ): Promise<void> {
    return this.#sample(scenario, target, round, { type: 'load', call: callOf(target, body), connections, seconds })
  }

  timeFirstBytes(target: Target, round: number, { firstBytes: { streams } }: Plan): Promise<void> {
    const call = callOf(target, { path: '/events/short', bytes: SHORT_STREAM_BYTES })
    return this.#sample('first byte', target, round, { type: 'first-bytes', call, count: streams })
  }

  ratesOf(name: TargetName): number[] {
    return this.samples.filter(({ scenario, target }) => scenario === 'saturation' && target === name).map(({ perSecond }) => perSecond)
  }

  /** Bytes that a stream takes while it is open. Some are opened first that don't count: code and pools come with them. */
  async holdStreams(target: Target, { memory: { streams } }: Plan): Promise<Pick<StreamMemory, 'rssBytes' | 'heldBytes'>> {
    const call = callOf(target, { path: '/events/open', bytes: 0 })
    const hold = async (count: number): Promise<void> =>
      this.#note(target, 'open streams', await this.#obtain({ type: 'hold', call, count }))
    const release = async (): Promise<void> => this.#note(target, 'open streams', await this.#obtain({ type: 'release' }))
    await hold(Math.ceil(streams / 10))
    await release()
    const before = await settled(target)
    await hold(streams)
    const during = await probed(target)
    await release()
    return { rssBytes: (during.rssBefore - before.rssAfter) / streams, heldBytes: (during.heldBytes - before.heldBytes) / streams }
  }

  async count(target: Target, plan: Plan): Promise<Counts> {
    const { counting, saturation } = plan
    await this.warm(target, plan)
    const during = async (work: () => Promise<number>): Promise<Counted> => {
      const before = await quiet(target)
      const calls = await work()
      const after = await quiet(target)
      return { calls, queries: after.queries - before.queries, argon2: after.argon2 - before.argon2 }
    }
    const calls = (at: number) => async (): Promise<number> => {
      const result = await this.#obtain({ type: 'load', call: callOf(target, KILOBYTE), connections: at, seconds: counting.seconds })
      this.#note(target, 'counting', result)
      return result.answered
    }
    return { sequential: await during(calls(1)), saturated: await during(calls(saturation.connections)), idle: await during(async () => 0) }
  }

  async #obtain(order: Order): Promise<LoadResult> {
    this.#signal?.throwIfAborted()
    return await this.#load.ask<LoadResult>(order, 'result')
  }

  #note({ name }: Target, during: string, { errors }: LoadResult): void {
    for (const [kind, times] of Object.entries(errors)) {
      const what = `${name}, ${during}: ${kind}`
      this.otherErrors.set(what, (this.otherErrors.get(what) ?? 0) + times)
    }
  }

  async #sample(scenario: Scenario, target: Target, round: number, order: Order): Promise<void> {
    const before = this.#reading(target)
    const { answered, seconds, latencyUs, errors, unsent } = await this.#obtain(order)
    const after = this.#reading(target)
    if (answered === 0) throw new Error(`${target.name} answered nothing under ${scenario}: ${JSON.stringify(errors)}`)
    const elapsedUs = after.atUs - before.atUs
    const perCall = (us: number): number => us / answered
    this.samples.push({
      scenario,
      target: target.name,
      round,
      answered,
      perSecond: answered / seconds,
      latencyUs,
      errors,
      unsent,
      cpuUsPerCall: target.process === undefined ? null : perCall(after.cpuUs - before.cpuUs),
      databaseUsPerCall: perCall(after.databaseUs - before.databaseUs),
      proxyCoreBusy: busy(before.proxyCore, after.proxyCore, elapsedUs),
      otherCoreBusy: busy(before.otherCore, after.otherCore, elapsedUs),
      foreignCores: Math.max(0, after.all.workUs - before.all.workUs - (after.oursUs - before.oursUs)) / elapsedUs,
      stolenCores: (after.all.stolenUs - before.all.stolenUs) / elapsedUs,
    })
  }

  #reading({ name, process: running }: Target) {
    const cores = this.#pinning.cores
    return {
      // These belong together: what passes between reading them is in none of the differences.
      all: coreTime(),
      proxyCore: cores && coreTime(cores.proxy),
      otherCore: cores && coreTime(cores.rest),
      atUs: performance.now() * 1000,
      cpuUs: running === undefined ? 0 : cpuUs(running.pid),
      databaseUs: name === 'gateway' && running !== undefined ? descendantsCpuUs(running.pid) : 0,
      oursUs: cpuUs(process.pid) + descendantsCpuUs(process.pid),
    }
  }
}

function callOf(target: Target, { path, bytes, upBytes = 0 }: { path: string; bytes: number; upBytes?: number }): Call {
  return {
    port: target.port,
    method: upBytes > 0 ? 'POST' : 'GET',
    path: target.prefix + path,
    headers: { accept: '*/*', 'user-agent': 'sallyport-bench', ...target.headers },
    bodyBytes: upBytes,
    expect: { status: 200, bytes },
  }
}

function portOf({ ready }: Running): number {
  return ready['port'] as number
}

function busy(before: CoreTime | undefined, after: CoreTime | undefined, elapsedUs: number): number | null {
  if (before === undefined || after === undefined) return null
  return Math.min(1, Math.max(0, 1 - (after.idleUs - before.idleUs) / elapsedUs))
}

async function probed(target: Target): Promise<ProbeResult> {
  return await target.process!.ask<ProbeResult>({ type: 'bench.probe' }, 'bench.probe')
}

/** The counters once nothing is under way any more: records are grouped, and the last group leaves after the last answer. */
async function quiet(target: Target): Promise<ProbeResult> {
  return await unchanged(target, (last, now) => now.queries === last.queries)
}

/** Memory once collections give nothing back any more: what startup left behind goes in steps. */
async function settled(target: Target): Promise<ProbeResult> {
  return await unchanged(target, (last, now) => Math.abs(now.rssAfter - last.rssAfter) < SETTLED_BYTES)
}

const SETTLED_BYTES = 64 * 1024
const PROBE_EVERY_MS = 100
const MAX_PROBES = 50

async function unchanged(target: Target, same: (last: ProbeResult, now: ProbeResult) => boolean): Promise<ProbeResult> {
  let last = await probed(target)
  for (let probes = 1; probes < MAX_PROBES; probes++) {
    await delay(PROBE_EVERY_MS)
    const now = await probed(target)
    if (same(last, now)) return now
    last = now
  }
  return last
}
