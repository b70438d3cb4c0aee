/** The one read of a model call on a real database: which kept key is found for whom, and when another node's change is heard. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { formatId, newId } from '@sallyport/core'
import type { ModelKeyAsk } from '../../src/db/index.ts'
import { createWorld } from './world.ts'
import type { TestOrg, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const admin = (at: TestOrg): Client =>
  createClient({ baseUrl: world.url, cookies: at.people.ADMIN.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const placeOf = ({ params }: TestOrg) => ({ org: params.org, project: params.project, environment: 'test' as const })
const asked = (at: TestOrg, more: Partial<ModelKeyAsk> = {}): ModelKeyAsk => ({
  org: at.org,
  project: at.projects[0],
  environment: 'test',
  provider: 'openai',
  name: 'default',
  ...more,
})
const found = async (ask: ModelKeyAsk): Promise<string | undefined> => {
  const { kept } = await world.database.modelKeys(ask)
  return kept && formatId('pkey', kept.id)
}
let names = 0
const make = async (name: string): Promise<string> =>
  (
    await admin(world.a).call('providerKeyCreate', {
      params: placeOf(world.a),
      body: { provider: 'openai', name, secret: 'not-a-real-key', settings: {} },
    })
  ).id

describe('the kept key that a model call finds', () => {
  it('is the environment’s own, and the organization’s where that has none', async () => {
    const { provider_key: own, organization_provider_key: shared } = world.a.params
    expect(await found(asked(world.a))).toBe(own)
    expect(await found(asked(world.a, { environment: 'live' }))).toBe(shared)
    expect(await found(asked(world.a, { project: world.a.projects[1] }))).toBe(shared)
    expect(await found(asked(world.a, { provider: 'groq' }))).toBeUndefined()
    expect(await found(asked(world.a, { name: 'another' }))).toBeUndefined()
  })

  it('T-01 is never another organization’s, whatever is asked for', async () => {
    const theirs = [world.a.params.provider_key, world.a.params.organization_provider_key]
    expect(theirs).not.toContain(await found(asked(world.b, { project: world.a.projects[0] })))
    const name = `of a ${(names += 1)}`
    await make(name)
    expect(await found(asked(world.b, { project: world.a.projects[0], name }))).toBeUndefined()
    expect(await found(asked(world.a, { org: newId('org'), name }))).toBeUndefined()
  })

  it('is the successor as soon as there is one, and none that has ended', async () => {
    const name = `turning ${(names += 1)}`
    const first = await make(name)
    const rotate = async (id: string, overlap: number) => {
      const body = { secret: 'not-a-real-next-key', overlap_s: overlap }
      return (await admin(world.a).call('providerKeyRotate', { params: { ...placeOf(world.a), provider_key: id }, body })).key.id
    }
    const revoke = (id: string) => admin(world.a).call('providerKeyRevoke', { params: { ...placeOf(world.a), provider_key: id } })
    const second = await rotate(first, 3_600)
    expect(await found(asked(world.a, { name }))).toBe(second)
    await revoke(second)
    const { kept } = await world.database.modelKeys(asked(world.a, { name }))
    // Whoever revokes the successor within the overlap has the one before for as long as that lasts.
    expect([kept && formatId('pkey', kept.id), kept?.endsInS]).toEqual([first, expect.closeTo(3_600, -3)])
    await revoke(first)
    expect(await found(asked(world.a, { name }))).toBeUndefined()
    const third = await make(name)
    expect(await found(asked(world.a, { name }))).toBe(third)
    const fourth = await rotate(third, 0)
    await revoke(fourth)
    expect(await found(asked(world.a, { name }))).toBeUndefined()
  })

  it('comes with the mode that the organization has settled, and every node hears of both', async () => {
    const heard: string[] = []
    const stop = world.database.onChange((change) => void (change !== 'unknown' && heard.push(`${change.table} ${change.org}`)))
    expect((await world.database.modelKeys(asked(world.b))).mode).toBeNull()
    await admin(world.b).call('settingsUpdate', { params: { org: world.b.params.org }, body: { provider_key_mode: 'byok_only' } })
    expect((await world.database.modelKeys(asked(world.b))).mode).toBe('byok_only')
    expect((await world.database.modelKeys(asked(world.a))).mode).toBeNull()
    await make(`heard ${(names += 1)}`)
    // By this node at once, and once more when the notification comes round, as it does to all others.
    const times = (line: string): number => heard.filter((one) => one === line).length
    await expect.poll(() => times(`organization ${world.b.org}`)).toBeGreaterThanOrEqual(2)
    await expect.poll(() => times(`provider_key ${world.a.org}`)).toBeGreaterThanOrEqual(2)
    stop()
  })
})
