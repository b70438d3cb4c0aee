import { describe, expect, it } from 'vitest'
import { newId, SallyportError } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import type { ModelRoute, Place } from '../db/index.ts'
import { createModelRoutes } from './model-routes.ts'

const org: OrgId = newId('org')
const at: Place = { project: newId('proj'), environment: 'test' }
const route = (name: string): ModelRoute => ({
  id: newId('mroute'),
  name,
  strategy: 'ordered',
  targets: [],
  fallbackOn: [],
  deadlineMs: 1_000,
  createdBy: 'system',
  createdAt: new Date(0),
  updatedAt: new Date(0),
})

function remembering() {
  const world = { now: 0, reads: 0, rows: [route('one')], failure: undefined as Error | undefined, gate: Promise.resolve() }
  const routes = createModelRoutes({
    read: async () => {
      world.reads += 1
      const { rows, failure } = world
      await world.gate
      if (failure !== undefined) throw failure
      return rows
    },
    clock: { now: () => world.now, monotonic: () => world.now },
  })
  const names = async (): Promise<string[]> => [...(await routes.of(org, at)).keys()]
  return { world, routes, names }
}
const changed = (table: 'model_route' | 'connection', of: OrgId = org) => ({ table, org: of, id: newId('mroute') })

describe('routes that are remembered', () => {
  it('are read once for ten seconds, however many ask', async () => {
    const { world, routes, names } = remembering()
    await Promise.all([names(), names(), names()])
    expect(routes.of(org, at)).toBeInstanceOf(Map)
    world.now = 9_999
    await names()
    expect(world.reads).toBe(1)
    world.now = 10_000
    world.rows = [route('two')]
    expect(await names()).toEqual(['two'])
  })

  it('are forgotten on word of a change of their organization, and of no other', async () => {
    const { world, routes, names } = remembering()
    await names()
    world.rows = [route('two')]
    routes.heard(changed('model_route', newId('org')))
    routes.heard(changed('connection'))
    expect(await names()).toEqual(['one'])
    routes.heard(changed('model_route'))
    expect(await names()).toEqual(['two'])
    world.rows = []
    routes.heard('unknown')
    expect(await names()).toEqual([])
  })

  it('are not kept when they changed while they were read', async () => {
    const { world, routes, names } = remembering()
    const gate = Promise.withResolvers<void>()
    world.gate = gate.promise
    const early = names()
    world.rows = [route('two')]
    routes.heard(changed('model_route'))
    const late = names()
    gate.resolve()
    expect([await early, await late, await names()]).toEqual([['one'], ['two'], ['two']])
    expect(world.reads).toBe(2)
  })

  it('serve for thirty seconds while the database is away, unless word of a change came', async () => {
    const { world, routes, names } = remembering()
    await names()
    world.failure = new SallyportError('database_unavailable', 'away')
    world.now = 29_999
    expect(await names()).toEqual(['one'])
    world.now = 30_000
    await expect(names()).rejects.toMatchObject({ code: 'database_unavailable' })
    world.now = 20_000
    expect(await names()).toEqual(['one'])
    routes.heard(changed('model_route'))
    await expect(names()).rejects.toMatchObject({ code: 'database_unavailable' })
  })

  it('that fail in another way are no reason to go by what was', async () => {
    const { world, names } = remembering()
    await names()
    world.failure = new Error('ours')
    world.now = 10_000
    await expect(names()).rejects.toThrow('ours')
  })
})
