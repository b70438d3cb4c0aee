/**
 * Owns what is known of providers from the calls that were made and the probes that were sent. Refuses to count against a provider what its callers
 * did, and to hold one for down that was not asked for a minute.
 */
import type { Clock } from '../kernel/index.ts'
import type { Metrics } from '../observability/index.ts'
import type { CircuitChange, Fault } from '../pipeline/index.ts'

/** How a provider answered this process. */
export interface ProviderHealth {
  /**
   * `unknown` before the first call. `failing`: the last five failed, or half of ten or more within a minute: unreachable, no answer, a 5xx. A 4xx is no
   * failure.
   */
  readonly state: 'unknown' | 'up' | 'failing'
  readonly failuresInARow: number
  /** Tries that were made in the last minute, and how many of them failed. */
  readonly lastMinute: { readonly calls: number; readonly failures: number }
  /** Hosts that the circuit breaker leaves alone. */
  readonly openCircuits: readonly string[]
}

export interface HealthChange {
  readonly provider: string
  readonly state: 'up' | 'failing'
}

export interface ProvidersHealthOptions {
  readonly clock: Clock
  readonly metrics: Metrics
  /** How long an open circuit lets nothing through. Milliseconds. */
  readonly openMs: number
  /** Hears of each provider that fails, and that is up again. Must not throw. */
  readonly onChange: (change: HealthChange) => void
}

const IN_A_ROW = 5
const ENOUGH = 10
const WINDOW_MS = 60_000
const SLOTS = 6

interface Slot {
  readonly at: number
  calls: number
  failures: number
}

interface Known {
  failing: boolean
  failuresInARow: number
  lastFailureAt: number
  /** Of the last minute; and those of it since the provider was last mended. */
  slots: Slot[]
  judged: Slot[]
  readonly open: Map<string, number>
}

export class ProvidersHealth {
  readonly #known = new Map<string, Known>()
  readonly #o: ProvidersHealthOptions

  constructor(options: ProvidersHealthOptions) {
    this.#o = options
  }

  /** One try, or one probe. */
  note(provider: string, fault: Fault): void {
    if (fault === 'nobody') return
    const [known, now] = [this.#of(provider), this.#o.clock.monotonic()]
    known.slots = counted(known.slots, now, fault)
    known.judged = counted(known.judged, now, fault)
    if (fault === 'provider') {
      known.failuresInARow++
      known.lastFailureAt = now
    } else known.failuresInARow = 0
    const { calls, failures } = sumOf(known.judged, now)
    const bad = known.failuresInARow >= IN_A_ROW || (calls >= ENOUGH && failures * 2 >= calls)
    // A success never makes a provider fail, whatever was before it.
    if (bad ? fault === 'provider' : known.failing) this.#judge(provider, known, bad)
  }

  /** A probe was answered: a provider that failed does no longer, and what was before is over. */
  revive(provider: string): void {
    const known = this.#of(provider)
    known.failuresInARow = 0
    this.#judge(provider, known, false)
  }

  noteCircuit({ provider, host, to }: CircuitChange): void {
    const { open } = this.#of(provider)
    if (to === 'open') open.set(host, this.#o.clock.monotonic())
    else open.delete(host)
  }

  of(provider: string): ProviderHealth {
    const known = this.#known.get(provider)
    if (known === undefined) return { state: 'unknown', failuresInARow: 0, lastMinute: { calls: 0, failures: 0 }, openCircuits: [] }
    const now = this.#o.clock.monotonic()
    return {
      state: known.failing ? 'failing' : 'up',
      failuresInARow: known.failuresInARow,
      lastMinute: sumOf(known.slots, now),
      openCircuits: this.#openOf(known, now),
    }
  }

  /** Whether another provider is to be asked in its place: it fails, or its circuit is open. It is tried again after a minute at the latest. */
  isDown(provider: string): boolean {
    const known = this.#known.get(provider)
    if (known === undefined) return false
    const now = this.#o.clock.monotonic()
    return (known.failing && now - known.lastFailureAt < WINDOW_MS) || this.#openOf(known, now).length > 0
  }

  /** Those that fail. */
  failing(): readonly string[] {
    return [...this.#known].flatMap(([provider, { failing }]) => (failing ? [provider] : []))
  }

  #of(provider: string): Known {
    const found = this.#known.get(provider)
    if (found !== undefined) return found
    const made: Known = { failing: false, failuresInARow: 0, lastFailureAt: 0, slots: [], judged: [], open: new Map() }
    this.#known.set(provider, made)
    this.#o.metrics.gauge('provider_up', { provider }, 1)
    return made
  }

  #openOf({ open }: Known, now: number): readonly string[] {
    return [...open].flatMap(([host, at]) => (now - at < this.#o.openMs ? [host] : []))
  }

  #judge(provider: string, known: Known, failing: boolean): void {
    if (known.failing === failing) return
    known.failing = failing
    if (!failing) known.judged = []
    this.#o.metrics.gauge('provider_up', { provider }, failing ? 0 : 1)
    this.#o.onChange({ provider, state: failing ? 'failing' : 'up' })
  }
}

function counted(slots: Slot[], now: number, fault: Fault): Slot[] {
  const at = Math.floor(now / (WINDOW_MS / SLOTS))
  const live = slots.at(-1)?.at === at ? slots : [...slots.filter((one) => at - one.at < SLOTS), { at, calls: 0, failures: 0 }]
  const last = live.at(-1)!
  last.calls++
  if (fault === 'provider') last.failures++
  return live
}

function sumOf(slots: readonly Slot[], now: number): { readonly calls: number; readonly failures: number } {
  const at = Math.floor(now / (WINDOW_MS / SLOTS))
  const live = slots.filter((one) => at - one.at < SLOTS)
  return {
    calls: live.reduce((sum, { calls }) => sum + calls, 0),
    failures: live.reduce((sum, { failures }) => sum + failures, 0),
  }
}
