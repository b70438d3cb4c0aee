/**
 * Owns one run of the proof: nodes on one store against one profile, troubled from a seed until so many faults were injected, then left in
 * peace, then judged. Refuses to call anything proven itself: the verdict is the checker's.
 */
import { setTimeout as after } from 'node:timers/promises'
import { ANSWER_FAULT_NAMES, COSTLY_FAULTS } from './answer-faults.ts'
import type { AnswerFaultName } from './answer-faults.ts'
import { checkHistory } from './check-history.ts'
import type { Verdict } from './check-history.ts'
import type { Crew, Field } from './crew.ts'
import type { History, IssuerProfile } from './history.ts'
import { CALM } from './hostile-issuer.ts'
import type { IssuerClientSettings } from './hostile-issuer.ts'
import { chanceFrom } from './random.ts'
import { playTroubles } from './schedule.ts'

export interface ProofOptions {
  readonly profile: IssuerProfile
  /**
   * When it was enough: so many faults were injected (spoiled answers, revocations, troubles of nodes and wires together), or so many calls of
   * `fresh` were answered.
   */
  readonly until: { readonly faults: number } | { readonly gets: number }
  /** Callers per node. */
  readonly callers: number
  readonly seed: string
  /** How the issuer behaves meanwhile, laid over its usual hostility. */
  readonly issuer?: Partial<IssuerClientSettings>
  /** See `checkHistory`; 1 when absent. */
  readonly slowness?: number
  readonly onProgress?: (done: number) => void
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
  /** Nodes that did not end in time when asked to. */
  readonly undrained: number
  /** Nodes that ended without being told to. */
  readonly crashes: readonly string[]
  readonly tookMs: number
}

/** A token request of the proof's workers is over after this, at the provider too. */
export const REQUEST_LIFETIME_MS = 1_500
/** How often the grants are looked at; a label is at most so much older than it looks. */
const WATCH_EVERY_MS = 1_000
/** All is quiet within this after the last fault, or the proof says what is not. */
const QUIET_WITHIN_MS = 180_000

/** Leaves the field troubled and judged; closing it is its opener's. */
export async function runProof(field: Field, options: ProofOptions): Promise<ProofResult> {
  const startedAt = Date.now()
  await field.issuer.setClient(field.client, { ...hostile(options.profile), ...options.issuer })
  await field.population.connectAll()
  await trouble(options, field)
  await calmDown(options, field)
  return { profile: options.profile, ...(await judged(field, options.slowness)), tookMs: Date.now() - startedAt }
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

async function trouble(options: ProofOptions, { issuer, population, crew }: Field): Promise<void> {
  const chance = chanceFrom(options.seed).branch('troubles')
  await crew.load(options.callers, options.seed)
  const { until } = options
  const wanted = 'faults' in until ? until.faults : until.gets
  let [spoiled, done] = [0, 0]
  const over = new AbortController()
  const watch = (async () => {
    let seen = 0
    while (!over.signal.aborted) {
      await population.look()
      const { showings, grants } = await issuer.journal(seen)
      seen += showings.length
      spoiled += showings.filter(({ fault }) => fault !== null).length
      const revoked = grants.filter(({ ended }) => ended?.by === 'revoked').length
      done = 'faults' in until ? spoiled + revoked + troublesOf(crew) : sumOf(await crew.counters())
      options.onProgress?.(done)
      await after(WATCH_EVERY_MS)
    }
  })()
  const played = playTroubles({
    slots: crew.slots,
    troubles: crew.troubles,
    chance,
    longestMs: crew.longestMs,
    everyMs: [50, 500],
    enough: () => done >= wanted || options.signal?.aborted === true,
  })
  // Whichever fails ends the other.
  await Promise.race([played, watch.then(() => played)])
  over.abort()
  await watch
}

function troublesOf({ slots }: Crew): number {
  return slots.reduce((sum, { nodeFaults, wireFaults }) => sum + nodeFaults.length + wireFaults.length, 0)
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

/** No faults, no callers; then every credential is refreshed once more, which shows that its last token is good. */
async function calmDown(options: ProofOptions, { issuer, client, population, crew }: Field): Promise<void> {
  await issuer.setClient(client, { ...CALM, profile: options.profile })
  await crew.quiet()
  const until = Date.now() + QUIET_WITHIN_MS
  const restless = new Set(population.credentials)
  for (const [turn, credential] of population.credentials.entries()) {
    for (let attempt = turn; restless.has(credential) && Date.now() < until; attempt++) {
      const state = await population.state(credential)
      const given = await crew.renew(attempt, credential)
      const now = await population.state(credential)
      if (now.status !== 'active' || (given && now.head.seq > state.head.seq && now.intent === null)) restless.delete(credential)
      else await after(100)
    }
  }
}

async function judged({ issuer, population, crew }: Field, slowness?: number): Promise<Omit<ProofResult, 'profile' | 'tookMs'>> {
  const { slots } = crew
  const calls = await crew.counters()
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
    verdict: checkHistory(history, slowness),
    faults: Object.fromEntries(Object.entries(Object.groupBy(names, (name) => name)).map(([name, all]) => [name, all!.length])),
    calls,
    crashes: slots.flatMap((slot) => slot.crashes),
    undrained: nodeFaults.filter(
      ({ kind, node, at }) => kind === 'kill' && nodeFaults.some((f) => f.kind === 'terminate' && f.node === node && f.until === at),
    ).length,
  }
}
