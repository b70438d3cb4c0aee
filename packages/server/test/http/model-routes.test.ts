/** Named routes of model calls, over the typed client: what they may say, and that every change of one is on record. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, SallyportApiError } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { asKey, createWorld, send } from './world.ts'
import type { TestOrg, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const person = (at: TestOrg, role: 'ADMIN' | 'DEVELOPER' = 'ADMIN'): Client =>
  createClient({ baseUrl: world.url, cookies: at.people[role].cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const placeOf = ({ params }: TestOrg) => ({ org: params.org, project: params.project, environment: 'test' }) as const

const pathOf = ({ params }: TestOrg): string => `/api/v1/orgs/${params.org}/projects/${params.project}/test/model-routes`

let made = 0
const wanted = (more: object = {}) => ({ name: `route-${(made += 1)}`, targets: [{ provider: 'openai', model: 'gpt-x' }], ...more })

/** The code. */
async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof SallyportApiError)) throw new Error('was not refused')
  return error.code
}

/** Details of the events about one, oldest first. */
async function eventsOf(at: TestOrg, target: string): Promise<[string, unknown][]> {
  const { data } = await person(at).call('auditEventList', { params: { org: at.params.org }, query: { limit: 200 } })
  return data
    .filter((event) => event.target === target)
    .toSorted((a, b) => Number(a.seq) - Number(b.seq))
    .map(({ action, detail }) => [action, detail])
}

describe('a route of model calls', () => {
  it('is made with what is not said filled in, read again, and listed', async () => {
    const client = person(world.a)
    const params = placeOf(world.a)
    const body = wanted()
    const route = await client.call('modelRouteCreate', { params, body })
    expect(route).toMatchObject({
      name: body.name,
      strategy: 'ordered',
      targets: [{ provider: 'openai', model: 'gpt-x', key_name: 'default', weight: 1, first_byte_timeout_ms: null }],
      fallback_on: ['rate_limited', 'server_error', 'timeout', 'circuit_open'],
      deadline_ms: 600_000,
    })
    expect(await client.call('modelRouteGet', { params: { ...params, model_route: route.id } })).toEqual(route)
    const { data } = await client.call('modelRouteList', { params, query: { limit: 200 } })
    expect(data.find(({ id }) => id === route.id)).toEqual(route)
  })

  it('has its name to itself in its environment, and in no other', async () => {
    const client = person(world.a)
    const params = placeOf(world.a)
    const body = wanted()
    await client.call('modelRouteCreate', { params, body })
    const other = await client.call('modelRouteCreate', { params, body: wanted() })
    expect(await refusal(client.call('modelRouteCreate', { params, body }))).toBe('conflict')
    const renamed = client.call('modelRouteUpdate', { params: { ...params, model_route: other.id }, body: { name: body.name } })
    expect(await refusal(renamed)).toBe('conflict')
    await client.call('modelRouteCreate', { params: { ...params, environment: 'live' }, body })
  })

  it.each([
    ['a provider that nobody knows', { targets: [{ provider: 'nobody', model: 'm' }] }, ['/body/targets/0/provider']],
    ['a name that is a provider’s', { name: 'openai' }, ['/body/name']],
    ['a name in which a provider is named', { name: 'openai/gpt' }, ['/body/name']],
    ['no target', { targets: [] }, ['/body/targets']],
    ['too many targets', { targets: Array.from({ length: 17 }, () => ({ provider: 'openai', model: 'm' })) }, ['/body/targets']],
    ['a model that would end a line', { targets: [{ provider: 'openai', model: 'm\r\nx: y' }] }, ['/body/targets/0/model']],
    ['a weight of nothing', { targets: [{ provider: 'openai', model: 'm', weight: 0 }] }, ['/body/targets/0/weight']],
    ['a cause that is none', { fallback_on: ['content_filter'] }, ['/body/fallback_on/0']],
    ['a deadline of no length', { deadline_ms: 0 }, ['/body/deadline_ms']],
  ])('is refused with %s, which is named', async (_what, more, faults) => {
    const answer = await send(world, pathOf(world.a), { method: 'POST', headers: asKey(world.a.key), body: wanted(more) })
    expect([answer.json.code, answer.json.errors.map(({ pointer }: { pointer: string }) => pointer)]).toEqual(['validation_failed', faults])
  })

  it('A-01 is changed in what is named alone, and the log says from what to what', async () => {
    const client = person(world.a)
    const params = placeOf(world.a)
    const route = await client.call('modelRouteCreate', { params, body: wanted({ strategy: 'weighted' }) })
    const at = { ...params, model_route: route.id }
    const targets = [{ provider: 'anthropic', model: 'claude-x', key_name: 'spare', weight: 3, first_byte_timeout_ms: 2_000 }]
    const changed = await client.call('modelRouteUpdate', { params: at, body: { targets } })
    expect(changed).toEqual({ ...route, targets, updated_at: changed.updated_at })
    expect(changed.updated_at > route.updated_at).toBe(true)
    // The same once more changes nothing, and writes nothing.
    expect(await client.call('modelRouteUpdate', { params: at, body: { targets } })).toEqual(changed)
    await client.call('modelRouteDelete', { params: at })
    expect(await refusal(client.call('modelRouteGet', { params: at }))).toBe('not_found')
    expect(await refusal(client.call('modelRouteDelete', { params: at }))).toBe('not_found')
    expect(await eventsOf(world.a, route.id)).toEqual([
      ['model_route.created', expect.objectContaining({ name: route.name, strategy: 'weighted', targets: route.targets })],
      ['model_route.updated', { targets: { from: route.targets, to: targets } }],
      ['model_route.deleted', { name: route.name }],
    ])
  })

  it('is made once however often the same creation is asked for', async () => {
    const headers = { ...asKey(world.a.key), 'idempotency-key': `once-${(made += 1)}` }
    const body = wanted()
    const [first, second] = [
      await send(world, pathOf(world.a), { method: 'POST', headers, body }),
      await send(world, pathOf(world.a), { method: 'POST', headers, body }),
    ]
    expect([first.status, second.status, second.json.id]).toEqual([201, 201, first.json.id])
    expect(second.headers['idempotency-replayed']).toBe('true')
  })

  it('T-10 is no matter of developers, nor of a key that is bound to one connection', async () => {
    const params = placeOf(world.a)
    expect(await refusal(person(world.a, 'DEVELOPER').call('modelRouteCreate', { params, body: wanted() }))).toBe('forbidden')
    const bound = createClient({ baseUrl: world.url, key: await world.makeKey(world.a, { connection: world.a.connection }) })
    expect(await refusal(bound.call('modelRouteCreate', { params, body: wanted() }))).toBe('forbidden')
  })

  it('is listed page by page', async () => {
    const client = person(world.b)
    const params = placeOf(world.b)
    for (let count = 0; count < 3; count++) await client.call('modelRouteCreate', { params, body: wanted() })
    const first = await client.call('modelRouteList', { params, query: { limit: 2 } })
    const rest = await client.call('modelRouteList', { params, query: { limit: 200, cursor: first.next_cursor! } })
    const ids = [...first.data, ...rest.data].map(({ id }) => id)
    expect([first.data.length, new Set(ids).size === ids.length, ids.length >= 4]).toEqual([2, true, true])
  })
})
