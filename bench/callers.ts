/**
 * Owns the figures of who calls: keys verified a second, warm and cold, beside argon2id on every call; what a decision takes; how long from revoking a key
 * until another node refuses it. On a PostgreSQL of its own. Judges nothing.
 */
import { loadavg } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { operations, ROLES, SCOPES } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { createLogger, generateKeyBytes, hasCode, mintGatewayKey, newId, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { KeyId } from '@sallyport/core'
import { freshDatabase, makeTenant } from '../packages/server/test/db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../packages/server/test/db/fresh-database.ts'
import { decide } from '../packages/server/src/access/index.ts'
import { apiKeyInsert, apiKeyRevoke } from '../packages/server/src/db/index.ts'
import type { Database } from '../packages/server/src/db/index.ts'
import { argon2idHasher, createKeyAuthenticator, KEY_AUTHENTICATOR_LIMITS } from '../packages/server/src/identity/index.ts'
import type { KeyAuthenticator, KeyPrincipal, PersonPrincipal } from '../packages/server/src/identity/index.ts'
import { createVault } from '../packages/server/src/vault/index.ts'
import { startTestPostgres } from '../packages/testkit/src/servers/postgres.ts'
import { quantile } from './statistics.ts'

export interface CallersPlan {
  /** Keys that are verified, each once in every way. */
  readonly keys: number
  /** Verifications of keys in memory. */
  readonly warm: number
  readonly decisions: { readonly batches: number; readonly size: number }
  readonly denials: { readonly heard: number; readonly unheard: number }
}

export const CALLERS_PLANS: Readonly<Record<'quick' | 'long' | 'tiny', CallersPlan>> = {
  quick: {
    keys: 200,
    warm: 300_000,
    decisions: { batches: 2_000, size: 500 },
    denials: { heard: 200, unheard: 40 },
  },
  long: {
    keys: 2_000,
    warm: 2_000_000,
    decisions: { batches: 10_000, size: 500 },
    denials: { heard: 2_000, unheard: 200 },
  },
  tiny: {
    keys: 5,
    warm: 1_000,
    decisions: { batches: 5, size: 50 },
    denials: { heard: 3, unheard: 0 },
  },
}

export interface CallersReport {
  /** Load average of the last minute, at the start and at the end. */
  readonly load: readonly [number, number]
  readonly verified: {
    /** A key in memory: one HMAC and one map. */
    readonly warmPerSecond: number
    /** Its row read again, as every ten seconds: one statement, two HMACs. */
    readonly readAgainPerSecond: number
    /** Met for the first time by this process: the same and argon2id. */
    readonly firstPerSecond: number
    /** What hashing on every call would give at most: argon2id alone, two at a time. */
    readonly argon2PerSecond: number
  }
  readonly decision: { readonly p50Ns: number; readonly p99Ns: number }
  readonly denial: { readonly heard: Waits; readonly unheard: Waits | null }
}

interface Waits {
  readonly times: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly worstMs: number
}

const logger = createLogger({ level: 'silent', format: 'json' })
const ADDRESS = '203.0.113.7'

export async function measureCallers(plan: CallersPlan, progress: (what: string) => void): Promise<CallersReport> {
  const before = loadavg()[0]!
  const server = await startTestPostgres({ major: 18 })
  try {
    const world = await openWorld(server.url)
    progress('verifying keys')
    const verified = await measureVerification(world, plan)
    progress('deciding')
    const decision = measureDecisions(plan.decisions)
    progress('revoking keys')
    const denial = await measureDenials(world, plan.denials)
    await world.close()
    return { load: [before, loadavg()[0]!], verified, decision, denial }
  } finally {
    await server.stop()
  }
}

interface World {
  readonly fresh: FreshDatabase
  readonly database: Database
  readonly tenant: Tenant
  /** Another node: memory and connections of its own. `deaf`: no word of a change reaches it. */
  node(options?: { readonly deaf?: boolean; readonly ahead?: () => number }): Promise<KeyAuthenticator>
  close(): Promise<void>
}

async function openWorld(url: string): Promise<World> {
  const fresh = await freshDatabase(url)
  const database = await fresh.open()
  const keyring = RootKeyring.parse(new Secret(`k1:${generateKeyBytes().toString('hex')}`))
  const vault = createVault({ database, keyring, clock: systemClock, logger })
  await vault.checkRootKeys()
  const pepper = await vault.systemSecret('key_pepper')
  const nodes: KeyAuthenticator[] = []
  return {
    fresh,
    database,
    tenant: await makeTenant(database),
    async node({ deaf = false, ahead = () => 0 } = {}) {
      const own = await fresh.open()
      const clock = { now: () => systemClock.now(), monotonic: () => systemClock.monotonic() + ahead() }
      const onChange: Database['onChange'] = deaf ? () => () => undefined : (listener) => own.onChange(listener)
      // As many at once as wait here: what is measured is verifying, not being put off.
      const limits = { hashQueue: 1_000_000, maxLookupsInFlight: 1_000_000 }
      const node = createKeyAuthenticator({ lookups: own.lookups, onChange, pepper, clock, logger, limits })
      nodes.push(node)
      return node
    },
    async close() {
      for (const node of nodes) node.close()
      vault.close()
      await fresh.drop()
    },
  }
}

async function makeKeys({ database, tenant }: World, by: KeyAuthenticator, count: number): Promise<{ id: KeyId; text: string }[]> {
  const made: { id: KeyId; text: string }[] = []
  for (let n = 0; n < count; n++) {
    const id = newId('key')
    const { text, hmac, argon2id } = await by.mint('test', id, tenant.org)
    const hashes = { secretHmac: hmac, secretArgon2id: argon2id }
    const plain = { name: 'bench', scopes: ['proxy:call'] as const, connection: null, createdBy: 'system', expiresAt: null }
    await database.withTenant(tenant.org, (tx) => apiKeyInsert(tx, { ...tenant.place, ...hashes, ...plain, id }))
    made.push({ id, text: text.reveal() })
  }
  return made
}

async function measureVerification(world: World, plan: CallersPlan): Promise<CallersReport['verified']> {
  let ahead = 0
  const node = await world.node({ ahead: () => ahead })
  const keys = await makeKeys(world, node, plan.keys)
  const all = (): Promise<unknown> => Promise.all(keys.map(({ text }) => node.authenticate(text, ADDRESS)))
  const first = await rate(plan.keys, all)
  const rounds = 20
  const again = await rate(plan.keys * rounds, async () => {
    for (let n = 0; n < rounds; n++) {
      ahead += KEY_AUTHENTICATOR_LIMITS.freshMs + 1
      await all()
    }
  })
  const warm = await rate(plan.warm, () => {
    for (let n = 0; n < plan.warm; n++) if (node.cached(keys[n % keys.length]!.text) === undefined) throw new Error('a key was forgotten')
    return Promise.resolve()
  })
  return { warmPerSecond: warm, readAgainPerSecond: again, firstPerSecond: first, argon2PerSecond: await rateOfArgon2(plan.keys) }
}

async function rateOfArgon2(times: number): Promise<number> {
  const { secret } = mintGatewayKey('test', newId('key'))
  const stored = await argon2idHasher.hash(secret)
  return rate(times, async () => {
    let left = times
    const one = async (): Promise<void> => {
      while (left-- > 0) if (!(await argon2idHasher.verify(stored, secret))) throw new Error('a hash did not verify')
    }
    await Promise.all([one(), one()])
  })
}

async function rate(times: number, work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return Math.round(times / ((performance.now() - began) / 1000))
}

/** Of callers of every role and scope, over every operation of the contract, in their own place and in another's. Timed in batches: one alone is too short for a clock. */
function measureDecisions({ batches, size }: CallersPlan['decisions']): CallersReport['decision'] {
  const [org, other, project] = [newId('org'), newId('org'), newId('proj')]
  const places = [org, other].map((one) => ({ org: one, project, environment: 'test' as const }))
  const keys = SCOPES.map((scope): KeyPrincipal => {
    const at = { org, project, environment: 'test' } as const
    return { kind: 'key', keyId: newId('key'), ...at, scopes: new Set([scope]), connection: null, auditUseMode: 'batched', bounds: null }
  })
  const people = ROLES.map((role) => personOf(role, org))
  const access = Object.values<Operation>(operations).map((operation) => operation.access)
  const stepUp = { now: Date.now(), maxAgeS: 300 }
  const cases = [...keys, ...people].flatMap((caller) => access.flatMap((route) => places.map((at) => [caller, route, at] as const)))
  const took: number[] = []
  let [next, allowed] = [0, 0]
  for (let batch = 0; batch < batches; batch++) {
    const began = process.hrtime.bigint()
    for (let n = 0; n < size; n++) {
      const [caller, route, at] = cases[next++ % cases.length]!
      if (decide(caller, route, at, stepUp).allowed) allowed += 1
    }
    took.push(Number(process.hrtime.bigint() - began) / size)
  }
  if (allowed === 0) throw new Error('nothing was allowed')
  const sorted = took.toSorted((a, b) => a - b)
  return { p50Ns: Math.round(quantile(sorted, 0.5)), p99Ns: Math.round(quantile(sorted, 0.99)) }
}

function personOf(role: (typeof ROLES)[number], org: ReturnType<typeof newId<'org'>>): PersonPrincipal {
  return {
    kind: 'person',
    userId: newId('user'),
    name: role,
    email: null,
    via: 'session',
    sessionHash: Buffer.alloc(32),
    signIn: { issuer: 'local', methods: [], assurance: 'aal1', provider: null, issuerSession: null, authenticatedAt: new Date() },
    memberships: new Map([[org, role]]),
    signInPolicies: new Map(),
  }
}

async function measureDenials(world: World, { heard, unheard }: CallersPlan['denials']): Promise<CallersReport['denial']> {
  const [near, deaf] = [await world.node(), await world.node({ deaf: true })]
  const keys = await makeKeys(world, near, heard + unheard)
  const waits: number[] = []
  for (const key of keys.slice(0, heard)) waits.push(await denial(world, near, key, 1))
  // One after another within the ten seconds after which a node reads a key again.
  const late = keys.slice(heard).map(async (key, n) => {
    await wait((n * KEY_AUTHENTICATOR_LIMITS.freshMs) / unheard)
    return denial(world, deaf, key, 20)
  })
  return { heard: waitsOf(waits), unheard: unheard === 0 ? null : waitsOf(await Promise.all(late)) }
}

let refusals = 0

/** From the revocation's commit until the node refuses, asked every `everyMs`. */
async function denial(
  { database, tenant }: World,
  node: KeyAuthenticator,
  { id, text }: { id: KeyId; text: string },
  everyMs: number,
): Promise<number> {
  // One for each key: an address that many refused keys came from is put off.
  const address = `198.18.${refusals >> 8}.${refusals++ & 255}`
  await node.authenticate(text, address)
  await database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, id))
  const began = performance.now()
  const isTaken = async (): Promise<boolean> =>
    node.cached(text) !== undefined ||
    node.authenticate(text, address).then(
      () => true,
      (error: unknown) => {
        if (hasCode(error, 'unauthenticated')) return false
        throw error
      },
    )
  while (await isTaken()) await wait(everyMs)
  return performance.now() - began
}

