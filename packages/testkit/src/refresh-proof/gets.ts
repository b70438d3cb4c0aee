/**
 * Owns the proof of many gets (G2): nodes that ask without a rest while their processes are stopped for longer than a lease lasts, often in the
 * middle of a token call. Strict rotation and an honest issuer, so that a token shown twice is the nodes' own doing.
 */
import { runProof } from './proof.ts'
import type { ProofResult } from './proof.ts'
import { PAUSES } from './schedule.ts'
import { openWorkerField } from './worker-crew.ts'
import type { StoreServer } from './ground.ts'

export interface GetsOptions {
  readonly store: StoreServer
  readonly gets: number
  readonly nodes: number
  readonly seed: string
  readonly onProgress?: (done: number) => void
  readonly signal?: AbortSignal
}

/** Well past the 1.5 s after which a lease of a stopped holder ends, and past the time after which its call is certainly over. */
const LONGEST_PAUSE_MS = 6_000
const CREDENTIALS = 60
const CALLERS = 60

export async function runGets({ store, gets, nodes, seed, ...more }: GetsOptions): Promise<ProofResult> {
  const profile = { kind: 'strict' } as const
  const field = await openWorkerField({
    store,
    profile,
    nodes,
    credentials: CREDENTIALS,
    seed,
    longestPauseMs: LONGEST_PAUSE_MS,
    troubles: PAUSES,
    eager: true,
  })
  try {
    return await runProof(field, {
      profile,
      until: { gets },
      callers: CALLERS,
      seed,
      issuer: { faultRate: 0, revokeRate: 0, latencyMs: { before: [5, 200], after: [0, 50] } },
      ...more,
    })
  } finally {
    await field.close()
  }
}
