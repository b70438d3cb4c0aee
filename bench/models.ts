/**
 * Owns the figures of model traffic: what a chat completion costs through the gateway beside the provider itself, beside the least that Node can do and beside
 * Portkey's gateway, whole and streamed; what an open stream takes; and what translating a streamed event costs. All targets in one run, in turns. Judges
 * nothing; an answer that is none is an error.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { eventText, listModelProviders, translationFor } from '@sallyport/core'
import { freePort, keepModelKey, startGateway } from './gateway.ts'
import { choosePinning, cpuUs, descendants, moveTo } from './machine.ts'
import type { Cores } from './machine.ts'
import type { Call, LoadResult, Order, ProbeResult } from './messages.ts'
import { launch } from './processes.ts'
import type { Running } from './processes.ts'
import { pairedRatio, rotated, spread } from './statistics.ts'

export interface ModelsPlan {
  readonly rounds: number
  readonly warmUpSeconds: number
  readonly seconds: number
  /** Timed to their first byte, one after another. */
  readonly firstBytes: number
  /** Open at once. */
  readonly streams: number
  /** Streamed answers of a hundred events that are translated. */
  readonly translated: number
}

export const MODELS_PLANS: Readonly<Record<'quick' | 'long' | 'tiny', ModelsPlan>> = {
  quick: { rounds: 5, warmUpSeconds: 3, seconds: 1.5, firstBytes: 100, streams: 500, translated: 500 },
  long: { rounds: 15, warmUpSeconds: 10, seconds: 3, firstBytes: 200, streams: 500, translated: 5_000 },
  tiny: { rounds: 2, warmUpSeconds: 0.2, seconds: 0.2, firstBytes: 3, streams: 10, translated: 5 },
}

export const MODEL_TARGETS = ['direct', 'bare', 'gateway', 'portkey'] as const
export type ModelTarget = (typeof MODEL_TARGETS)[number]
export const MODEL_SCENARIOS = ['answer', 'stream'] as const
type Scenario = (typeof MODEL_SCENARIOS)[number]

/** Of one target, a figure for each round. */
export interface ModelFigures {
  readonly perSecond: readonly number[]
  /** Of the proxy's process, for each call; empty where there is no proxy. */
  readonly cpuUs: readonly number[]
}

export interface OpenStreams {
  /** Bytes for each stream: resident memory, and what is in use on the heap and outside of it. */
  readonly rssBytes: number
  readonly heldBytes: number
}

export interface ModelsReport {
  readonly load: readonly [number, number]
  readonly pinned: boolean
  readonly calls: Readonly<Record<Scenario, Readonly<Record<ModelTarget, ModelFigures>>>>
  /** Microseconds to the first byte of a streamed answer, the median of each round. */
  readonly firstByteUs: Readonly<Record<ModelTarget, readonly number[]>>
  readonly streams: number
  readonly open: Readonly<Partial<Record<ModelTarget, OpenStreams>>>
  /** CPU for each streamed event, by the vendor whose words are translated. */
  readonly translationUs: Readonly<Record<string, number>>
  /** What went wrong, by target and kind, with how often. */
  readonly errors: Readonly<Record<string, number>>
}

const ROOT = dirname(import.meta.dirname)
const PROVIDER = 'bench'
/** Of which one organization gets no more than a quarter when it is alone: room for all streams of a run. */
const CONNECTIONS = 2_400
const SATURATION = { answer: 64, stream: 16 } as const

interface Target {
  readonly name: ModelTarget
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly process: Running | undefined
}

