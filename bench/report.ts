/**
 * Owns what a run says: the shape of `reports/bench.json`, the figures worked out of its samples, and the table on the terminal. Judges nothing: the
 * goals stand beside the figures, and no figure fails a run; only errors do.
 */
import type { MachineFacts } from './machine.ts'
import type { Latency } from './messages.ts'
import { pairedDifference, pairedRatio, spread } from './statistics.ts'
import type { Spread } from './statistics.ts'

export const TARGETS = ['direct', 'bare', 'gateway', 'reply-from'] as const
export type TargetName = (typeof TARGETS)[number]
export const PROXIES = ['bare', 'gateway', 'reply-from'] as const
export type ProxyName = (typeof PROXIES)[number]

export const SCENARIOS = ['saturation', 'moderate', '100 KB down', '1 MB down', '100 KB up', 'first byte'] as const
export type Scenario = (typeof SCENARIOS)[number]

/** One target under one load for a second or some. */
export interface Sample {
  readonly scenario: Scenario
  readonly target: TargetName
  /** From 0. Samples of one scenario and round were taken one right after another. */
  readonly round: number
  readonly answered: number
  readonly perSecond: number
  readonly latencyUs: Latency
  readonly errors: Readonly<Record<string, number>>
  /** Of a paced load: requests that were due and never sent, because the target did not keep up. No error, but the delays are too good then. */
  readonly unsent: number
  /** CPU time of the proxy's process per answered call; null where there is no proxy. */
  readonly cpuUsPerCall: number | null
  /** The same of the gateway's PostgreSQL, a process tree of its own; 0 for others. */
  readonly databaseUsPerCall: number
  /** Share of the time that the proxy's core and the other one did anything; null when nothing was pinned. */
  readonly proxyCoreBusy: number | null
  readonly otherCoreBusy: number | null
  /** Work of processes that are none of ours, in cores. */
  readonly foreignCores: number
  /** Time that the host gave to other guests, in cores. */
  readonly stolenCores: number
}

/** One proxy's memory over one opening of many streams. */
export interface StreamMemory {
  readonly target: ProxyName
  readonly round: number
  /** Bytes per stream: what resident memory grew by while they were opened, and what is in use for them after a garbage collection. */
  readonly rssBytes: number
  readonly heldBytes: number
}

/** Resident bytes after the first call, and after all load. */
export interface Resting {
  readonly target: ProxyName
  readonly idleBytes: number
  readonly afterBytes: number
}

/** What the gateway asked for while calls of one kind were made on warm caches. */
export interface Counted {
  readonly calls: number
  readonly queries: number
  readonly argon2: number
}

export interface Counts {
  /** One call after another. */
  readonly sequential: Counted
  /** As many at once as at saturation. */
  readonly saturated: Counted
  /** As long as those, without calls. */
  readonly idle: Counted
}

export interface Measurements {
  readonly samples: readonly Sample[]
  readonly streams: readonly StreamMemory[]
  readonly resting: readonly Resting[]
  readonly counts: Counts
  /** Of runs that gave no sample: warming up, counting, streams. */
  readonly otherErrors: Readonly<Record<string, number>>
}

export interface Report extends Measurements {
  readonly version: 1
  readonly startedAt: string
  readonly seconds: number
  readonly plan: string
  /** Whether the gateway ran under a profiler: then its figures are not to be compared. */
  readonly profiled: boolean
  readonly machine: MachineFacts
  readonly figures: Figures
}

/** Fields end in their unit; `...ToBare` are ratios in which 1 is as good as bare and less is worse. */
export interface Throughput {
  readonly perSecond: Spread
  readonly throughputToBare: Spread
  readonly cpuUsPerCall: Spread | null
  /** Bare's CPU time by this one's. null where there is no proxy, or the time was too short to be seen. */
  readonly cpuToBare: Spread | null
  readonly databaseUsPerCall: Spread
  readonly proxyCoreBusy: Spread | null
}

