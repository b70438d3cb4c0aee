/** Owns the callers of gateways in a proof: calls through the data plane, renewals through the API, some of them impatient. Refuses to judge. */
import { setTimeout as after } from 'node:timers/promises'
import type { Crew } from './crew.ts'
import type { Connections } from './gateway-field.ts'
import type { GatewaySlot } from './gateway-slots.ts'
import { chanceFrom } from './random.ts'
import type { Chance } from './random.ts'
import { GATEWAY_TROUBLES } from './schedule.ts'
import type { TroubleWeights } from './schedule.ts'

/** A holder that shows no life for ten seconds loses its lease. */
const LONGEST_MS = { trouble: 3_000, pause: 14_000 }
/** Patience of callers, in milliseconds, and of the one that renews what is judged. */
const PATIENCE_MS = [250, 1_000, 10_000] as const
const RENEWAL_MS = 40_000
/** Share of calls that ask for a renewal by hand. */
const BY_HAND = 0.1

export class GatewayCrew implements Crew {
  readonly slots: readonly GatewaySlot[]
  readonly troubles: TroubleWeights
  readonly longestMs = LONGEST_MS
  readonly #connections: Connections
  readonly #credentials: readonly string[]
  readonly #counters: Record<string, number> = {}
  #loading: { stop: boolean; readonly callers: readonly Promise<void>[] } | undefined

  constructor(slots: readonly GatewaySlot[], connections: Connections, credentials: readonly string[], troubles = GATEWAY_TROUBLES) {
    this.troubles = troubles
    this.slots = slots
    this.#connections = connections
    this.#credentials = credentials
  }

  async load(callersPerNode: number, seed: string): Promise<void> {
    const chance = chanceFrom(seed).branch('callers')
    const run = { stop: false, callers: [] as Promise<void>[] }
    this.#loading = run
    for (const slot of this.slots)
      for (let caller = 0; caller < callersPerNode; caller++)
        run.callers.push(this.#keepCalling(slot, chance.branch(`${slot.name}/${caller}`), () => run.stop))
  }

  async #keepCalling(slot: GatewaySlot, chance: Chance, over: () => boolean): Promise<void> {
    while (!over()) {
      const [credential, byHand, patienceMs] = [chance.pick(this.#credentials), chance.next() < BY_HAND, chance.pick(PATIENCE_MS)]
      const node = slot.process
      if (node !== undefined) await this.#ask(node.url, credential, byHand, patienceMs)
      await after(chance.between(20, 150))
    }
  }

  /** Whether it was answered with success. */
  async #ask(url: string, credential: string, byHand: boolean, patienceMs: number): Promise<boolean> {
    const signal = AbortSignal.timeout(patienceMs)
    try {
      const response = await (byHand ? this.#connections.renew(url, credential, signal) : this.#connections.call(url, credential, signal))
      const text = await response.text()
      this.#count(response.ok ? 'ok' : codeIn(text, response.status))
      return response.ok
    } catch {
      this.#count(signal.aborted ? 'impatient' : 'no_answer')
      return false
    }
  }

  #count(outcome: string): void {
    this.#counters[outcome] = (this.#counters[outcome] ?? 0) + 1
  }

  async quiet(): Promise<void> {
    if (this.#loading === undefined) return
    this.#loading.stop = true
    await Promise.all(this.#loading.callers)
  }

  async renew(turn: number, credential: string): Promise<boolean> {
    const slot = this.slots[turn % this.slots.length]!
    const node = slot.process ?? (await slot.start())
    return await this.#ask(node.url, credential, true, RENEWAL_MS)
  }

  async counters(): Promise<Readonly<Record<string, number>>> {
    return this.#counters
  }

  async close(): Promise<void> {
    await this.quiet()
  }
}

function codeIn(text: string, status: number): string {
  try {
    return String((JSON.parse(text) as { code: unknown }).code)
  } catch {
    return `status_${status}`
  }
}
