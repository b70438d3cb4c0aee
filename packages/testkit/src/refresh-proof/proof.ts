/**
 * Owns one run of the proof: nodes on one store against one profile, troubled from a seed until so many faults were injected, then left in
 * peace, then judged. Refuses to call anything proven itself: the verdict is the checker's.
 */
import { setTimeout as after } from 'node:timers/promises'
import { ANSWER_FAULT_NAMES, COSTLY_FAULTS } from './answer-faults.ts'
import type { AnswerFaultName } from './answer-faults.ts'
import { checkHistory } from './check-history.ts'
import type { Verdict } from './check-history.ts'
import { startFleet } from './fleet.ts'
import type { Slot } from './fleet.ts'
import type { History, IssuerProfile } from './history.ts'
import { CALM } from './hostile-issuer.ts'
import type { IssuerClientSettings } from './hostile-issuer.ts'
import { Population } from './population.ts'
import { chanceFrom } from './random.ts'
import { playTroubles } from './schedule.ts'
import { openGround } from './ground.ts'
import type { Ground, StoreServer } from './ground.ts'

export interface ProofOptions {
  readonly store: StoreServer
  readonly profile: IssuerProfile
  /** Faults to inject: spoiled answers, revocations, troubles of nodes and wires together. */
  readonly faults: number
  readonly nodes: number
  readonly credentials: number
  /** Callers per node. */
  readonly callers: number
  readonly seed: string
  readonly onProgress?: (injected: number) => void
  /** Ends the injection early; what was injected until then is judged. */
  readonly signal?: AbortSignal
}

export interface ProofResult {
  readonly profile: IssuerProfile
  readonly history: History
  readonly verdict: Verdict
  /** Faults that were injected, by name. */
  readonly faults: Readonly<Record<string, number>>
  /** Calls of `fresh` by outcome. */
  readonly calls: Readonly<Record<string, number>>
  /** Workers that did not end within 30 s of SIGTERM. */
  readonly undrained: number
  /** Workers that ended without being told to. */
  readonly crashes: readonly string[]
  readonly tookMs: number
}

/** A token request of the proof's workers is over after this, at the provider too. */
export const REQUEST_LIFETIME_MS = 1_500
const LONGEST_TROUBLE_MS = 3_000
/** How often the grants are looked at; a label is at most so much older than it looks. */
const WATCH_EVERY_MS = 1_000
/** All is quiet within this after the last fault, or the proof says what is not. */
const QUIET_WITHIN_MS = 90_000

export async function runProof(options: ProofOptions): Promise<ProofResult> {
  const startedAt = Date.now()
  const ground = await openGround(options.store, options.seed)
  try {
    await ground.issuer.setClient(ground.client, hostile(options.profile))
    const population = new Population(options.credentials, ground.store, ground.issuer, ground.client)
    await population.connectAll()
    const slots = await startFleet(options.nodes, { ...ground.fleet, rotation: declared(options.profile) })
    try {
      await trouble(options, ground, population, slots)
      await calmDown(options, ground, population, slots)
      const result = await judged(ground, population, slots)
      return { profile: options.profile, ...result, tookMs: Date.now() - startedAt }
    } finally {
      await Promise.all(slots.map((slot) => slot.close()))
    }
  } finally {
    await ground.close()
  }
}

/** What a provider's record would say of it. */
export function declared(profile: IssuerProfile) {
  return profile.kind === 'grace' ? ({ kind: 'grace', seconds: profile.seconds } as const) : ({ kind: profile.kind } as const)
}

/** Short lives, so that every caller soon needs a refresh. Under strict rotation a spoiled answer costs a grant: fewer of those. */
function hostile(profile: IssuerProfile): IssuerClientSettings {
  const weight = (name: AnswerFaultName): number => (profile.kind === 'strict' && COSTLY_FAULTS.includes(name) ? 0.2 : 1)
  return {
    ...CALM,
    profile,
    expiresIn: 2,
    latencyMs: { before: [1, 60], after: [1, 60] },
    faultRate: 0.4,
    faults: ANSWER_FAULT_NAMES.map((name) => [name, weight(name)] as const),
    revokeRate: 0.005,
    slowMs: 300,
  }
}

