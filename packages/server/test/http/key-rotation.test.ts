/** Rotating gateway keys with an overlap: what the next key may, when the old one ends, and what is on record. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, inEnvironment } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import type { Scope } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import { asKey, createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const place = (environment: 'live' | 'test' = 'test') => ({ org: world.a.params.org, project: world.a.params.project, environment })
const clientOf = (key: string): Client => createClient({ baseUrl: world.url, key })
const personOf = (person: { cookie: string }): Client =>
  createClient({ baseUrl: world.url, cookies: person.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const owner = () => inEnvironment(personOf(world.a.people.OWNER), place()).keys
const works = async (key: string): Promise<number> => (await send(world, '/api/v1/whoami', { headers: asKey(key) })).status
/** Until a machine that is busy with other things has come round to it. */
const PATIENT = { timeout: 50_000 }
const SCOPES: Scope[] = ['keys:read', 'keys:write', 'proxy:call']

describe('rotating a key', () => {
  it('gives a key that may the same, beside the old one until the overlap is over', async () => {
    const made = await owner().create({ name: 'rotated', scopes: SCOPES, allowed_addresses: ['127.0.0.0/8'], expires_in_s: 86_400 })
    const { key, secret, replaced } = await owner().rotate(made.key.id, { overlap_s: 600 })
    expect(key.id).not.toBe(made.key.id)
    const { id: _id, created_at: _at, expires_at: ends, ...same } = made.key
    expect(key).toMatchObject(same)
    expect(Date.parse(key.expires_at!)).toBeLessThanOrEqual(Date.parse(ends!))
    expect(Date.parse(replaced.expires_at!)).toBeLessThan(Date.parse(ends!))
    expect([await works(made.secret), await works(secret)]).toEqual([200, 200])
    expect(replaced.id).toBe(made.key.id)
  })

  it('ends the old key at once without an overlap, with all keys that it made', async () => {
    const made = await owner().create({ name: 'leaked', scopes: SCOPES })
    const child = await inEnvironment(clientOf(made.secret), place()).keys.create({ name: 'child', scopes: ['proxy:call'] })
    expect(await works(child.secret)).toBe(200)
    const { secret } = await owner().rotate(made.key.id, { overlap_s: 0 })
    await expect.poll(() => Promise.all([works(made.secret), works(child.secret)]), PATIENT).toEqual([401, 401])
    expect(await works(secret)).toBe(200)
    await expect(owner().rotate(made.key.id)).rejects.toMatchObject({ status: 409, code: 'conflict' })
  })

  it('is done by a key to itself, and its successor ends neither with it nor later than it would have', async () => {
    const made = await owner().create({ name: 'self', scopes: SCOPES, expires_in_s: 3_600 })
    const { key, secret } = await inEnvironment(clientOf(made.secret), place()).keys.rotate(made.key.id, { overlap_s: 0 })
    await expect.poll(() => works(made.secret), PATIENT).toBe(401)
    expect(await works(secret)).toBe(200)
    expect(key.created_by).toBe(made.key.created_by)
    expect(Date.parse(key.expires_at!)).toBeLessThanOrEqual(Date.parse(made.key.expires_at!))
  })

  it('T-10 hands nobody what they could not have made: not to a narrower key, not to a smaller role', async () => {
    const wide = await owner().create({ name: 'wide', scopes: [...SCOPES, 'projects:write'] })
    const narrow = inEnvironment(clientOf((await owner().create({ name: 'narrow', scopes: SCOPES })).secret), place()).keys
    await expect(narrow.rotate(wide.key.id)).rejects.toMatchObject({ status: 403, code: 'insufficient_scope' })
    const developer = inEnvironment(personOf(world.a.people.DEVELOPER), place()).keys
    await expect(developer.rotate(wide.key.id)).rejects.toMatchObject({ status: 403, code: 'insufficient_scope' })
    const brief = inEnvironment(clientOf((await owner().create({ name: 'brief', scopes: SCOPES, expires_in_s: 60 })).secret), place()).keys
    const lasting = await owner().create({ name: 'lasting', scopes: ['proxy:call'] })
    await expect(brief.rotate(lasting.key.id)).rejects.toMatchObject({ status: 403, code: 'forbidden' })
    const held = await owner().create({ name: 'held', scopes: SCOPES, allowed_addresses: ['127.0.0.1/32'] })
    const { key } = await inEnvironment(clientOf(held.secret), place()).keys.rotate(lasting.key.id)
    expect(key.allowed_addresses).toEqual(['127.0.0.1/32'])
    const bound = await world.makeKey(world.a, { scopes: SCOPES, connection: world.a.connection })
    await expect(inEnvironment(clientOf(bound), place()).keys.rotate(wide.key.id)).rejects.toMatchObject({ status: 404 })
  })

  it('T-10 leaves no key behind to another key that rotated it: the successor ends with whoever was handed its secret', async () => {
    const thief = await owner().create({ name: 'thief', scopes: SCOPES })
    const target = await owner().create({ name: 'target', scopes: ['proxy:call'] })
    const { key, secret } = await inEnvironment(clientOf(thief.secret), place()).keys.rotate(target.key.id)
    expect(key.created_by).toBe(thief.key.id)
    expect(await works(secret)).toBe(200)
    await owner().revoke(thief.key.id)
    await expect.poll(() => works(secret), PATIENT).toBe(401)
  })

  // The risk: whoever read a key turns it, and is still there after the key was revoked.
  it('K-04 T-10 a key that rotated itself hands on its revocation, over several turns, to all that came of it', async () => {
    const first = await owner().create({ name: 'stolen', scopes: SCOPES })
    const second = await inEnvironment(clientOf(first.secret), place()).keys.rotate(first.key.id, { overlap_s: 0 })
    expect(second.key.succeeds).toBe(first.key.id)
    const third = await inEnvironment(clientOf(second.secret), place()).keys.rotate(second.key.id, { overlap_s: 600 })
    const child = await inEnvironment(clientOf(third.secret), place()).keys.create({ name: 'child', scopes: ['proxy:call'] })
    expect([await works(second.secret), await works(third.secret), await works(child.secret)]).toEqual([200, 200, 200])
    await owner().revoke(first.key.id)
    await expect.poll(() => Promise.all([second, third, child].map(({ secret }) => works(secret))), PATIENT).toEqual([401, 401, 401])
    const { data } = await personOf(world.a.people.OWNER).call('auditEventList', {
      params: { org: world.a.params.org },
      query: { action: 'key.revoked', target: third.key.id },
    })
    expect(data.map(({ detail }) => detail)).toEqual([{ with: first.key.id }])
  })

  it('T-10 what a key rotated itself into ends with it when somebody else replaces it, and not by that alone', async () => {
    const made = await owner().create({ name: 'doubted', scopes: SCOPES })
    const turned = await inEnvironment(clientOf(made.secret), place()).keys.rotate(made.key.id, { overlap_s: 600 })
    const again = await inEnvironment(clientOf(made.secret), place()).keys.rotate(made.key.id, { overlap_s: 600 })
    expect([await works(turned.secret), await works(again.secret)]).toEqual([200, 200])
    const replaced = await owner().rotate(made.key.id, { overlap_s: 0 })
    await expect.poll(() => Promise.all([made, turned, again].map(({ secret }) => works(secret))), PATIENT).toEqual([401, 401, 401])
    expect(await works(replaced.secret)).toBe(200)
    expect(replaced.key.succeeds).toBeNull()
    await owner().revoke(made.key.id)
    expect(await works(replaced.secret)).toBe(200)
  })

  it('T-10 a key that rotates itself while it is revoked leaves nobody behind', async () => {
    for (let round = 0; round < 5; round++) {
      const made = await owner().create({ name: 'raced', scopes: SCOPES })
      const itself = inEnvironment(clientOf(made.secret), place()).keys
      const [one, other] = await Promise.allSettled([itself.rotate(made.key.id), itself.rotate(made.key.id), owner().revoke(made.key.id)])
      for (const turned of [one, other]) {
        if (turned.status === 'fulfilled') await expect.poll(() => works(turned.value.secret), PATIENT).toBe(401)
        else expect([401, 409], String(turned.reason)).toContain((turned.reason as { status: number }).status)
      }
    }
  })

  it('T-13 keeps the project and the environment, and finds no key of another', async () => {
    const made = await owner().create({ name: 'here', scopes: ['proxy:call'] })
    const live = inEnvironment(personOf(world.a.people.OWNER), place('live')).keys
    await expect(live.rotate(made.key.id)).rejects.toMatchObject({ status: 404 })
    const sibling = { ...place(), project: formatId('proj', world.a.projects[1]) }
    await expect(inEnvironment(personOf(world.a.people.OWNER), sibling).keys.rotate(made.key.id)).rejects.toMatchObject({ status: 404 })
    const { secret } = await owner().rotate(made.key.id)
    expect(await clientOf(secret).call('whoami')).toMatchObject({ key: { project: place().project, environment: 'test' } })
  })

  it('A-08 is on record with both ids and no secret', async () => {
    const made = await owner().create({ name: 'recorded', scopes: ['proxy:call'] })
    const { key, secret } = await owner().rotate(made.key.id, { overlap_s: 60 })
    const { data } = await personOf(world.a.people.OWNER).call('auditEventList', {
      params: { org: world.a.params.org },
      query: { action: 'key.rotated', target: made.key.id },
    })
    expect(data).toHaveLength(1)
    expect(data[0]!.detail).toMatchObject({ from: made.key.id, to: key.id, overlap_s: 60 })
    expect(JSON.stringify(data)).not.toContain(secret.split('_')[3])
  })

  it('K-11 makes whole keys of many that are asked for at once, or says that it changed meanwhile', async () => {
    const made = await owner().create({ name: 'raced', scopes: ['proxy:call'] })
    const rotated = await Promise.allSettled(Array.from({ length: 4 }, () => owner().rotate(made.key.id, { overlap_s: 600 })))
    const done = rotated.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(done.length).toBeGreaterThanOrEqual(1)
    for (const { secret } of done) expect(await works(secret)).toBe(200)
    for (const one of rotated) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'conflict' })
  })
})
