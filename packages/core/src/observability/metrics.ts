/**
 * Owns counting. The port is what the engine talks to; the registry keeps the numbers in memory and prints them in the
 * Prometheus text format (version 0.0.4). Refuses undeclared names and labels, and an unbounded number of series: a label
 * fed from outside must not become a way to fill the memory, nor a place where ids end up.
 */

export interface MetricLabels {
  readonly [name: string]: string
}

/** Metric names carry their unit (`_seconds`, `_total`). Label values are kinds of things, never ids, URLs or keys. */
export interface Metrics {
  /** Adds to a counter; `n` is 1 when left out, never negative. */
  count(name: string, labels: MetricLabels, n?: number): void
  /** Records one duration in a histogram. */
  observe(name: string, labels: MetricLabels, seconds: number): void
  /** Sets a gauge. */
  gauge(name: string, labels: MetricLabels, value: number): void
}

/** A metric as it is declared: only declared ones are counted, with declared labels. */
export interface MetricDefinition {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Each label with the values it may take, or `open` for names that configuration brings (a provider). Others become `other`. */
  readonly labels: { readonly [name: string]: readonly string[] | 'open' }
  /** Upper bounds in seconds, rising. Histograms only; a default from 5 ms to 10 s otherwise. */
  readonly buckets?: readonly number[]
}

/** Of what a registry renders. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Counts nothing. For callers without a registry. */
export const noMetrics: Metrics = { count: () => undefined, observe: () => undefined, gauge: () => undefined }

const DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const NAME = /^[a-z][a-z0-9_]{0,127}$/
const OPEN_VALUE = /^[0-9A-Za-z][0-9A-Za-z._-]{0,47}$/
const OTHER = 'other'
const OVERFLOW = 'overflow'

/** One line's worth of numbers. `buckets` counts each bound's own share; the sums that the format wants are made on render. */
interface Series {
  readonly labels: readonly string[]
  value: number
  observations: number
  readonly buckets: number[]
}

interface Family {
  readonly definition: MetricDefinition
  readonly labelNames: readonly string[]
  readonly bounds: readonly number[]
  readonly series: Map<string, Series>
  /** The same by the labels as they are given; no more than there are series. */
  readonly known: Map<string, Series>
  /** Of those, what was given lately, the last first: found without a key being made of it. */
  readonly recent: Recent[]
}

interface Recent {
  readonly values: readonly string[]
  readonly series: Series
}

/** Calls of one kind have few label values in turn; beyond these a key is cheaper than looking. */
const MOST_RECENT = 8

/** Metrics in memory. At most `maxSeries` label combinations per metric; further ones share one series labelled `overflow`. */
export class MetricsRegistry implements Metrics {
  readonly #families: ReadonlyMap<string, Family>
  readonly #maxSeries: number

