/**
 * Owns the figures of a flood of bad keys (G7): what refusing one costs the gateway, by what is wrong with the key and beside the least that Node can do, and
 * what good calls wait beside it. Judges nothing; an answer to a good key that is none, or an answer to a bad one that is no refusal, is an error.
 */
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setStage } from '../packages/testkit/src/gateway/index.ts'
import type { Stage } from '../packages/testkit/src/gateway/index.ts'
import { startTestPostgres } from '../packages/testkit/src/servers/postgres.ts'
import { cpuUs } from './machine.ts'
import { BAD_KEYS } from './messages.ts'
import type { FloodOrder, FloodResult, LoadOrder, LoadResult } from './messages.ts'
import { launch } from './processes.ts'
import type { Running } from './processes.ts'

export interface FloodPlan {
  /** Of good calls alone, and of the flood beside them. */
  readonly seconds: number
  /** Of each kind of bad key by itself. */
  readonly secondsOfKind: number
  readonly perSecond: number
  readonly goodPerSecond: number
}

export const FLOOD_PLANS: Readonly<Record<'quick' | 'long' | 'tiny', FloodPlan>> = {
  quick: { seconds: 10, secondsOfKind: 3, perSecond: 5_000, goodPerSecond: 100 },
  long: { seconds: 60, secondsOfKind: 10, perSecond: 5_000, goodPerSecond: 100 },
  tiny: { seconds: 1, secondsOfKind: 0.5, perSecond: 200, goodPerSecond: 20 },
}

/** One flood by itself. */
export interface Refusals {
  readonly perSecond: number
  readonly answered: Readonly<Record<string, number>>
  readonly cpuUs: number
  readonly pace: FloodResult['pace']
}

