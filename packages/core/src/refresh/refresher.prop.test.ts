/**
 * Interleavings of two processes over one store: random answers, random profiles, one killed at a random point, others going on. Judged by the
 * issuer's books against the model: a linear chain of refresh tokens, each spent at most once (and at most one probe for each outcome that
 * nobody knows), the last one recoverable.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ANSWERS, createFleet, NEVER_HEARS, ref, SWALLOWS } from '../../test/refresh/fleet.ts'
import type { Behaviour, Fleet, FleetNode } from '../../test/refresh/fleet.ts'
import type { RotationProfile } from '../tokens/index.ts'
import { CHECKPOINTS } from './checkpoints.ts'
import type { Checkpoint } from './checkpoints.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`refresher.prop seed ${seed}`)

const LIFETIME_MS = 10_000
const LONGEST_LATENCY_MS = 3_000
const GRACE_S = 60
const LIMITS = { bufferMs: 0, recoveryMs: 1_000 }

const profile = fc.constantFrom<RotationProfile>({ kind: 'none' }, { kind: 'grace', seconds: GRACE_S }, { kind: 'strict' })
const behaviour = fc.record({
  kind: fc.constantFrom<Behaviour>(
    ANSWERS,
    ANSWERS,
    SWALLOWS,
    NEVER_HEARS,
    { commits: true, says: { kind: 'unknown', why: 'malformed' } },
    { commits: false, says: { kind: 'unknown', why: 'server_error' } },
    { commits: false, says: { kind: 'unsent' } },
    { commits: false, says: { kind: 'limited', retryAfterMs: 3_000 } },
    { commits: false, says: { kind: 'misconfigured', providerError: 'invalid_client' } },
  ),
  latencyMs: fc.nat(LONGEST_LATENCY_MS),
})
/** What happens to a process: at the nth time it reaches the point it is killed, stopped for a while, or loses the store or its lease. */
const mishap = fc.option(
  fc.record({
    point: fc.constantFrom(...CHECKPOINTS),
    nth: fc.integer({ min: 0, max: 2 }),
    what: fc.constantFrom('kill', 'stop', 'store_away', 'lease_lost'),
    forMs: fc.integer({ min: 1, max: 20_000 }),
  }),
  { nil: undefined },
)
type Mishap = NonNullable<typeof mishap extends fc.Arbitrary<infer T> ? T : never>

const scenario = fc.record({
  rotation: profile,
  behaviours: fc.array(behaviour, { maxLength: 6 }),
  mishaps: fc.tuple(mishap, mishap),
  /** When each process asks for tokens, in milliseconds after the one before. */
  asks: fc.array(fc.tuple(fc.nat(1), fc.nat(15_000)), { minLength: 2, maxLength: 6 }),
  noise: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 5 }),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never

it(
  'N1 F-13 whatever is answered and whoever is killed, each refresh token is spent once at most and the last one is kept or known to be lost',
  { timeout: 120_000 },
  async () => {
    const counted = { calls: 0, probes: 0, lost: 0, mishaps: 0 }
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const played = await play(given)
        expect(faultsOf(played, given)).toEqual([])
        const { calls } = played.fleet.issuer
        counted.calls += calls.length
        counted.probes += calls.length - new Set(calls.map(({ token }) => token)).size
        counted.lost += played.goesOn ? 0 : 1
        counted.mishaps += played.happened.length
      }),
      { seed, numRuns: Number(process.env['SALLYPORT_TEST_RUNS'] ?? 200) },
    )
    console.info(`refresher.prop ${JSON.stringify(counted)}`)
    expect(counted.mishaps).toBeGreaterThan(10)
    expect(counted.probes).toBeGreaterThan(10)
  },
)

interface Played {
  readonly fleet: Fleet
  readonly happened: readonly Mishap['what'][]
  /** Whether a process that knew nothing could renew the grant several times in the end. */
  readonly goesOn: boolean
}

