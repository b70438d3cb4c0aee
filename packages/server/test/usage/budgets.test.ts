import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { ManualClock, newId } from '@sallyport/core'
import type { KeyId } from '@sallyport/core'
import { budgetStore } from '../../src/compose/metering.ts'
import {
  auditEventListAscending,
  budgetDelete,
  budgetHold,
  budgetInsert,
  budgetStates,
  budgetUpdate,
  usageInsertMany,
} from '../../src/db/index.ts'
import type { Budget, Charge, Database, NewBudget } from '../../src/db/index.ts'
import { createBudgets } from '../../src/usage/index.ts'
import type { Budgets, BudgetStore, Reservation, Spender } from '../../src/usage/index.ts'
import { freshDatabase, makeTenant, silent } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`budgets seed ${seed}`)

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterAll(() => fresh.drop())

interface Node {
  readonly name: string
  readonly budgets: Budgets
  readonly clock: ManualClock
}

function node(name: string, store: BudgetStore = budgetStore(database)): Node {
  const clock = new ManualClock()
  return { name, clock, budgets: createBudgets({ store, node: name, clock, logger: silent }) }
}

async function withBudget(over: Partial<NewBudget> = {}): Promise<{ at: Tenant; spender: Spender; budget: Budget }> {
  const at = await makeTenant(database)
  const given = {
    id: newId('bud'),
    holder: 'organization',
    holderId: at.org,
    amountNano: 1_000_000,
    period: 'month',
    enforcement: 'hard',
  } as const
  const budget = await database.withTenant(at.org, (tx) => budgetInsert(tx, { ...given, unpriced: 'refuse', createdBy: 'system', ...over }))
  return { at, budget, spender: { keyId: newId('key') as KeyId, org: at.org, project: at.project } }
}

/** Writes what was charged, as the log of uses does. */
async function write({ at }: { at: Tenant }, from: Node, charges: readonly Charge[]): Promise<void> {
  const row = {
    org: at.org,
    id: newId('use'),
    request: newId('req'),
    at: new Date(),
    ...at.place,
    key: newId('key'),
    endUser: null,
    provider: 'openai',
    model: 'm',
    route: null,
    status: 200,
    error: null,
    source: 'measured',
    inputTokens: 1,
    cachedTokens: 0,
    writtenTokens: 0,
    outputTokens: 1,
    reasoningTokens: 0,
    costNano: charges[0]?.nano ?? 0,
    durationUs: 1,
    firstByteUs: null,
  } as const
  await database.withTenant(at.org, (tx) => usageInsertMany(tx, [{ row, charges, node: from.name }]))
  from.budgets.written(charges)
}

const stateOf = async ({ at, budget }: { at: Tenant; budget: Budget }) =>
  (await database.withTenant(at.org, (tx) => budgetStates(tx, [budget.id]))).get(budget.id)!
