/** A flood of made-up session cookies against a person who is signed in, over HTTP and a real database. Its budgets would spoil other tests. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const whoami = (cookie: string) => send(world, '/api/v1/whoami', { headers: { cookie } })

it('D-01 keeps a signed-in person served while strangers at the same address send made-up sessions', async () => {
  const { cookie } = world.a.people.OWNER
  const [name] = cookie.split('=')
  expect((await whoami(cookie)).status).toBe(200)
  const flood = Promise.all(Array.from({ length: 400 }, () => whoami(`${name}=${randomBytes(32).toString('base64url')}`)))
  const own = await Promise.all(Array.from({ length: 40 }, () => whoami(cookie)))
  expect(new Set(own.map(({ status }) => status))).toEqual(new Set([200]))
  const strangers = await flood
  const statuses = strangers.map(({ status }) => status)
  expect(new Set(statuses)).toEqual(new Set([401, 503]))
  const refused = strangers.find(({ status }) => status === 503)!
  expect(refused.json).toMatchObject({ code: 'overloaded' })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect((await whoami(cookie)).status).toBe(200)
})