/** Plays the scenario, lets one healthy process end what is left, and asks another for tokens at an issuer that answers. */
async function play({ rotation, behaviours, mishaps, asks, noise }: Scenario): Promise<Played> {
  let drawn = 0
  const random = (): number => noise[drawn++ % noise.length]!
  const fleet = createFleet({ rotation, requestLifetimeMs: LIFETIME_MS, random })
  fleet.issuer.next.push(...behaviours.map(({ kind, latencyMs }) => ({ ...kind, latencyMs })))
  await fleet.connect()
  const happened: Mishap['what'][] = []
  const nodes = mishaps.map((planned) => {
    const coming = { planned, passes: planned?.nth ?? 0 }
    const node: FleetNode = fleet.node({ limits: LIMITS, checkpoint: (point) => strike(fleet, node, point, coming, happened) })
    node.refresher.start()
    return node
  })
  for (const [which, afterMs] of asks) {
    nodes[which]!.refresher.fresh(ref, { patienceMs: 60_000 }).catch(() => undefined)
    await fleet.time.pass(afterMs)
  }
  const healthy = fleet.node({ limits: LIMITS })
  healthy.refresher.start()
  await fleet.time.pass(150_000)
  for (const node of [...nodes, healthy]) node.refresher.close()
  fleet.issuer.next.length = 0
  return { fleet, happened, goesOn: await renewsStill(fleet) }
}

async function strike(
  fleet: Fleet,
  node: FleetNode,
  point: Checkpoint,
  coming: { readonly planned: Mishap | undefined; passes: number },
  happened: Mishap['what'][],
): Promise<void> {
  const what = coming.planned
  if (what?.point !== point || coming.passes-- !== 0) return
  happened.push(what.what)
  if (what.what === 'kill') return await node.kill()
  if (what.what === 'stop') return await fleet.time.pause(what.forMs)
  if (what.what === 'lease_lost') return fleet.held.clear()
  node.away.add('all')
  void fleet.time.pause(what.forMs).then(() => node.away.clear())
}

async function renewsStill(fleet: Fleet): Promise<boolean> {
  const { refresher } = fleet.node({ limits: LIMITS })
  for (let i = 0; i < 3; i++) {
    await fleet.time.pass(3_700_000)
    await fleet.time.until(refresher.recover())
    const given = await fleet.time.until(refresher.fresh(ref, { patienceMs: 30_000 }).catch(() => undefined))
    if (given === undefined) return false
  }
  return true
}

function faultsOf({ fleet: { issuer }, happened, goesOn }: Played, { rotation, behaviours }: Scenario): string[] {
  const faults: string[] = []
  const disturbed = happened.some((what) => what !== 'store_away')
  for (const [token, calls] of Map.groupBy(issuer.calls, (call) => call.token)) {
    for (const [i, call] of calls.entries()) {
      const before = calls[i - 1]
      if (before === undefined || rotation.kind === 'none') continue
      const given = before.outcome === 'renewed' || before.outcome === 'again'
      if (before.told && given && !disturbed) faults.push(`${token} was shown again after its successor came to a healthy process`)
      const soon = call.at - before.at < LIFETIME_MS - LONGEST_LATENCY_MS
      if (rotation.kind === 'strict' && before.outcome !== 'untouched' && soon) faults.push(`${token} was shown again at once`)
    }
  }
  const swallowed = behaviours.some(({ kind }) => kind.commits && kind.says !== true)
  // Whoever is told to wait, or is misconfigured, may come back when the window is over.
  const delayed = behaviours.some(({ kind }) => kind.says !== true && kind.says.kind !== 'unknown') || happened.includes('stop')
  if (!goesOn && rotation.kind === 'none') faults.push('a grant without rotation was lost')
  if (!goesOn && rotation.kind === 'grace' && !delayed) faults.push('a grant was lost within its window')
  if (!goesOn && !swallowed && !disturbed) faults.push('a grant was lost though everything that was given was heard')
  return faults
}