const events = async ({ at }: { at: Tenant }) => {
  const all = await database.withTenant(at.org, (tx) => auditEventListAscending(tx, { limit: 1_000 }))
  return all.filter(({ action }) => action === 'budget.exhausted')
}
const attempt = async (of: Node, spender: Spender, nano: number | undefined): Promise<Reservation | string> => {
  try {
    return await of.budgets.reserve(spender, nano)
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a budget', () => {
  it('lets calls through for which there is enough, and refuses the first for which there is not', async () => {
    const world = await withBudget({ amountNano: 1_000 })
    const one = node('one')
    const taken = []
    for (let n = 0; n < 10; n++) taken.push(await attempt(one, world.spender, 100))
    expect(taken.every((reservation) => typeof reservation !== 'string')).toBe(true)
    expect(await attempt(one, world.spender, 1)).toBe('budget_exceeded')
    // What cost less than was set aside is there for others.
    const [first] = taken as Reservation[]
    await write(world, one, first!.settle(40))
    expect(typeof (await attempt(one, world.spender, 60))).toBe('object')
    expect(await attempt(one, world.spender, 1)).toBe('budget_exceeded')
  })

  it('is asked for in slices: most calls wait for no database', async () => {
    const world = await withBudget({ amountNano: 1_000_000_000 })
    let draws = 0
    const store = budgetStore(database)
    const one = node('one', { ...store, draw: (org, ask) => ((draws += 1), store.draw(org, ask)) })
    let atOnce = 0
    for (let n = 0; n < 2_000; n++) {
      const reserved = one.budgets.reserve(world.spender, 100_000)
      if (!(reserved instanceof Promise)) atOnce += 1
      const reservation = await reserved
      await (n % 500 === 0 ? write(world, one, reservation.settle(90_000)) : Promise.resolve(reservation.settle(90_000)))
    }
    expect(atOnce).toBeGreaterThan(1_950)
    expect(draws).toBeLessThan(50)
  })

  it('bounds all nodes together, and what a node does not use comes back to the others', async () => {
    const world = await withBudget({ amountNano: 3_200 })
    const [one, two] = [node('one'), node('two')]
    // Both hold something beforehand.
    const mine = (await attempt(one, world.spender, 10)) as Reservation
    const theirs = (await attempt(two, world.spender, 10)) as Reservation
    expect((await stateOf(world)).heldNano).toBeGreaterThan(20)
    for (const reservation of [mine, theirs]) reservation.settle(undefined)
    one.clock.advance(11_000)
    await one.budgets.tend()
    await two.budgets.close()
    expect((await stateOf(world)).heldNano).toBe(0)
    expect(typeof (await attempt(two, world.spender, 3_200))).toBe('object')
    expect(await attempt(one, world.spender, 1)).toBe('budget_exceeded')
  })

  it('gives back what a node held that died, when its lease ends', async () => {
    const world = await withBudget({ amountNano: 1_000 })
    expect(typeof (await attempt(node('dead'), world.spender, 900))).toBe('object')
    const one = node('one')
    expect(await attempt(one, world.spender, 500)).toBe('budget_exceeded')
    await fresh.asSuperuser('update sallyport.budget_lease set expires_at = clock_timestamp() where node = $1', ['dead'])
    expect(typeof (await attempt(one, world.spender, 500))).toBe('object')
  })

  it('of a node that stood still past its lease is asked for anew before anything is begun', async () => {
    const world = await withBudget({ amountNano: 1_000 })
    const [one, two] = [node('one'), node('two')]
    const held = (await attempt(one, world.spender, 100)) as Reservation
    held.settle(undefined)
    one.clock.advance(51_000)
    await fresh.asSuperuser('update sallyport.budget_lease set expires_at = clock_timestamp() where org_id = $1', [world.at.org])
    expect(typeof (await attempt(two, world.spender, 1_000))).toBe('object')
    expect(await attempt(one, world.spender, 1)).toBe('budget_exceeded')
  })

  it('is all of those that bound a caller: of what one refuses, the others lose nothing', async () => {
    const world = await withBudget({ amountNano: 10_000 })
    const narrow = { holder: 'project', holderId: world.at.project, amountNano: 100 } as const
    await database.withTenant(world.at.org, (tx) =>
      budgetInsert(tx, { ...narrow, id: newId('bud'), period: 'day', enforcement: 'hard', unpriced: 'refuse', createdBy: 'system' }),
    )
    const one = node('one')
    expect(await attempt(one, world.spender, 200)).toBe('budget_exceeded')
    expect(typeof (await attempt(one, { ...world.spender, keyId: newId('key'), project: newId('proj') }, 10_000))).toBe('object')
  })

  it('that only warns refuses nothing, counts, and says once a period that it is used up', async () => {
    const world = await withBudget({ enforcement: 'warn', amountNano: 100 })
    const one = node('one')
    for (let n = 0; n < 3; n++) {
      const reservation = (await attempt(one, world.spender, 80)) as Reservation
      await write(world, one, reservation.settle(80))
      one.clock.advance(1_000)
      await one.budgets.tend()
    }
    expect((await stateOf(world)).spentNano).toBe(240)
    await expect.poll(async () => (await events(world)).length).toBe(1)
    const two = node('two')
    await attempt(two, world.spender, 1)
    await two.budgets.tend()
    expect(await events(world)).toHaveLength(1)
  })

  it('that refused says so once a period, whichever node', async () => {
    const world = await withBudget({ amountNano: 100 })
    for (const name of ['one', 'two', 'three']) expect(await attempt(node(name), world.spender, 101)).toBe('budget_exceeded')
    await expect.poll(async () => (await events(world)).length).toBe(1)
    expect((await events(world))[0]).toMatchObject({ actor: 'system' })
  })

  it('refuses a call whose cost nobody knows, or lets it pass, as it says', async () => {
    expect(await attempt(node('one'), (await withBudget()).spender, undefined)).toBe('model_unpriced')
    const pass = await withBudget({ unpriced: 'pass', amountNano: 10 })
    const one = node('one')
    expect(typeof (await attempt(one, pass.spender, undefined))).toBe('object')
    expect(typeof (await attempt(node('two'), (await withBudget({ enforcement: 'warn' })).spender, undefined))).toBe('object')
  })

  it('that can not be asked refuses, and one that is known goes on with what is held', async () => {
    const world = await withBudget({ amountNano: 100_000 })
    const store = budgetStore(database)
    let away = true
    const failing = <T>(work: () => Promise<T>): Promise<T> => (away ? Promise.reject(new Error('away')) : work())
    const one = node('one', {
      ...store,
      read: (org, of) => failing(() => store.read(org, of)),
      draw: (org, ask) => failing(() => store.draw(org, ask)),
    })
    expect(await attempt(one, world.spender, 10)).toBe('budget_unavailable')
    away = false
    expect(typeof (await attempt(one, world.spender, 10))).toBe('object')
    away = true
    expect(typeof (await attempt(one, world.spender, 10))).toBe('object')
    expect(await attempt(one, world.spender, 50_000)).toBe('budget_unavailable')
  })

  it('that was changed or taken away holds from the next call on', async () => {
    const world = await withBudget({ amountNano: 1_000 })
    const one = node('one')
    expect(typeof (await attempt(one, world.spender, 10))).toBe('object')
    const change = { amountNano: 5, enforcement: 'hard', unpriced: 'refuse' } as const
    await database.withTenant(world.at.org, (tx) => budgetUpdate(tx, world.budget.id, change))
    one.budgets.heard({ table: 'budget', org: world.at.org, id: world.budget.id })
    expect(await attempt(one, world.spender, 10)).toBe('budget_exceeded')
    await database.withTenant(world.at.org, (tx) => budgetDelete(tx, world.budget.id))
    one.budgets.heard({ table: 'budget', org: world.at.org, id: world.budget.id })
    expect(typeof (await attempt(one, world.spender, 10_000))).toBe('object')
    expect(await one.budgets.bounds(world.spender)).toBe(false)
  })

  it('is changed by one after the other, and spent of meanwhile', async () => {
    const world = await withBudget({ amountNano: 1_000, enforcement: 'warn' })
    const { org } = world.at
    const one = node('one')
    const held = (await attempt(one, world.spender, 10)) as Reservation
    let second: Promise<Budget | undefined> | undefined
    await database.withTenant(org, async (tx) => {
      await budgetHold(tx, world.budget.id)
      second = database.withTenant(org, (other) => budgetHold(other, world.budget.id))
      await expect
        .poll(() => fresh.asSuperuser("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"))
        .not.toHaveLength(0)
      await write(world, one, held.settle(10))
      await budgetUpdate(tx, world.budget.id, { amountNano: 1_000, enforcement: 'hard', unpriced: 'refuse' })
    })
    expect(await second).toMatchObject({ enforcement: 'hard' })
  })

  it('that begins to refuse, or ceases to, while calls are under way counts each of these once', async () => {
    const world = await withBudget({ amountNano: 1_000, enforcement: 'warn' })
    const one = node('one')
    const enforce = async (enforcement: 'hard' | 'warn'): Promise<void> => {
      const change = { amountNano: 1_000, enforcement, unpriced: 'refuse' } as const
      await database.withTenant(world.at.org, (tx) => budgetUpdate(tx, world.budget.id, change))
      one.budgets.heard({ table: 'budget', org: world.at.org, id: world.budget.id })
      await one.budgets.bounds(world.spender)
    }
    const begunFree = (await attempt(one, world.spender, 400)) as Reservation
    await enforce('hard')
    await write(world, one, begunFree.settle(400))
    const begunBound = (await attempt(one, world.spender, 600)) as Reservation
    expect(await attempt(one, world.spender, 1)).toBe('budget_exceeded')
    await enforce('warn')
    begunBound.settle(undefined)
    await enforce('hard')
    expect(typeof (await attempt(one, world.spender, 600))).toBe('object')
    expect(await attempt(one, world.spender, 1)).toBe('budget_exceeded')
  })

  it('serves a crowd near its end: as many get through as there is for', async () => {
    const world = await withBudget({ amountNano: 1_000 })
    const one = node('one')
    const all = await Promise.all(Array.from({ length: 60 }, () => attempt(one, world.spender, 50)))
    expect(all.filter((one) => typeof one !== 'string')).toHaveLength(20)
    expect(new Set(all.filter((one) => typeof one === 'string'))).toEqual(new Set(['budget_exceeded']))
  })
})

