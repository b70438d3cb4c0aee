/** Owns the storm (battery F-06): many callers, several processes, one expired token. Measures; judges nothing. */
import { startFleet } from './fleet.ts'
import { openGround } from './ground.ts'
import type { StoreServer } from './ground.ts'
import { CALM } from './hostile-issuer.ts'
import { Population, storeConsents } from './population.ts'
import { REQUEST_LIFETIME_MS } from './proof.ts'

export interface StormOptions {
  readonly store: StoreServer
  readonly callers: number
  readonly processes: number
  /** What the provider takes to answer. */
  readonly latencyMs: number
  readonly rounds: number
  readonly seed: string
}

export interface StormRound {
  readonly tokenCalls: number
  readonly failures: readonly string[]
  /** Ascending, one per caller. */
  readonly waitsMs: readonly number[]
}

/** One round after another, each with a credential of its own whose access token has died. */
export async function runStorm({ store, callers, processes, latencyMs, rounds, seed }: StormOptions): Promise<readonly StormRound[]> {
  const ground = await openGround(store, seed)
  try {
    const { issuer, client } = ground
    const profile = { kind: 'strict' } as const
    await issuer.setClient(client, { ...CALM, profile, latencyMs: { before: [latencyMs, latencyMs], after: [0, 0] } })
    const population = new Population(rounds, ground, storeConsents(ground.store))
    const slots = await startFleet(processes, { ...ground.fleet, rotation: profile, requestLifetimeMs: latencyMs + REQUEST_LIFETIME_MS })
    try {
      const results: StormRound[] = []
      for (const credential of population.credentials) {
        const grant = await population.connect(credential, true)
        const share = { do: 'storm', credential, callers: Math.ceil(callers / processes) } as const
        const answers = await Promise.all(slots.map((slot) => slot.process!.ask(share)))
        const { showings } = await issuer.journal()
        results.push({
          tokenCalls: showings.filter((showing) => showing.grant === grant).length,
          failures: answers.flatMap(({ failures }) => failures),
          waitsMs: answers.flatMap(({ waitsMs }) => waitsMs).toSorted((a, b) => a - b),
        })
      }
      return results
    } finally {
      await Promise.all(slots.map((slot) => slot.close()))
    }
  } finally {
    await ground.close()
  }
}