export interface Delay {
  readonly p50Us: Spread
  readonly p99Us: Spread
  readonly addedP50Us: Spread
  readonly addedP99Us: Spread
}

export interface Figures {
  readonly throughput: Readonly<Record<'saturation' | '100 KB down' | '1 MB down' | '100 KB up', Readonly<Record<TargetName, Throughput>>>>
  /** Over bare in the same round. */
  readonly delay: Readonly<Record<'moderate' | 'first byte', Readonly<Record<TargetName, Delay>>>>
  /** Calls a second of the moderate load. */
  readonly moderatePerSecond: number
  readonly gatewayToReplyFrom: { readonly throughput: Spread; readonly cpu: Spread | null }
  readonly streams: Readonly<Record<ProxyName, { readonly rssBytes: Spread; readonly heldBytes: Spread }>>
  readonly perCall: { readonly queriesSequential: number; readonly queriesSaturated: number; readonly argon2: number }
  readonly foreignCores: Spread
  readonly stolenCores: Spread
}

export function figuresOf({ samples, streams, counts }: Measurements): Figures {
  const of = (scenario: Scenario, target: TargetName): Sample[] =>
    samples.filter((sample) => sample.scenario === scenario && sample.target === target).sort((a, b) => a.round - b.round)
  const throughput = (scenario: Scenario) => each(TARGETS, (target) => throughputOf(of(scenario, target), of(scenario, 'bare')))
  const delay = (scenario: Scenario) => each(TARGETS, (target) => delayOf(of(scenario, target), of(scenario, 'bare')))
  const against = throughputOf(of('saturation', 'gateway'), of('saturation', 'reply-from'))
  return {
    throughput: {
      saturation: throughput('saturation'),
      '100 KB down': throughput('100 KB down'),
      '1 MB down': throughput('1 MB down'),
      '100 KB up': throughput('100 KB up'),
    },
    delay: { moderate: delay('moderate'), 'first byte': delay('first byte') },
    moderatePerSecond: spread(of('moderate', 'bare').map(({ perSecond }) => perSecond)).median,
    gatewayToReplyFrom: { throughput: against.throughputToBare, cpu: against.cpuToBare },
    streams: each(PROXIES, (target) => {
      const own = streams.filter((stream) => stream.target === target)
      return { rssBytes: spread(own.map(({ rssBytes }) => rssBytes)), heldBytes: spread(own.map(({ heldBytes }) => heldBytes)) }
    }),
    perCall: {
      queriesSequential: counts.sequential.queries / counts.sequential.calls,
      queriesSaturated: counts.saturated.queries / counts.saturated.calls,
      argon2: (counts.sequential.argon2 + counts.saturated.argon2) / (counts.sequential.calls + counts.saturated.calls),
    },
    foreignCores: spread(samples.map(({ foreignCores }) => foreignCores)),
    stolenCores: spread(samples.map(({ stolenCores }) => stolenCores)),
  }
}

function throughputOf(own: readonly Sample[], bare: readonly Sample[]): Throughput {
  const rates = own.map(({ perSecond }) => perSecond)
  const cpu = cpuOf(own)
  const bareCpu = cpuOf(bare)
  return {
    perSecond: spread(rates),
    throughputToBare: pairedRatio(
      rates,
      bare.map(({ perSecond }) => perSecond),
    ),
    cpuUsPerCall: cpu && spread(cpu),
    cpuToBare: cpu && bareCpu && pairedRatio(bareCpu, cpu),
    databaseUsPerCall: spread(own.map(({ databaseUsPerCall }) => databaseUsPerCall)),
    proxyCoreBusy: allOrNull(
      own.map(({ proxyCoreBusy }) => proxyCoreBusy),
      spread,
    ),
  }
}

/** null where a sample has no CPU time: no proxy, or too little for the clock's steps of 10 ms. */
function cpuOf(samples: readonly Sample[]): number[] | null {
  return allOrNull(
    samples.map(({ cpuUsPerCall }) => (cpuUsPerCall === 0 ? null : cpuUsPerCall)),
    (values) => [...values],
  )
}