type Kind = 'begin' | 'end' | 'unsent' | 'write' | 'crash' | 'tend' | 'pause'

/** `at`: which of the calls under way. `cost`: what the provider will say. */
interface Step {
  readonly kind: Kind
  readonly node: number
  readonly at: number
  readonly nano: number
  readonly cost: number
}

const NODES = 3
const which = fc.integer({ min: 0, max: NODES - 1 })
const kinds: readonly Kind[] = [
  'begin',
  'begin',
  'begin',
  'begin',
  'begin',
  'begin',
  'end',
  'end',
  'end',
  'unsent',
  'write',
  'write',
  'tend',
  'crash',
  'pause',
]
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  node: which,
  at: fc.nat({ max: 20 }),
  nano: fc.integer({ min: 1, max: 400 }),
  cost: fc.integer({ min: 0, max: 500 }),
})

interface Under {
  readonly on: number
  readonly life: number
  readonly nano: number
  readonly cost: number
  readonly reservation: Reservation
}

/**
 * Plays the steps. Gives by how much more was spent at the provider than there was, and the bound: for each call what it cost beyond what was set aside
 * for it, and for each node that died what was under way or not written there.
 */
async function play(steps: readonly Step[], amountNano: number): Promise<{ over: number; bound: number; refused: number }> {
  const world = await withBudget({ amountNano, period: 'total' })
  const nodes = Array.from({ length: NODES }, (_, n) => node(`${n}-0-${world.budget.id}`))
  const lives = nodes.map(() => 0)
  const underway: Under[] = []
  let unwritten: { readonly on: number; readonly cost: number; readonly charges: readonly Charge[] }[] = []
  let [spent, bound, refused] = [0, 0, 0]
  const act: Readonly<Record<Kind, (one: Pick<Step, 'node' | 'at' | 'nano' | 'cost'>) => Promise<void>>> = {
    async begin({ node: on, nano, cost }) {
      const reservation = await attempt(nodes[on]!, world.spender, nano)
      if (typeof reservation === 'string') refused += 1
      else underway.push({ on, life: lives[on]!, nano, cost, reservation })
    },
    async end({ at }) {
      const [call] = underway.splice(at % Math.max(1, underway.length), 1)
      if (call === undefined) return
      spent += call.cost
      bound += Math.max(0, call.cost - call.nano)
      const charges = call.reservation.settle(call.cost)
      unwritten.push({ on: call.on, cost: call.cost, charges })
    },
    async unsent({ at }) {
      const [call] = underway.splice(at % Math.max(1, underway.length), 1)
      call?.reservation.settle(undefined)
    },
    async write({ node: on }) {
      const mine = unwritten.filter((one) => one.on === on)
      unwritten = unwritten.filter((one) => one.on !== on)
      for (const one of mine) await write(world, nodes[on]!, one.charges)
    },
    async crash({ node: on }) {
      const name = nodes[on]!.name
      const lost = unwritten.filter((one) => one.on === on)
      const dying = underway.filter((one) => one.on === on)
      unwritten = unwritten.filter((one) => one.on !== on)
      underway.splice(0, underway.length, ...underway.filter((one) => one.on !== on))
      // The provider finishes what it was asked for.
      for (const { cost, nano } of dying) {
        spent += cost
        bound += Math.max(cost, nano)
      }
      for (const { cost } of lost) bound += cost
      lives[on]! += 1
      nodes[on] = node([on, lives[on], world.budget.id].join('-'))
      await fresh.asSuperuser('update sallyport.budget_lease set expires_at = clock_timestamp() where node = $1', [name])
    },
    async tend({ node: on }) {
      nodes[on]!.clock.advance(16_000)
      await nodes[on]!.budgets.tend()
    },
    async pause({ node: on }) {
      // Past its lease: others take what it held, and calls of its own that are under way are paid for by nobody until they end.
      const { name, clock } = nodes[on]!
      clock.advance(61_000)
      bound += underway.filter((one) => one.on === on).reduce((sum, { nano, cost }) => sum + Math.max(nano, cost), 0)
      bound += unwritten.filter((one) => one.on === on).reduce((sum, { cost }) => sum + cost, 0)
      await fresh.asSuperuser('update sallyport.budget_lease set expires_at = clock_timestamp() where node = $1', [name])
    },
  }
  for (const one of steps) await act[one.kind](one)
  while (underway.length > 0) await act.end({ node: 0, at: 0, nano: 0, cost: 0 })
  return { over: Math.max(0, spent - amountNano), bound, refused }
}