function waitsOf(times: readonly number[]): Waits {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (q: number): number => Math.round(quantile(sorted, q) * 10) / 10
  return { times: times.length, p50Ms: at(0.5), p99Ms: at(0.99), worstMs: at(1) }
}

export function tableOfCallers({ load, verified, decision, denial }: CallersReport): string {
  const times = (perSecond: number): string =>
    `${(perSecond / verified.argon2PerSecond).toFixed(perSecond > 10 * verified.argon2PerSecond ? 0 : 1)} x`
  const waits = ({ times: count, p50Ms, p99Ms, worstMs }: Waits): string =>
    `p50 ${p50Ms} ms, p99 ${p99Ms} ms, worst ${worstMs} ms (${count} keys)`
  return [
    `Keys verified a second; load ${load.map((one) => one.toFixed(1)).join(' to ')}`,
    `  in memory   ${verified.warmPerSecond}   ${times(verified.warmPerSecond)} argon2id on every call`,
    `  read again  ${verified.readAgainPerSecond}   ${times(verified.readAgainPerSecond)}`,
    `  first seen  ${verified.firstPerSecond}   ${times(verified.firstPerSecond)}`,
    `  argon2id    ${verified.argon2PerSecond}`,
    `A decision: p50 ${decision.p50Ns} ns, p99 ${decision.p99Ns} ns`,
    `Revoked to refused on another node   (goal 1 s p99; 10 s without word of it)`,
    `  with word of it  ${waits(denial.heard)}`,
    ...(denial.unheard === null ? [] : [`  without          ${waits(denial.unheard)}`]),
  ].join('\n')
}