function allOrNull<Result>(values: readonly (number | null)[], make: (values: readonly number[]) => Result): Result | null {
  const known = values.filter((value) => value !== null)
  return known.length === values.length ? make(known) : null
}

function delayOf(own: readonly Sample[], bare: readonly Sample[]): Delay {
  const p50 = (sample: Sample): number => sample.latencyUs.p50
  const p99 = (sample: Sample): number => sample.latencyUs.p99
  return {
    p50Us: spread(own.map(p50)),
    p99Us: spread(own.map(p99)),
    addedP50Us: pairedDifference(own.map(p50), bare.map(p50)),
    addedP99Us: pairedDifference(own.map(p99), bare.map(p99)),
  }
}

function each<Name extends string, Value>(names: readonly Name[], make: (name: Name) => Value): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, Value>
}

/** Every kind of error of a run and how often it came, by where it came. Empty: a good run. */
export function errorsOf({ samples, otherErrors }: Measurements): Record<string, number> {
  const all: Record<string, number> = { ...otherErrors }
  for (const { scenario, target, errors } of samples) {
    for (const [kind, times] of Object.entries(errors))
      all[`${target}, ${scenario}: ${kind}`] = (all[`${target}, ${scenario}: ${kind}`] ?? 0) + times
  }
  return all
}

/** Other work than this, in cores, spoils rates and delays. */
const QUIET_CORES = 0.1

/** The report for a reader at a terminal. */
export function tableOf(report: Report): string {
  const { figures, resting, machine } = report
  return [
    ...heading(report),
    '',
    '1 KB answers, as many as there can be (64 connections)',
    ...throughputRows(figures.throughput.saturation),
    `  gateway to reply-from: throughput ${ratio(figures.gatewayToReplyFrom.throughput)}, CPU ${ratio(figures.gatewayToReplyFrom.cpu)}   (goal 1.30)`,
    '  goal of the gateway: 0.85 of bare, CPU first',
    '',
    ...(['100 KB down', '1 MB down', '100 KB up'] as const).flatMap((size) => [
      `${size}   (goal 0.90 of bare)`,
      ...throughputRows(figures.throughput[size]),
      '',
    ]),
    `1 KB answers at ${Math.round(figures.moderatePerSecond)} a second, microseconds   (goal: p50 under 250 over bare)`,
    ...delayRows(figures.delay.moderate),
    '',
    'First byte of an event stream, one stream at a time, microseconds   (goal: within 1000 of bare)',
    ...delayRows(figures.delay['first byte']),
    '',
    'Memory   (goal: an open stream takes at most 1.20 times what it takes in bare)',
    row(['', 'open stream', 'to bare', 'in use', 'to bare', 'idle', 'after load']),
    ...PROXIES.map((name) => memoryRow(name, figures, resting)),
    '',
    `On warm caches, per call: ${figures.perCall.queriesSequential.toFixed(3)} queries one after another, ` +
      `${figures.perCall.queriesSaturated.toFixed(3)} at saturation, ${figures.perCall.argon2} argon2id runs.`,
    `Other work on the machine while measuring: ${figures.foreignCores.median.toFixed(2)} cores in the middle sample, ${figures.foreignCores.high.toFixed(2)} in the worst; ` +
      `taken by the host: ${figures.stolenCores.median.toFixed(2)}, ${figures.stolenCores.high.toFixed(2)}.`,
    ...(figures.foreignCores.median > QUIET_CORES
      ? ['The machine was not quiet: rates and delays are not to be used, and ratios of CPU time only with care.']
      : []),
    machine.pinned === null ? `Nothing was pinned: ${machine.unpinnedBecause}. Ratios are worth little.` : '',
    ...paceLines(report),
    ...errorLines(report),
  ].join('\n')
}

