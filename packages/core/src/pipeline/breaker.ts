/**
 * Owns leaving a failing provider alone: one circuit for each owner, integration and host. Refuses to let one owner's failures stop another's
 * calls, to take a 4xx for a failure, and to send more than one probe at a time.
 */
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { noMetrics } from '../observability/index.ts'
import type { Metrics } from '../observability/index.ts'
import { circuitOf, placeKey, placeOf } from './call.ts'
import type { Answer, Call, Place, Policy, Send } from './call.ts'
import { PipelineError } from './errors.ts'
import { faultOfError, faultOfStatus } from './fault.ts'
import type { Fault } from './fault.ts'

/** `half_open`: one call is let through to find out. */
export type CircuitState = 'closed' | 'open' | 'half_open'

/** A circuit of one place that went from one state to another. */
export interface CircuitChange extends Place {
  readonly from: CircuitState
  readonly to: CircuitState
}

/** When a circuit opens, and for how long. */
export interface BreakerOptions {
  /** Failures in a row that open it, 1 or more; 5 when absent. */
  readonly failures?: number
  /** How long the provider is left alone before a probe. Milliseconds; 60,000 when absent. */
  readonly openMs?: number
  /** A caller's own deadline counts against the provider only after it had this long. Milliseconds; 10,000 when absent. */
  readonly patienceMs?: number
  /** Circuits that are remembered, of those that failed lately; 10,000 when absent. */
  readonly maxCircuits?: number
  /** Hears every change, within the call that makes it. Must not throw. */
  readonly onChange?: (change: CircuitChange) => void
  readonly clock?: Clock
  readonly metrics?: Metrics
}

interface Circuit {
  readonly of: Place
  state: CircuitState
  failures: number
  openedAt: number
  /** The last call admitted before the last change: what comes of it, and of earlier ones, is old news. */
  changedAfter: number
  probe: number | undefined
}

/** How far a place for a new circuit is looked for. */
const LOOKED_AT = 16

/** Safe for concurrent calls. The fault is judged when the answer's head is there; a body that breaks later opens nothing. */
export class Breaker {
  readonly #circuits = new Map<string, Circuit>()
  readonly #options: Required<Omit<BreakerOptions, 'onChange'>>
  readonly #onChange: (change: CircuitChange) => void
  readonly #standing = new Map<string, number>()
  #admitted = 0

  /** @throws RangeError for figures outside their ranges. */
  constructor(options: BreakerOptions = {}) {
    const { failures = 5, openMs = 60_000, patienceMs = 10_000, maxCircuits = 10_000, onChange, clock, metrics } = options
    const whole = [failures, maxCircuits].every((n) => Number.isSafeInteger(n) && n >= 1)
    if (!whole || !(openMs > 0) || !(patienceMs >= 0)) throw new RangeError('a figure of the breaker is out of range')
    this.#options = { failures, openMs, patienceMs, maxCircuits, clock: clock ?? systemClock, metrics: metrics ?? noMetrics }
    this.#onChange = onChange ?? (() => undefined)
  }

  /** @throws PipelineError `circuit_open`, with nothing sent. */
  readonly policy: Policy = (next) => (call) => this.#pass(next, call)

  /** As a call would find it now; an open one whose time is over shows as half open. */
  stateOf(call: Call): CircuitState {
    const circuit = this.#circuits.get(circuitOf(call))
    if (circuit === undefined) return 'closed'
    return circuit.state === 'open' && this.#restMs(circuit) <= 0 ? 'half_open' : circuit.state
  }

  /**
   * For callers that stream by themselves: the number of one call, to be judged once, whatever becomes of it; a probe that never is keeps the
   * circuit from closing. Cheap while nothing fails. @throws PipelineError `circuit_open`
   */
  admit(place: Place): number {
    const circuit = this.#circuits.size === 0 ? undefined : this.#circuits.get(placeKey(place))
    if (circuit !== undefined && circuit.state !== 'closed') this.#admitProbe(circuit)
    this.#admitted++
    return this.#admitted
  }

