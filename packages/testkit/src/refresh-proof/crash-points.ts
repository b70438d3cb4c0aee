/**
 * Owns the kills at chosen moments (battery F-13): a worker ends itself by SIGKILL as its refresh passes a named point, and another one has to
 * find what was left. Measures how long until nothing is open any more; what became of the tokens is the checker's to say.
 */
import { setTimeout as after } from 'node:timers/promises'
import { CHECKPOINTS } from '@sallyport/core'
import type { Checkpoint } from '@sallyport/core'
import { checkHistory } from './check-history.ts'
import type { Verdict } from './check-history.ts'
import { startFleet } from './fleet.ts'
import type { WorkerSlot } from './fleet.ts'
import { openGround } from './ground.ts'
import type { StoreServer } from './ground.ts'
import type { History, IssuerProfile } from './history.ts'
import { CALM } from './hostile-issuer.ts'
import { Population, storeConsents } from './population.ts'
import { declared } from './worker-crew.ts'
import { WorkerGone } from './worker-process.ts'

export interface CrashOptions {
  readonly store: StoreServer
  readonly profile: IssuerProfile
  /** Kills at each point. */
  readonly kills: number
  readonly seed: string
  readonly points?: readonly Checkpoint[]
  /** See `checkHistory`; 1 when absent. */
  readonly slowness?: number
  readonly onProgress?: (done: number) => void
}

export interface CrashResult {
  readonly profile: IssuerProfile
  readonly history: History
  readonly verdict: Verdict
  /** From the kill until no intent stood, per point, in milliseconds. */
  readonly resolvedMs: Readonly<Record<string, readonly number[]>>
  /** Kills after which the next call for the credential failed, though the grant was neither lost nor revoked. */
  readonly strandedAt: readonly Checkpoint[]
}

/** What the survivors have to settle an interrupted refresh, beyond the provider's request lifetime. */
const SETTLE_WITHIN_MS = 120_000
const LOOK_EVERY_MS = 5

export async function runCrashes(options: CrashOptions): Promise<CrashResult> {
  const { profile, points = CHECKPOINTS, kills } = options
  const ground = await openGround(options.store, options.seed)
  try {
    const { issuer, client } = ground
    await issuer.setClient(client, { ...CALM, profile, latencyMs: { before: [5, 5], after: [5, 5] } })
    const population = new Population(points.length * kills, ground, storeConsents(ground.store))
    const slots = await startFleet(2, { ...ground.fleet, rotation: declared(profile) })
    try {
      const resolvedMs: Record<string, number[]> = {}
      const strandedAt: Checkpoint[] = []
      for (const [turn, credential] of population.credentials.entries()) {
        const point = points[turn % points.length]!
        await population.connect(credential, true)
        ;(resolvedMs[point] ??= []).push(await crashOnce(slots, population, credential, point))
        if (!(await serves(slots[1]!, population, credential))) strandedAt.push(point)
        await population.lookAt(credential, true)
        options.onProgress?.(turn + 1)
      }
      const [{ showings, grants }, holdings] = [await issuer.journal(), await population.holdings()]
      const nodeFaults = slots.flatMap((slot) => slot.nodeFaults)
      const history: History = { grants, showings, nodeFaults, wireFaults: [], holdings, endedAt: Date.now() }
      return { profile, history, verdict: checkHistory(history, options.slowness), resolvedMs, strandedAt }
    } finally {
      await Promise.all(slots.map((slot) => slot.close()))
    }
  } finally {
    await ground.close()
  }
}

/** Kills the first slot's worker at `point`; the second one recovers. Milliseconds until no intent stands. */
async function crashOnce([victim]: readonly WorkerSlot[], population: Population, credential: string, point: Checkpoint): Promise<number> {
  const worker = victim!.process ?? (await victim!.start())
  await worker.ask({ do: 'die', at: point })
  victim!.note('kill').at = Number.MAX_SAFE_INTEGER
  const fault = victim!.nodeFaults.at(-1)!
  const outlived = await worker.ask({ do: 'fresh', credential, force: null }).then(
    () => true,
    (error: unknown) => {
      if (error instanceof WorkerGone) return false
      throw error
    },
  )
  // Released leases come after the answer: the caller may have it already.
  if (outlived) await worker.ended
  fault.at = Date.now()
  const killedAt = performance.now()
  while ((await population.state(credential)).intent !== null) {
    if (performance.now() - killedAt > SETTLE_WITHIN_MS) break
    await after(LOOK_EVERY_MS)
  }
  return performance.now() - killedAt
}

/** Whether the survivor gives tokens, or the grant is over. */
async function serves(survivor: WorkerSlot, population: Population, credential: string): Promise<boolean> {
  const { seq } = await survivor.process!.ask({ do: 'fresh', credential, force: null })
  return seq !== null || (await population.state(credential)).status !== 'active'
}