async function trouble(options: ProofOptions, { issuer }: Ground, population: Population, slots: readonly Slot[]): Promise<void> {
  const chance = chanceFrom(options.seed).branch('troubles')
  for (const slot of slots)
    await slot.stand({ do: 'load', credentials: population.credentials, callers: options.callers, seed: `${options.seed}/${slot.name}` })
  let [spoiled, injected] = [0, 0]
  const over = new AbortController()
  const watch = (async () => {
    let seen = 0
    while (!over.signal.aborted) {
      await population.look()
      const { showings, grants } = await issuer.journal(seen)
      seen += showings.length
      spoiled += showings.filter(({ fault }) => fault !== null).length
      const revoked = grants.filter(({ ended }) => ended?.by === 'revoked').length
      injected = spoiled + revoked + troublesOf(slots)
      options.onProgress?.(injected)
      await after(WATCH_EVERY_MS)
    }
  })()
  const played = playTroubles({
    slots,
    chance,
    longestMs: LONGEST_TROUBLE_MS,
    everyMs: [50, 500],
    enough: () => injected >= options.faults || options.signal?.aborted === true,
  })
  // Whichever fails ends the other.
  await Promise.race([played, watch.then(() => played)])
  over.abort()
  await watch
}

function troublesOf(slots: readonly Slot[]): number {
  return slots.reduce((sum, { nodeFaults, wireFaults }) => sum + nodeFaults.length + wireFaults.length, 0)
}

/** No faults, no callers; then every credential is refreshed once more, which shows that its last token is good. */
async function calmDown(options: ProofOptions, { issuer, client }: Ground, population: Population, slots: readonly Slot[]): Promise<void> {
  await issuer.setClient(client, { ...CALM, profile: options.profile })
  for (const slot of slots) {
    await slot.stepClock(0)
    await slot.stand({ do: 'quiet' })
  }
  const until = Date.now() + QUIET_WITHIN_MS
  const restless = new Set(population.credentials)
  for (const [turn, credential] of population.credentials.entries()) {
    for (let attempt = turn; restless.has(credential) && Date.now() < until; attempt++) {
      const state = await population.state(credential)
      const slot = slots[attempt % slots.length]!
      const worker = slot.worker ?? (await slot.start())
      const { seq } = await worker.ask({ do: 'fresh', credential, force: String(state.head.seq) })
      const now = await population.state(credential)
      if (now.status !== 'active' || (seq !== null && now.head.seq > state.head.seq && now.intent === null)) restless.delete(credential)
      else await after(100)
    }
  }
}

async function judged(
  { issuer }: Ground,
  population: Population,
  slots: readonly Slot[],
): Promise<Omit<ProofResult, 'profile' | 'tookMs'>> {
  const calls: Record<string, number> = {}
  for (const { worker } of slots) {
    for (const [outcome, count] of Object.entries((await worker?.ask({ do: 'counters' })) ?? {}))
      calls[outcome] = (calls[outcome] ?? 0) + count
  }
  const holdings = await population.holdings()
  const { showings, grants } = await issuer.journal()
  const nodeFaults = slots.flatMap((slot) => slot.nodeFaults)
  const wireFaults = slots.flatMap((slot) => slot.wireFaults)
  const history: History = { grants, showings, nodeFaults, wireFaults, holdings, endedAt: Date.now() }
  const names = [
    ...showings.flatMap(({ fault }) => fault ?? []),
    ...grants.flatMap(({ ended }) => (ended?.by === 'revoked' ? ['revoked'] : [])),
    ...nodeFaults.map(({ kind }) => kind),
    ...wireFaults.map(({ to, kind }) => `${to}_${kind}`),
  ]
  return {
    history,
    verdict: checkHistory(history),
    faults: Object.fromEntries(Object.entries(Object.groupBy(names, (name) => name)).map(([name, all]) => [name, all!.length])),
    calls,
    crashes: slots.flatMap((slot) => slot.crashes),
    undrained: nodeFaults.filter(
      ({ kind, node, at }) => kind === 'kill' && nodeFaults.some((f) => f.kind === 'terminate' && f.node === node && f.until === at),
    ).length,
  }
}