function heading({ machine, plan, seconds, startedAt, profiled, samples }: Report): string[] {
  const rounds = new Set(samples.map(({ round }) => round)).size
  const pinned = machine.pinned === null ? 'not pinned' : `proxy on core ${machine.pinned.proxy}, all else on core ${machine.pinned.rest}`
  return [
    `${startedAt}, ${plan} run of ${Math.round(seconds)} s, ${rounds} rounds, revision ${machine.revision}${machine.modified ? ' with changes' : ''}`,
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, undici ${machine.undici}; ${pinned}`,
    'Medians over the rounds; in brackets the lowest and the highest. Ratios are of pairs measured right after one another; 1.00 is bare.',
    ...(profiled ? ['The gateway ran under a profiler: its figures say nothing about its speed.'] : []),
  ]
}

function throughputRows(by: Readonly<Record<TargetName, Throughput>>): string[] {
  return [
    row(['', 'calls/s', 'to bare', 'CPU us', 'CPU to bare', 'database us', 'core busy']),
    ...TARGETS.map((name) => {
      const it = by[name]
      return row([
        name,
        it.perSecond.median.toFixed(0),
        ratio(it.throughputToBare),
        it.cpuUsPerCall === null ? '-' : it.cpuUsPerCall.median.toFixed(0),
        ratio(it.cpuToBare),
        it.databaseUsPerCall.median === 0 ? '-' : it.databaseUsPerCall.median.toFixed(0),
        name === 'direct' || it.proxyCoreBusy === null ? '-' : `${Math.round(it.proxyCoreBusy.median * 100)}%`,
      ])
    }),
  ]
}

function delayRows(by: Readonly<Record<TargetName, Delay>>): string[] {
  return [
    row(['', 'p50', 'over bare', 'p99', 'over bare']),
    ...TARGETS.map((name) => {
      const { p50Us, p99Us, addedP50Us, addedP99Us } = by[name]
      return row([name, p50Us.median.toFixed(0), difference(addedP50Us), p99Us.median.toFixed(0), difference(addedP99Us)])
    }),
  ]
}

function memoryRow(name: ProxyName, { streams }: Figures, resting: readonly Resting[]): string {
  const { rssBytes, heldBytes } = streams[name]
  const own = resting.find(({ target }) => target === name)
  return row([
    name,
    `${(rssBytes.median / 1024).toFixed(0)} KB`,
    streams.bare.rssBytes.median > 0 ? (rssBytes.median / streams.bare.rssBytes.median).toFixed(2) : '-',
    `${(heldBytes.median / 1024).toFixed(1)} KB`,
    (heldBytes.median / streams.bare.heldBytes.median).toFixed(2),
    megabytes(own?.idleBytes),
    megabytes(own?.afterBytes),
  ])
}

function paceLines({ samples }: Measurements): string[] {
  const behind = new Set(samples.filter(({ unsent }) => unsent > 0).map(({ target }) => target))
  return behind.size === 0
    ? []
    : [`Did not keep the moderate pace in some round, so that its delays are too good: ${[...behind].join(', ')}.`]
}

function errorLines(measured: Measurements): string[] {
  const errors = Object.entries(errorsOf(measured))
  if (errors.length === 0) return ['Every answer was checked for its status and length: no errors.']
  return ['ERRORS: the figures are not to be used.', ...errors.map(([what, times]) => `  ${what} (${times} times)`)]
}

const WIDTHS = [12, 12, 24, 12, 24, 14, 12]

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(WIDTHS[0]!) : ` ${cell}`.padStart(WIDTHS[at]!))).join('')}`
}

function ratio(value: Spread | null): string {
  return value === null ? '-' : `${value.median.toFixed(2)} [${value.low.toFixed(2)}-${value.high.toFixed(2)}]`
}

function difference({ median, low, high }: Spread): string {
  return `${median.toFixed(0)} [${low.toFixed(0)}..${high.toFixed(0)}]`
}

function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? '-' : `${(bytes / 1024 / 1024).toFixed(0)} MB`
}