  /** @throws TypeError for a name outside `[a-z][a-z0-9_]*`, a name declared twice, or bounds that don't rise. */
  constructor(definitions: readonly MetricDefinition[], maxSeries = 500) {
    const families = definitions.map(familyOf)
    this.#families = new Map(families.map((family) => [family.definition.name, family]))
    if (this.#families.size !== definitions.length) throw new TypeError('a metric is declared twice')
    this.#maxSeries = maxSeries
  }

  /** @throws TypeError for an undeclared metric or label, RangeError for a value that is negative or no number. */
  count(name: string, labels: MetricLabels, n = 1): void {
    if (!(n >= 0)) throw new RangeError('a counter only goes up')
    this.#series(name, 'counter', labels).value += n
  }

  /** @throws as `count` does. */
  observe(name: string, labels: MetricLabels, seconds: number): void {
    if (!(seconds >= 0)) throw new RangeError('a duration is not negative')
    const series = this.#series(name, 'histogram', labels)
    const bucket = this.#families.get(name)!.bounds.findIndex((bound) => seconds <= bound)
    if (bucket >= 0) series.buckets[bucket]! += 1
    series.observations += 1
    series.value += seconds
  }

  /** @throws TypeError as `count` does. */
  gauge(name: string, labels: MetricLabels, value: number): void {
    this.#series(name, 'gauge', labels).value = value
  }

  /** Everything, in the order of declaration, as Prometheus text. */
  render(): string {
    return [...this.#families.values()].flatMap(renderFamily).join('\n') + '\n'
  }

  #series(name: string, kind: MetricDefinition['kind'], labels: MetricLabels): Series {
    const family = this.#families.get(name)
    if (family?.definition.kind !== kind) throw new TypeError(`no ${kind} is declared as ${name}`)
    const recent = recentSeries(family, labels)
    if (recent !== undefined) return recent
    const given = givenValues(family, labels)
    const known = given && family.known.get(given.join('\n'))
    if (given !== undefined && known !== undefined) {
      family.recent.unshift({ values: given, series: known })
      family.recent.length = Math.min(family.recent.length, MOST_RECENT)
      return known
    }
    const values = labelValues(family, labels)
    const found = family.series.get(values.join('\n'))
    // What stands for itself is found by what is given from now on. A value that became another's is judged each time: there may be any number of them.
    if (found !== undefined && values.every((value, at) => value === labels[family.labelNames[at]!]))
      family.known.set(values.join('\n'), found)
    if (found !== undefined) return found
    // One place is kept for the overflow, so that the bound holds with it.
    const full = values.length > 0 && family.series.size >= this.#maxSeries - 1
    return seriesFor(family, full ? values.map(() => OVERFLOW) : values)
  }
}

function familyOf(definition: MetricDefinition): Family {
  const labelNames = Object.keys(definition.labels)
  if (![definition.name, ...labelNames].every((name) => NAME.test(name)))
    throw new TypeError(`bad metric or label name in ${definition.name}`)
  const bounds = definition.kind === 'histogram' ? (definition.buckets ?? DEFAULT_BUCKETS) : []
  if (bounds.some((bound, i) => i > 0 && !(bound > bounds[i - 1]!))) throw new TypeError(`bounds of ${definition.name} must rise`)
  return { definition, labelNames, bounds, series: new Map(), known: new Map(), recent: [] }
}

function recentSeries({ recent, labelNames }: Family, labels: MetricLabels): Series | undefined {
  let given = 0
  for (const _name in labels) given += 1
  if (given !== labelNames.length) return undefined
  for (const { values, series } of recent) if (isGiven(labelNames, values, labels)) return series
  return undefined
}

/** As many labels are given as are declared: of those that are not declared there is then none. */
function isGiven(labelNames: readonly string[], values: readonly string[], labels: MetricLabels): boolean {
  for (let at = 0; at < labelNames.length; at++) if (labels[labelNames[at]!] !== values[at]) return false
  return true
}

/** The values in the order of declaration; undefined when it is not these labels, and no others, that are given. */
function givenValues({ labelNames }: Family, labels: MetricLabels): readonly string[] | undefined {
  let given = 0
  for (const name in labels) given += Object.hasOwn(labels, name) ? 1 : labelNames.length + 1
  if (given !== labelNames.length) return undefined
  const values = labelNames.map((name) => labels[name])
  return values.every((value) => typeof value === 'string') ? values : undefined
}

function labelValues(family: Family, labels: MetricLabels): readonly string[] {
  const given = Object.keys(labels)
  if (given.length !== family.labelNames.length || !family.labelNames.every((name) => Object.hasOwn(labels, name))) {
    throw new TypeError(`${family.definition.name} takes the labels ${family.labelNames.join(', ')}`)
  }
  return family.labelNames.map((name) => {
    const allowed = family.definition.labels[name]!
    const value = labels[name]!
    return (allowed === 'open' ? OPEN_VALUE.test(value) : allowed.includes(value)) ? value : OTHER
  })
}

function seriesFor(family: Family, labels: readonly string[]): Series {
  const key = labels.join('\n')
  const series = family.series.get(key) ?? { labels, value: 0, observations: 0, buckets: family.bounds.map(() => 0) }
  family.series.set(key, series)
  return series
}

function renderFamily(family: Family): readonly string[] {
  const { name, kind, help } = family.definition
  const head = [`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${kind}`]
  return [...head, ...[...family.series.values()].flatMap((series) => renderSeries(family, series))]
}

function renderSeries({ definition: { name, kind }, labelNames, bounds }: Family, series: Series): readonly string[] {
  const pairs = labelNames.map((label, i) => `${label}="${escaped(series.labels[i]!)}"`)
  if (kind !== 'histogram') return [`${name}${braced(pairs)} ${series.value}`]
  let below = 0
  const buckets = bounds.map((bound, i) => `${name}_bucket${braced([...pairs, `le="${bound}"`])} ${(below += series.buckets[i]!)}`)
  return [
    ...buckets,
    `${name}_bucket${braced([...pairs, 'le="+Inf"'])} ${series.observations}`,
    `${name}_sum${braced(pairs)} ${series.value}`,
    `${name}_count${braced(pairs)} ${series.observations}`,
  ]
}

function braced(pairs: readonly string[]): string {
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