export async function measureModels(plan: ModelsPlan, progress: (what: string) => void, profileDir?: string): Promise<ModelsReport> {
  const before = loadavg()[0]!
  await using bench = await ModelBench.open()
  progress('starting the provider, the load generator and the proxies')
  const targets = await bench.startAll(profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`])
  const calls = await bench.measureCalls(targets, plan, progress)
  progress('first bytes of streamed answers')
  const firstByteUs = await bench.measureFirstBytes(targets, plan)
  await bench.stopProxies()
  progress(`${plan.streams} streams open at once`)
  const open = await bench.measureOpen(plan)
  progress('translating streams')
  const translationUs = translationCost(plan.translated)
  const load = [before, loadavg()[0]!] as const
  const errors = Object.fromEntries(bench.errors)
  return { load, pinned: bench.pinned, calls, firstByteUs, streams: plan.streams, open, translationUs, errors }
}

class ModelBench implements AsyncDisposable {
  readonly errors = new Map<string, number>()
  readonly #cores: Cores | undefined = choosePinning().cores
  readonly #token = `bench-token-${randomBytes(24).toString('hex')}`
  readonly #open = new AsyncDisposableStack()
  #proxies: Running[] = []
  #upstream!: Running
  #load!: Running

  static async open(): Promise<ModelBench> {
    const bench = new ModelBench()
    const env = { ...process.env, BENCH_TOKEN: bench.#token }
    bench.#upstream = await bench.#begin({ name: 'the provider', script: 'model-upstream.ts', env, core: bench.#cores?.rest })
    bench.#load = await bench.#begin({ name: 'the load generator', script: 'load.ts', core: bench.#cores?.rest })
    return bench
  }

  get pinned(): boolean {
    return this.#cores !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  async #begin(options: {
    name: string
    script: string
    core: number | undefined
    env?: NodeJS.ProcessEnv
    nodeArgs?: readonly string[]
  }): Promise<Running> {
    const running = await launch({ ...options, script: join(import.meta.dirname, options.script), cwd: ROOT })
    this.#open.defer(() => running.stop())
    return running
  }

  /** Each in its own process; with `nodeArgs` for the gateway alone, or for all. */
  async startAll(gatewayArgs: readonly string[], nodeArgs: readonly string[] = []): Promise<Target[]> {
    const targets = [
      this.#direct(),
      await this.#bare(nodeArgs),
      await this.#gateway([...gatewayArgs, ...nodeArgs]),
      await this.#portkey(nodeArgs),
    ]
    this.#proxies = targets.flatMap((target) => (target.process === undefined ? [] : [target.process]))
    return targets
  }

  async stopProxies(): Promise<void> {
    for (const running of this.#proxies.splice(0)) await running.stop()
  }

  get #origin(): string {
    return `http://127.0.0.1:${String(this.#upstream.ready['port'])}`
  }

  #direct(): Target {
    const headers = { authorization: `Bearer ${this.#token}` }
    return { name: 'direct', port: Number(this.#upstream.ready['port']), path: '/v1/chat/completions', headers, process: undefined }
  }

  async #bare(nodeArgs: readonly string[]): Promise<Target> {
    const env = { ...process.env, BENCH_UPSTREAM: this.#origin }
    const running = await this.#begin({ name: 'bare', script: 'proxies/bare.ts', core: this.#cores?.proxy, env, nodeArgs })
    return { ...this.#direct(), name: 'bare', port: Number(running.ready['port']), process: running }
  }

  async #portkey(nodeArgs: readonly string[]): Promise<Target> {
    const env = { ...process.env, BENCH_PORT: String(await freePort()) }
    const running = await this.#begin({ name: 'Portkey', script: 'proxies/portkey.ts', core: this.#cores?.proxy, env, nodeArgs })
    const own = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${this.#origin}/v1` }
    const { headers, ...direct } = this.#direct()
    return { ...direct, headers: { ...headers, ...own }, name: 'portkey', port: Number(running.ready['port']), process: running }
  }

  async #gateway(nodeArgs: readonly string[]): Promise<Target> {
    const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-bench-models-'))
    this.#open.defer(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
    const origins = { oauth: this.#origin, api: this.#origin }
    const file = {
      egress: { insecureAllowOrigins: [this.#origin] },
      models: { maxConnectionsPerOrigin: CONNECTIONS, providers: [{ id: PROVIDER, base: this.#origin }] },
    }
    const gateway = await startGateway({ root: ROOT, dataDir, origins, file, core: this.#cores?.proxy, nodeArgs })
    this.#open.defer(() => gateway.process.stop())
    // Its database is not what is measured.
    if (this.#cores !== undefined) await moveTo(this.#cores.rest, descendants(gateway.process.pid))
    const key = await keepModelKey(gateway, PROVIDER, this.#token)
    const headers = { authorization: `Bearer ${key}` }
    return { name: 'gateway', port: gateway.port, path: `/llm/${PROVIDER}/v1/chat/completions`, headers, process: gateway.process }
  }

  async measureCalls(targets: readonly Target[], plan: ModelsPlan, progress: (what: string) => void): Promise<ModelsReport['calls']> {
    const figures = perScenario(() => perTarget(() => ({ perSecond: [] as number[], cpuUs: [] as number[] })))
    for (const target of targets) for (const scenario of MODEL_SCENARIOS) await this.#loaded(target, scenario, plan.warmUpSeconds)
    for (let round = 0; round < plan.rounds; round++) {
      progress(`round ${round + 1} of ${plan.rounds}: as many calls as there can be`)
      for (const scenario of MODEL_SCENARIOS)
        for (const target of rotated(targets, round)) {
          const { perSecond, cpuUs: us } = await this.#loaded(target, scenario, plan.seconds)
          figures[scenario][target.name].perSecond.push(perSecond)
          if (us !== undefined) figures[scenario][target.name].cpuUs.push(us)
        }
    }
    return figures
  }

  async #loaded(target: Target, scenario: Scenario, seconds: number): Promise<{ perSecond: number; cpuUs: number | undefined }> {
    const pid = target.process?.pid
    const before = pid === undefined ? 0 : cpuUs(pid)
    const order = { type: 'load', call: callOf(target, `bench-${scenario}`), connections: SATURATION[scenario], seconds } as const
    const { answered, seconds: took } = await this.#obtain(target, order)
    if (answered === 0) throw new Error(`${target.name} answered nothing: ${JSON.stringify(Object.fromEntries(this.errors))}`)
    return { perSecond: answered / took, cpuUs: pid === undefined ? undefined : (cpuUs(pid) - before) / answered }
  }

  async measureFirstBytes(targets: readonly Target[], plan: ModelsPlan): Promise<ModelsReport['firstByteUs']> {
    const figures = perTarget(() => [] as number[])
    for (let round = 0; round < plan.rounds; round++)
      for (const target of rotated(targets, round)) {
        const order = { type: 'first-bytes', call: callOf(target, 'bench-short'), count: plan.firstBytes } as const
        figures[target.name].push((await this.#obtain(target, order)).latencyUs.p50)
      }
    return figures
  }

  /** In fresh processes with the probe in them. Some streams are opened first that don't count: code and pools come with them. */
  async measureOpen(plan: ModelsPlan): Promise<ModelsReport['open']> {
    const probe = ['--import', join(import.meta.dirname, 'probe.ts')]
    const open: Partial<Record<ModelTarget, OpenStreams>> = {}
    for (const target of await this.startAll([], probe)) {
      if (target.process === undefined) continue
      const hold = (count: number) => this.#obtain(target, { type: 'hold', call: callOf(target, 'bench-open'), count })
      const release = () => this.#obtain(target, { type: 'release' })
      await hold(Math.ceil(plan.streams / 10))
      await release()
      const before = await settled(target.process)
      await hold(plan.streams)
      const during = await probed(target.process)
      await release()
      const each = (now: number, then: number): number => (now - then) / plan.streams
      open[target.name] = { rssBytes: each(during.rssBefore, before.rssAfter), heldBytes: each(during.heldBytes, before.heldBytes) }
    }
    await this.stopProxies()
    return open
  }

  async #obtain({ name }: Target, order: Order): Promise<LoadResult> {
    const result = await this.#load.ask<LoadResult>(order, 'result')
    for (const [kind, times] of Object.entries(result.errors)) {
      const what = `${name}: ${kind}`
      this.errors.set(what, (this.errors.get(what) ?? 0) + times)
    }
    return result
  }
}

/** About two kilobytes of a question. */
const QUESTION = 'A question, in some words, about something. '.repeat(45)

function callOf({ port, path, headers }: Target, model: string): Call {
  const messages = [{ role: 'user', content: QUESTION }]
  const json = JSON.stringify({ model, messages, ...(model === 'bench-answer' ? {} : { stream: true }) })
  // What comes back has the length that each gateway gives it: some write events anew.
  return { port, method: 'POST', path, headers, bodyBytes: 0, json, expect: { status: 200 } }
}

function perTarget<Figure>(make: () => Figure): Record<ModelTarget, Figure> {
  return { direct: make(), bare: make(), gateway: make(), portkey: make() }
}

function perScenario<Figure>(make: () => Figure): Record<Scenario, Figure> {
  return { answer: make(), stream: make() }
}

const SETTLED_BYTES = 64 * 1024

function probed(running: Running): Promise<ProbeResult> {
  return running.ask<ProbeResult>({ type: 'bench.probe' }, 'bench.probe')
}

/** Memory once collections give nothing back any more. */
async function settled(running: Running): Promise<ProbeResult> {
  let last = await probed(running)
  for (let times = 0; times < 50; times++) {
    await delay(100)
    const now = await probed(running)
    if (Math.abs(now.rssAfter - last.rssAfter) < SETTLED_BYTES) return now
    last = now
  }
  return last
}

/** A hundred events of each vendor's own words, one at a time, and what they become written out. CPU for each event. */
function translationCost(times: number): Record<string, number> {
  return Object.fromEntries(Object.entries(STREAMS).map(([vendor, events]) => [vendor, costOf(vendor, events, times)]))
}

function costOf(vendor: string, events: readonly Buffer[], times: number): number {
  const provider = listModelProviders().find(({ id }) => id === vendor)
  if (provider === undefined) throw new Error(`no provider ${vendor}`)
  const translation = translationFor(provider, { operation: 'chat' })
  const asked = { model: 'bench', messages: [{ role: 'user', content: QUESTION }], stream: true }
  let written = 0
  const once = (): void => {
    const stream = translation.stream(asked)
    for (const event of events) for (const made of stream.push(event)) written += eventText(made).length
    for (const made of stream.end()) written += eventText(made).length
    if (stream.failure !== undefined) throw new Error(`the stream of ${vendor} is none`)
  }
  for (let time = 0; time < Math.ceil(times / 5); time++) once()
  const before = process.cpuUsage()
  for (let time = 0; time < times; time++) once()
  const { user, system } = process.cpuUsage(before)
  if (written === 0) throw new Error(`nothing came of the stream of ${vendor}`)
  return (user + system) / (times * events.length)
}

const EVENTS = 100

const STREAMS: Readonly<Record<string, readonly Buffer[]>> = {
  anthropic: [
    { type: 'message_start', message: { id: 'msg_bench', model: 'bench', usage: { input_tokens: 120, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...Array.from({ length: EVENTS }, () => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: ' word' } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: EVENTS } },
    { type: 'message_stop' },
  ].map((event) => Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)),
  gemini: Array.from({ length: EVENTS }, (_, at) => ({
    candidates: [
      { index: 0, content: { role: 'model', parts: [{ text: ' word' }] }, ...(at === EVENTS - 1 ? { finishReason: 'STOP' } : {}) },
    ],
    usageMetadata: { promptTokenCount: 120, candidatesTokenCount: at + 1, totalTokenCount: at + 121 },
    modelVersion: 'bench',
    responseId: 'bench',
  })).map((event) => Buffer.from(`data: ${JSON.stringify(event)}\r\n\r\n`)),
}

/** Wrong answers, over all targets. */
export function faultsOfModels({ errors }: ModelsReport): number {
  return Object.values(errors).reduce((sum, count) => sum + count, 0)
}

export function tableOfModels({ load, pinned, calls, firstByteUs, streams, open, translationUs, errors }: ModelsReport): string {
  const ratio = (values: readonly number[], base: readonly number[]): string => {
    const { median, low, high } = pairedRatio(values, base)
    return `${median.toFixed(2)} [${low.toFixed(2)}-${high.toFixed(2)}]`
  }
  const called = (scenario: Scenario): string[] =>
    MODEL_TARGETS.map((name) => {
      const { perSecond, cpuUs: us } = calls[scenario][name]
      const base = calls[scenario].bare
      const cost = us.length === 0 ? '' : `${spread(us).median.toFixed(0).padStart(8)} us of CPU, to bare ${ratio(base.cpuUs, us)}`
      return `  ${name.padEnd(8)} ${spread(perSecond).median.toFixed(0).padStart(8)}/s, to bare ${ratio(perSecond, base.perSecond)}${cost}`
    })
  const first = MODEL_TARGETS.map((name) => {
    const added = spread(firstByteUs[name].map((us, round) => us - firstByteUs.bare[round]!))
    return `  ${name.padEnd(8)} ${spread(firstByteUs[name]).median.toFixed(0).padStart(8)} us, over bare ${added.median.toFixed(0)} [${added.low.toFixed(0)}-${added.high.toFixed(0)}]`
  })
  const kb = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`
  const held = Object.entries(open).map(
    ([name, { rssBytes, heldBytes }]) => `  ${name.padEnd(8)} ${kb(rssBytes).padStart(10)} resident, ${kb(heldBytes)} in use`,
  )
  return [
    `Chat completions; load ${load.map((one) => one.toFixed(1)).join(' to ')}${pinned ? '; each proxy has a core of its own' : ''}; ratios of CPU as bare's by this one's`,
    'Whole answers, 64 connections   (goal: 8 times Portkey)',
    ...called('answer'),
    'Streamed answers of a hundred events, 16 connections',
    ...called('stream'),
    'First byte of a streamed answer, one at a time   (goal: within 1000 us of bare)',
    ...first,
    `${streams} streams open at once, each   (goal: 1.20 of bare)`,
    ...held,
    `Translating one streamed event: ${Object.entries(translationUs)
      .map(([vendor, us]) => `${vendor} ${us.toFixed(1)} us`)
      .join(', ')}`,
    ...Object.entries(errors).map(([what, count]) => `WRONG  ${count} x ${what}`),
  ].join('\n')
}
