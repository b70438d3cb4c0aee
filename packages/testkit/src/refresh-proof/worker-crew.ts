/** Owns the proof's field of workers: processes that use the engine as an application does. Refuses to judge. */
import type { Crew, Field } from './crew.ts'
import { startFleet } from './fleet.ts'
import type { WorkerSlot } from './fleet.ts'
import { openGround } from './ground.ts'
import type { StoreServer } from './ground.ts'
import type { IssuerProfile } from './history.ts'
import { Population, storeConsents } from './population.ts'
import { WORKER_TROUBLES } from './schedule.ts'
import type { TroubleWeights } from './schedule.ts'

export interface WorkerFieldOptions {
  readonly store: StoreServer
  readonly profile: IssuerProfile
  readonly nodes: number
  readonly credentials: number
  readonly seed: string
  /** Longest pause of a process; 3 s when absent. */
  readonly longestPauseMs?: number | undefined
  /** What may happen to the nodes; all of it when absent. */
  readonly troubles?: TroubleWeights
  /** Whether callers ask one time after the other, without a rest. */
  readonly eager?: boolean
}

const LONGEST_TROUBLE_MS = 3_000

export async function openWorkerField(options: WorkerFieldOptions): Promise<Field> {
  const ground = await openGround(options.store, options.seed)
  try {
    const population = new Population(options.credentials, ground, storeConsents(ground.store))
    const slots = await startFleet(options.nodes, { ...ground.fleet, rotation: declared(options.profile) })
    const crew = new WorkerCrew(slots, population.credentials, options)
    const close = async (): Promise<void> => {
      await crew.close()
      await ground.close()
    }
    return { issuer: ground.issuer, client: ground.client, population, crew, close }
  } catch (error) {
    await ground.close()
    throw error
  }
}

/** What a provider's record would say of it. */
export function declared(profile: IssuerProfile) {
  return profile.kind === 'grace' ? ({ kind: 'grace', seconds: profile.seconds } as const) : ({ kind: profile.kind } as const)
}

class WorkerCrew implements Crew {
  readonly slots: readonly WorkerSlot[]
  readonly troubles: TroubleWeights
  readonly longestMs: Crew['longestMs']
  readonly #credentials: readonly string[]
  readonly #eager: boolean

  constructor(slots: readonly WorkerSlot[], credentials: readonly string[], options: WorkerFieldOptions) {
    this.slots = slots
    this.#credentials = credentials
    this.troubles = options.troubles ?? WORKER_TROUBLES
    this.longestMs = { trouble: LONGEST_TROUBLE_MS, pause: options.longestPauseMs ?? LONGEST_TROUBLE_MS }
    this.#eager = options.eager ?? false
  }

  async load(callers: number, seed: string): Promise<void> {
    for (const slot of this.slots)
      await slot.stand({ do: 'load', credentials: this.#credentials, callers, seed: `${seed}/${slot.name}`, eager: this.#eager })
  }

  async quiet(): Promise<void> {
    for (const slot of this.slots) {
      await slot.stepClock(0)
      await slot.stand({ do: 'quiet' })
    }
  }

  async renew(turn: number, credential: string): Promise<boolean> {
    const slot = this.slots[turn % this.slots.length]!
    const worker = slot.process ?? (await slot.start())
    const { seq } = await worker.ask({ do: 'fresh', credential, force: 'now' })
    return seq !== null
  }

  async counters(): Promise<Readonly<Record<string, number>>> {
    const calls: Record<string, number> = {}
    for (const slot of this.slots) {
      for (const [outcome, count] of Object.entries((await slot.process?.ask({ do: 'counters' })) ?? {}))
        calls[outcome] = (calls[outcome] ?? 0) + count
    }
    return calls
  }

  async close(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()))
  }
}
