/**
 * Owns noticing that a provider announces the end of something: `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) in its answers. Refuses to tell of the
 * same notice twice a day, to remember more notices than a few, and words of the provider's but for one address.
 */
import { httpDate } from '../http/index.ts'
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { noMetrics } from '../observability/index.ts'
import type { Metrics } from '../observability/index.ts'

/** Times in milliseconds since 1970. */
export interface Deprecation {
  /** Since when, or from when on, it is not to be used any more; null where that was not said. */
  readonly deprecatedAt: number | null
  /** When it is expected to be gone; null where that was not said. */
  readonly sunsetAt: number | null
  /** Where the provider says more of it, https and at most 2,048 characters; null where it does not. Its word: not to be followed unseen. */
  readonly documentation: string | null
}

/** The same, with the provider and the host that said so. */
export interface DeprecationNotice extends Deprecation {
  readonly provider: string
  readonly host: string
}

/** What a `Deprecations` is made of: where it tells, and by what it counts. */
export interface DeprecationsOptions {
  /** Hears of each notice, once a day while it goes on. Must not throw. */
  readonly onNotice: (notice: DeprecationNotice) => void
  readonly clock?: Clock
  readonly metrics?: Metrics
}

const DAY_MS = 24 * 3_600_000
const AGAIN_MS = DAY_MS
const MAX_KNOWN = 1_000
const MAX_LINK = 16_384
const MAX_ADDRESS = 2_048
/** RFC 9651 section 3.3.7. Twelve digits are thirty thousand years. */
const STRUCTURED = /^@(?<seconds>-?\d{1,12})$/u
const ABOUT_IT: ReadonlySet<string> = new Set(['deprecation', 'sunset'])

/** What an answer says of its own end; undefined when it says nothing that can be read. */
export function deprecationOf(headers: Pick<Headers, 'get'>): Deprecation | undefined {
  const [deprecation, sunset] = [headers.get('deprecation'), headers.get('sunset')]
  if (deprecation === null && sunset === null) return undefined
  const deprecatedAt = deprecation === null ? undefined : sinceOf(deprecation.trim())
  const sunsetAt = sunset === null ? undefined : httpDate(sunset.trim())
  if (deprecatedAt === undefined && sunsetAt === undefined) return undefined
  return { deprecatedAt: deprecatedAt ?? null, sunsetAt: sunsetAt ?? null, documentation: addressIn(headers.get('link')) }
}

/** Earlier drafts had a date of HTTP, or `true` without any. Undefined for what is none of them. */
function sinceOf(text: string): number | null | undefined {
  const seconds = STRUCTURED.exec(text)?.groups?.['seconds']
  if (seconds !== undefined) return Number(seconds) * 1_000
  return text.toLowerCase() === 'true' ? null : httpDate(text)
}

/** RFC 8288 section 3. */
function addressIn(link: string | null): string | null {
  if (link === null || link.length > MAX_LINK) return null
  for (const [, target = '', parameters = ''] of link.matchAll(/<([^<>]*)>([^<]*)/gu)) {
    const relations = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/iu.exec(parameters)
    const isAbout = (relations?.[1] ?? relations?.[2] ?? '').split(' ').some((name) => ABOUT_IT.has(name.toLowerCase()))
    if (isAbout && target.length <= MAX_ADDRESS && URL.parse(target)?.protocol === 'https:') return URL.parse(target)!.href
  }
  return null
}

/** Tells of each notice of each provider and host once a day; those of the same days are one. One for all calls of a process; safe for concurrent use, and nothing to close. */
export class Deprecations {
  readonly #o: DeprecationsOptions
  readonly #clock: Clock
  readonly #metrics: Metrics
  /** When each notice was told, by the monotonic clock. */
  readonly #told = new Map<string, number>()
  readonly #earliest = new Map<string, number>()

  constructor(options: DeprecationsOptions) {
    this.#o = options
    this.#clock = options.clock ?? systemClock
    this.#metrics = options.metrics ?? noMetrics
  }

  /** For each answer that has just come. Costs two looks at its headers where they say nothing. */
  note({ provider, host }: { readonly provider: string; readonly host: string }, headers: Pick<Headers, 'get'>): void {
    const found = deprecationOf(headers)
    if (found === undefined) return
    this.#metrics.count('http_deprecated_answers_total', { provider })
    if (found.sunsetAt !== null) this.#measure(provider, found.sunsetAt)
    const [name, now] = [JSON.stringify([provider, host, dayOf(found.deprecatedAt), dayOf(found.sunsetAt)]), this.#clock.monotonic()]
    const before = this.#told.get(name)
    if (before !== undefined && now - before < AGAIN_MS) return
    remember(this.#told, name, now)
    this.#o.onNotice({ provider, host, ...found })
  }

  #measure(provider: string, sunsetAt: number): void {
    const earliest = Math.min(sunsetAt, this.#earliest.get(provider) ?? Infinity)
    remember(this.#earliest, provider, earliest)
    this.#metrics.gauge('provider_sunset_timestamp_seconds', { provider }, Math.max(0, Math.floor(earliest / 1_000)))
  }
}

/** Some count the time to the end from the moment of each answer: to the second, no two of theirs were the same. */
function dayOf(at: number | null): number | null {
  return at === null ? null : Math.floor(at / DAY_MS)
}

function remember(all: Map<string, number>, name: string, value: number): void {
  all.delete(name)
  all.set(name, value)
  if (all.size > MAX_KNOWN) all.delete(all.keys().next().value!)
}