interface Waits {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface FloodReport {
  /** Load average of the last minute, at the start and at the end. */
  readonly load: readonly [number, number]
  /** By what is wrong with the key; `few addresses`: all of these from twenty, which are over their budget at once; `bare`: the least that Node can do. */
  readonly kinds: Readonly<Record<string, Refusals>>
  /** All kinds from 2,000 addresses, beside good calls. */
  readonly flood: Refusals
  readonly quietUs: Waits
  readonly besideUs: Waits
  readonly faults: number
}

const ROOT = join(import.meta.dirname, '..')
const MANY = 2_000
const FEW = 20

export async function measureFlood(plan: FloodPlan, progress: (what: string) => void, profileDir?: string): Promise<FloodReport> {
  const before = loadavg()[0]!
  const server = await startTestPostgres({ major: 18 })
  // Not pinned: on one core V8's own threads compete with the gateway's, and each full collection holds calls up for 60 ms instead of 12.
  const [good, bad, bare] = await Promise.all([
    launch({ name: 'the load', script: join(import.meta.dirname, 'load.ts'), cwd: ROOT }),
    launch({ name: 'the flood', script: join(import.meta.dirname, 'flood.ts'), cwd: ROOT }),
    launch({ name: 'the refuser', script: join(import.meta.dirname, 'proxies/refuser.ts'), cwd: ROOT }),
  ])
  try {
    const stage = await openStage(server.url, profileDir)
    try {
      const figures = await measure(stage, plan, { good, bad, bare }, progress)
      return { load: [before, loadavg()[0]!], ...figures }
    } finally {
      await stage.close()
    }
  } finally {
    await Promise.all([good.stop(), bad.stop(), bare.stop()])
    await server.stop()
  }
}

const BODY = 'x'.repeat(1024)

async function openStage(postgresUrl: string, profileDir: string | undefined): Promise<Stage> {
  const stage = await setStage({
    postgresUrl,
    file: { trustedProxies: ['127.0.0.1'] },
    variables: {
      SALLYPORT_RATE_PER_SECOND: '10000',
      SALLYPORT_RATE_BURST: '10000',
      ...(profileDir === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDir}` }),
    },
  })
  stage.upstream.answer((_request, response) => void response.end(BODY))
  return stage
}

type Makers = Readonly<Record<'good' | 'bad' | 'bare', Running>>

async function measure(
  stage: Stage,
  plan: FloodPlan,
  { good, bad, bare }: Makers,
  progress: (what: string) => void,
): Promise<Omit<FloodReport, 'load'>> {
  const { port, pid } = stage.gateway
  const { data } = await stage.owner.client.call('keyList', { params: stage.owner.place })
  const path = '/proxy/api/user'
  const headers = { authorization: `Bearer ${stage.key}`, 'sallyport-connection': stage.connection }
  const call = { port, method: 'GET', path, headers, bodyBytes: 0, expect: { status: 200, bytes: BODY.length } } as const
  const load: LoadOrder = { type: 'load', call, connections: 16, seconds: plan.seconds, perSecond: plan.goodPerSecond }
  const all: FloodOrder = {
    type: 'arm',
    port,
    path,
    trueId: data[0]!.id,
    kinds: BAD_KEYS,
    addresses: MANY,
    connections: 64,
    perSecond: plan.perSecond,
    seconds: plan.secondsOfKind,
  }
  const arm = (order: FloodOrder): Promise<unknown> => bad.ask(order, 'armed')
  const begin = (): Promise<FloodResult> => bad.ask<FloodResult>({ type: 'flood' }, 'flooded')
  const flood = async (order: FloodOrder): Promise<FloodResult> => {
    await arm(order)
    return await begin()
  }
  const warmUp: LoadOrder = { ...load, seconds: Math.min(2, plan.seconds) }
  await good.ask<LoadResult>(warmUp, 'result')
  await flood({ ...all, seconds: Math.min(2, plan.secondsOfKind) })

  const kinds: Record<string, Refusals> = {}
  const orders: Readonly<Record<string, Partial<FloodOrder>>> = {
    ...Object.fromEntries(BAD_KEYS.map((kind) => [kind, { kinds: [kind] }])),
    'few addresses': { addresses: FEW },
  }
  for (const [name, differs] of Object.entries(orders)) {
    progress(`bad keys: ${name}`)
    const { result, cpuUs: us } = await timed(pid, () => flood({ ...all, ...differs }))
    kinds[name] = refusals(result, us, plan.secondsOfKind)
  }
  progress('a bare server')
  const least = await timed(bare.pid, () => flood({ ...all, port: Number(bare.ready['port']) }))
  kinds['bare'] = refusals(least.result, least.cpuUs, plan.secondsOfKind)

  progress(`good calls, ${plan.seconds} seconds without and with a flood`)
  const quiet = await timed(pid, () => good.ask<LoadResult>(load, 'result'))
  await arm({ ...all, seconds: plan.seconds })
  const beside = await timed(pid, () => Promise.all([good.ask<LoadResult>(load, 'result'), begin()]))
  const [loaded, flooded] = beside.result
  const faults = [quiet.result, loaded].flatMap(({ errors }) => Object.values(errors)).reduce((sum, count) => sum + count, 0)
  return {
    kinds,
    flood: refusals(flooded, beside.cpuUs - quiet.cpuUs, plan.seconds),
    quietUs: waits(quiet.result),
    besideUs: waits(loaded),
    faults,
  }
}

function refusals({ statuses, pace }: FloodResult, us: number, seconds: number): Refusals {
  const answers = Object.values(statuses).reduce((sum, count) => sum + count, 0)
  return { perSecond: Math.round(answers / seconds), answered: statuses, cpuUs: Math.round(us / Math.max(1, answers)), pace }
}

function waits({ latencyUs }: LoadResult): Waits {
  const { p50, p90, p99, max } = latencyUs
  return { p50: Math.round(p50), p90: Math.round(p90), p99: Math.round(p99), max: Math.round(max) }
}

async function timed<Result>(pid: number, work: () => Promise<Result>): Promise<{ result: Result; cpuUs: number }> {
  const before = cpuUs(pid)
  const result = await work()
  return { result, cpuUs: cpuUs(pid) - before }
}

/** Answers that are wrong: to good keys, and to bad ones that were not refused. */
export function faultsOfFlood({ faults, flood, kinds }: FloodReport): number {
  const taken = [flood, ...Object.entries(kinds).flatMap(([name, one]) => (name === 'bare' ? [] : [one]))]
  return taken.reduce((sum, { answered }) => sum + wrong(answered), faults)
}

function wrong(answered: Readonly<Record<string, number>>): number {
  return Object.entries(answered).reduce((sum, [status, count]) => (status === '401' || status === '503' ? sum : sum + count), 0)
}

export function tableOfFlood({ load, kinds, flood, quietUs, besideUs }: FloodReport): string {
  const line = (name: string, { perSecond, answered, cpuUs: us, pace }: Refusals): string => {
    const statuses = Object.entries(answered).map(([status, count]) => `${count} x ${status}`)
    return `  ${name.padEnd(14)} ${String(us).padStart(4)} us of CPU each, ${perSecond} a second (${statuses.join(', ')}); at most ${pace.largest} at once, ticks ${pace.gapP50Ms} ms, p99 ${pace.gapP99Ms} ms`
  }
  const waited = ({ p50, p90, p99, max }: Waits): string => `p50 ${p50} us, p90 ${p90} us, p99 ${p99} us, worst ${max} us`
  return [
    `Bad keys; load ${load.map((one) => one.toFixed(1)).join(' to ')}`,
    ...Object.entries(kinds).map(([name, one]) => line(name, one)),
    line('all, beside', flood),
    `  good calls without it  ${waited(quietUs)}`,
    `  good calls beside it   ${waited(besideUs)}   (goal p99 2.0 times, is ${(besideUs.p99 / quietUs.p99).toFixed(1)})`,
  ].join('\n')
}