  /** What became of the call that `admit` gave this number. */
  judge(place: Place, admitted: number, fault: Fault): void {
    if (fault !== 'provider' && this.#circuits.size === 0) return
    const key = placeKey(place)
    const circuit = this.#circuits.get(key)
    if (circuit?.probe === admitted) this.#judgeProbe(circuit, fault)
    else if (circuit === undefined ? fault === 'provider' : admitted > circuit.changedAfter) this.#count(key, place, fault)
  }

  async #pass(next: Send, call: Call): Promise<Answer> {
    const [place, began] = [placeOf(call), this.#options.clock.monotonic()]
    const admitted = this.admit(place)
    try {
      const answer = await next(call)
      this.judge(place, admitted, faultOfStatus(answer.status))
      return answer
    } catch (error) {
      const waitedMs = this.#options.clock.monotonic() - began
      this.judge(place, admitted, faultOfError(error, waitedMs, this.#options.patienceMs))
      throw error
    }
  }

  #admitProbe(circuit: Circuit): void {
    const restMs = this.#restMs(circuit)
    if (circuit.state === 'open' && restMs <= 0) this.#change(circuit, 'half_open')
    if (circuit.state !== 'half_open' || circuit.probe !== undefined) throw new PipelineError('circuit_open', Math.max(1_000, restMs))
    circuit.probe = this.#admitted + 1
  }

  #judgeProbe(circuit: Circuit, fault: Fault): void {
    circuit.probe = undefined
    if (fault === 'none') this.#change(circuit, 'closed')
    else if (fault === 'provider') this.#change(circuit, 'open')
  }

  #count(key: string, place: Place, fault: Fault): void {
    if (fault === 'nobody') return
    const circuit = this.#circuits.get(key) ?? this.#remember(key, place)
    circuit.failures = fault === 'none' ? 0 : circuit.failures + 1
    if (circuit.failures >= this.#options.failures) this.#change(circuit, 'open')
    // One that was never open has no old news to keep out.
    else if (circuit.failures === 0 && circuit.changedAfter === 0) this.#circuits.delete(key)
  }

  #remember(key: string, { owner, integration, provider, host }: Place): Circuit {
    if (this.#circuits.size >= this.#options.maxCircuits) this.#forgetOne()
    const of = { owner, integration, provider, host }
    const circuit: Circuit = { of, state: 'closed', failures: 0, openedAt: 0, changedAfter: 0, probe: undefined }
    this.#circuits.set(key, circuit)
    return circuit
  }

  /** One that is closed, if any among the oldest is; else the oldest. */
  #forgetOne(): void {
    const oldest: (readonly [string, Circuit])[] = []
    for (const entry of this.#circuits) if (oldest.push(entry) === LOOKED_AT || entry[1].state === 'closed') break
    const [key, circuit] = oldest.find(([, { state }]) => state === 'closed') ?? oldest[0]!
    if (circuit.state !== 'closed') this.#change(circuit, 'closed')
    this.#circuits.delete(key)
  }

  #change(circuit: Circuit, to: CircuitState): void {
    const from = circuit.state
    circuit.state = to
    circuit.failures = 0
    circuit.probe = undefined
    circuit.changedAfter = this.#admitted
    if (to === 'open') circuit.openedAt = this.#options.clock.monotonic()
    this.#tell(circuit, from, to)
  }

  #tell({ of }: Circuit, from: CircuitState, to: CircuitState): void {
    this.#options.metrics.count('circuit_breaker_changes_total', { provider: of.provider, to })
    if (from !== 'closed') this.#stand(of.provider, from, -1)
    if (to !== 'closed') this.#stand(of.provider, to, 1)
    this.#onChange({ ...of, from, to })
  }

  #stand(provider: string, state: CircuitState, by: number): void {
    const key = JSON.stringify([provider, state])
    const count = (this.#standing.get(key) ?? 0) + by
    if (count === 0) this.#standing.delete(key)
    else this.#standing.set(key, count)
    this.#options.metrics.gauge('circuit_breaker_state', { provider, state }, count)
  }

  #restMs({ openedAt }: Circuit): number {
    return openedAt + this.#options.openMs - this.#options.clock.monotonic()
  }
}
