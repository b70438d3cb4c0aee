/** Limits as callers of the control plane meet them, and as they are set there. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import { rateLimitPut } from '../../src/db/index.ts'
import { asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

const MOST = { perSecond: 1_000, burst: 2_000 }

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'), { rates: { standard: { perSecond: 100, burst: 200 }, most: MOST } })
})
afterAll(() => world?.close())

const WHOAMI = '/api/v1/whoami'
const org = () => `/api/v1/orgs/${world.a.params.org}`
const project = () => `${org()}/projects/${world.a.params.project}`
const keyPath = () => `${project()}/test/keys/${world.a.params.key}`
const owner = () => asPerson(world.a.people.OWNER)
const set = (path: string, limit: unknown, headers = owner()) =>
  send(world, `${path}/rate-limit`, { method: 'PATCH', headers, body: { limit } })

/** Asks ten times at once, again and again, until one is refused. */
async function untilRefused(ask: () => Promise<Answer>): Promise<Answer> {
  for (let i = 0; i < 100; i++) {
    const refused = (await Promise.all(Array.from({ length: 10 }, ask))).find(({ status }) => status === 429)
    if (refused !== undefined) return refused
  }
  throw new Error('nothing was refused')
}

describe('a caller over its limit', () => {
  it('is told so by a problem, with when to come back, in every form and the same', async () => {
    const key = await world.makeKey(world.a, {})
    const { id } = (await send(world, WHOAMI, { headers: asKey(key) })).json
    const path = `${project()}/test/keys/${id}`
    expect((await set(path, { per_second: 1, burst: 3 })).status).toBe(200)
    const answer = await untilRefused(() => send(world, WHOAMI, { headers: asKey(key) }))
    expect(answer.json).toMatchObject({ status: 429, code: 'rate_limited', title: 'Too many requests' })
    expect(answer.json.detail).toContain('key')
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'retry-after': '1',
      ratelimit: '"key";r=0;t=1',
      'ratelimit-policy': '"organization";q=200;w=2, "project";q=200;w=2, "key";q=3;w=3',
      'x-ratelimit-limit': '3',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '1',
    })
  })

  it('is refused before anything is decided of it: whether it might is not told, and no spelling of a header helps', async () => {
    const key = await world.makeKey(world.a, { scopes: ['keys:read'] })
    const { id } = (await send(world, WHOAMI, { headers: asKey(key) })).json
    await set(`${project()}/test/keys/${id}`, { per_second: 1, burst: 1 })
    await untilRefused(() => send(world, WHOAMI, { headers: asKey(key) }))
    const startedAt = performance.now()
    const tries = await Promise.all(
      ['authorization', 'Authorization', 'AUTHORIZATION', 'aUTHORIZATION'].flatMap((name) =>
        Array.from({ length: 5 }, () => send(world, project(), { headers: { [name]: `Bearer ${key}`, 'x-forwarded-for': '192.0.2.1' } })),
      ),
    )
    // One comes back each second, however long the machine takes for the twenty.
    const back = 1 + (performance.now() - startedAt) / 1_000
    expect(tries.filter(({ status }) => status !== 429).length).toBeLessThanOrEqual(back)
  })

  it('of one organization costs another nothing', async () => {
    expect((await send(world, WHOAMI, { headers: asKey(world.b.key) })).headers['x-ratelimit-limit']).toBe('200')
  })
})

describe('a limit that is set', () => {
  it('is what was asked for, bounded by the installation, and goes back to its standard', async () => {
    for (const path of [org(), project(), keyPath()]) {
      const read = () => send(world, `${path}/rate-limit`, { headers: owner() })
      expect((await read()).json).toEqual({
        per_second: 100,
        burst: 200,
        set: null,
        most: { per_second: 1_000, burst: 2_000 },
        changed_at: null,
      })
      const limit = { per_second: 500, burst: 600 }
      expect((await set(path, limit)).json).toMatchObject({ ...limit, set: limit, changed_at: expect.any(String) })
      expect((await read()).json).toMatchObject({ ...limit, set: limit })
      const refused = await set(path, { per_second: 1_001, burst: 2_001 })
      expect(refused.json).toMatchObject({ status: 400, code: 'validation_failed' })
      expect(refused.json.errors).toEqual([
        { pointer: '/body/limit/per_second', reason: 'is at most 1000 here' },
        { pointer: '/body/limit/burst', reason: 'is at most 2000 here' },
      ])
      expect((await set(path, null)).json).toMatchObject({ per_second: 100, burst: 200, set: null })
    }
  })

  it('that is larger than today’s most holds as far as that goes', async () => {
    await world.database.withTenant(world.b.org, (tx) =>
      rateLimitPut(tx, { kind: 'organization', id: world.b.org }, { perSecond: 900_000, burst: 900_000 }),
    )
    const answer = await send(world, `/api/v1/orgs/${world.b.params.org}/rate-limit`, { headers: asPerson(world.b.people.OWNER) })
    expect(answer.json).toMatchObject({ per_second: 1_000, burst: 2_000, set: { per_second: 900_000, burst: 900_000 } })
  })

  it.each([
    { per_second: 0, burst: 1 },
    { per_second: -1, burst: 1 },
    { per_second: 1.5, burst: 1 },
    { per_second: 1e9, burst: 1 },
    { per_second: '5', burst: 1 },
    { per_second: 1 },
    { per_second: 1, burst: 1, more: 1 },
    'none',
    undefined,
  ])('is refused as %j', async (limit) => {
    expect((await set(project(), limit)).json).toMatchObject({ status: 400, code: 'validation_failed' })
  })

  it('is on record with what stood before, and what stands already is no event', async () => {
    await set(project(), { per_second: 7, burst: 9 })
    await set(project(), { per_second: 7, burst: 9 })
    await set(project(), null)
    const { json } = await send(world, `${org()}/audit-events?limit=50`, { headers: owner() })
    const events = json.data.filter(
      (one: { action: string; target: string }) => one.action === 'rate_limit.changed' && one.target === world.a.params.project,
    )
    expect(events.slice(0, 2).map(({ detail }: { detail: unknown }) => detail)).toEqual([
      { limit: null, before: { per_second: 7, burst: 9 } },
      { limit: { per_second: 7, burst: 9 }, before: null },
    ])
  })

  it('is no key’s to set, nor a viewer’s', async () => {
    for (const path of [org(), project(), keyPath()]) {
      const limit = { per_second: 1_000, burst: 1_000 }
      expect((await set(path, limit, asKey(world.a.key) as never)).status).not.toBe(200)
      expect((await set(path, limit, asPerson(world.a.people.VIEWER))).json).toMatchObject({ status: 403 })
    }
  })

  it('of a project or key that is not there is not found', async () => {
    const absent = project().replace(world.a.params.project, world.b.params.project)
    expect((await set(absent, { per_second: 1, burst: 1 })).json).toMatchObject({ status: 404 })
  })

  it('is never of a key that is not there', async () => {
    const id = newId('key')
    await expect(
      world.database.withTenant(world.a.org, (tx) => rateLimitPut(tx, { kind: 'key', id }, { perSecond: 1, burst: 1 })),
    ).rejects.toMatchObject({ code: 'conflict' })
  })
})