describe('the worst that a budget is overspent by', () => {
  it(`is what calls cost beyond what was set aside for them, and what was not written on nodes that died, in any interleaving (seed ${seed})`, async () => {
    let [runs, refused] = [0, 0]
    let worst = { over: 0, bound: 0, amount: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), fc.integer({ min: 200, max: 4_000 }), async (steps, amount) => {
        const played = await play(steps, amount)
        runs += 1
        if (played.over > worst.over) worst = { over: played.over, bound: played.bound, amount }
        refused += played.refused
        expect(played.over).toBeLessThanOrEqual(played.bound)
      }),
      { seed, numRuns: 40 },
    )
    expect(refused).toBeGreaterThan(0)
    console.info(`budgets: ${runs} interleavings over ${NODES} nodes, ${refused} refusals, the worst ${JSON.stringify(worst)}`)
  })

  it(`is nothing where no call costs more than was set aside and no node dies (seed ${seed})`, async () => {
    const calm = fc.array(
      step.filter(({ kind }) => kind !== 'crash' && kind !== 'pause').map((one) => ({ ...one, cost: Math.min(one.cost, one.nano) })),
      { minLength: 20, maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(calm, fc.integer({ min: 200, max: 4_000 }), async (steps, amount) => {
        expect((await play(steps, amount)).over).toBe(0)
      }),
      { seed, numRuns: 30 },
    )
  })
})
