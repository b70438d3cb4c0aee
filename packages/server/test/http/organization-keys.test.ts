/** Keys of an organization: what they reach, what they are no wider than, and that no key of a project becomes one. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, inEnvironment, SallyportApiError } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { ORGANIZATION_KEY_SCOPES } from '@sallyport/contract'
import type { Scope } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import { asAdmin, asKey, createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const MAKES: Scope[] = ['keys:read', 'keys:write', 'projects:read', 'projects:write']
const PATIENT = { timeout: 50_000 }
const org = () => ({ org: world.a.params.org })
const clientOf = (key: string): Client => createClient({ baseUrl: world.url, key })
const personOf = (person: { cookie: string }): Client =>
  createClient({ baseUrl: world.url, cookies: person.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const admin = (): Client => personOf(world.a.people.ADMIN)
const make = (body: object = {}) => admin().call('organizationKeyCreate', { params: org(), body: { name: 'ours', scopes: MAKES, ...body } })
const works = async (key: string): Promise<number> => (await send(world, '/api/v1/whoami', { headers: asKey(key) })).status
const projectOf = (n: 0 | 1, environment: 'live' | 'test' = 'live') => ({
  ...org(),
  project: formatId('proj', world.a.projects[n]),
  environment,
})

async function refusal(call: Promise<unknown>): Promise<[number, string]> {
  const error: unknown = await call.then(
    () => expect.unreachable('the call was not refused'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SallyportApiError)
  const { status, code } = error as SallyportApiError
  return [status, code]
}

describe('a key of an organization', () => {
  it('lists and makes projects, and works in each of them, in its own environment alone', async () => {
    const { key, secret } = await make()
    expect(key.environment).toBe('live')
    const own = clientOf(secret)
    expect((await own.call('whoami')).key).toMatchObject({ ...org(), project: null, environment: 'live' })
    const made = await own.call('projectCreate', { params: org(), body: { name: 'By a key' } })
    const { data } = await own.call('projectList', { params: org() })
    expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining([made.id, projectOf(0).project, projectOf(1).project]))
    for (const n of [0, 1] as const) {
      const there = await inEnvironment(own, projectOf(n)).keys.create({ name: 'there', scopes: ['keys:read'] })
      expect((await clientOf(there.secret).call('whoami')).key).toMatchObject({ project: projectOf(n).project, environment: 'live' })
      expect(await refusal(inEnvironment(own, projectOf(n, 'test')).keys.create({ name: 'there', scopes: ['keys:read'] }))).toEqual([
        403,
        'environment_mismatch',
      ])
    }
  })

  it('T-01 is absent to another organization, as that one is to it', async () => {
    const { key, secret } = await make()
    const params = { ...org(), key: key.id }
    expect(await refusal(personOf(world.b.people.OWNER).call('organizationKeyGet', { params }))).toEqual([404, 'not_found'])
    const theirs = { org: world.b.params.org, key: key.id }
    expect(await refusal(personOf(world.b.people.OWNER).call('organizationKeyGet', { params: theirs }))).toEqual([404, 'not_found'])
    expect(await refusal(clientOf(secret).call('projectList', { params: { org: world.b.params.org } }))).toEqual([404, 'not_found'])
  })

  it('calls nothing: it is given no proxy:call, whoever makes it', async () => {
    expect(ORGANIZATION_KEY_SCOPES).not.toContain('proxy:call')
    expect(await refusal(make({ scopes: ['proxy:call'] }))).toEqual([400, 'validation_failed'])
  })

  it('K-13 that is a test key changes nothing that environments share, and makes no key of the organization', async () => {
    const { secret } = await make({ environment: 'test' })
    const own = clientOf(secret)
    expect((await own.call('projectList', { params: org() })).data.length).toBeGreaterThan(1)
    const refused = [
      own.call('projectCreate', { params: org(), body: { name: 'No' } }),
      own.call('projectUpdate', { params: { ...org(), project: projectOf(0).project }, body: { name: 'No' } }),
      own.call('organizationKeyCreate', { params: org(), body: { name: 'no', scopes: ['keys:read'] } }),
    ]
    for (const told of await Promise.all(refused.map(refusal))) expect(told).toEqual([403, 'forbidden'])
  })

  it('K-13 sees and turns no key of the organization that is of the other environment', async () => {
    const [live, test] = [await make(), await make({ environment: 'test' })]
    const own = clientOf(live.secret)
    const listed = (await own.call('organizationKeyList', { params: org(), query: { limit: 200 } })).data
    expect([listed.some(({ id }) => id === live.key.id), listed.some(({ id }) => id === test.key.id)]).toEqual([true, false])
    const params = { ...org(), key: test.key.id }
    expect(await refusal(own.call('organizationKeyRotate', { params, body: {} }))).toEqual([404, 'not_found'])
    const body = { name: 'no', scopes: ['keys:read' as const], environment: 'test' as const }
    expect(await refusal(own.call('organizationKeyCreate', { params: org(), body }))).toEqual([403, 'environment_mismatch'])
    expect((await admin().call('organizationKeyList', { params: org(), query: { limit: 200 } })).data.map(({ id }) => id)).toContain(
      test.key.id,
    )
  })
})

describe('an export of the organization', () => {
  it('T-15 K-01 names its own keys beside those of projects, and not their text', async () => {
    const { key, secret } = await make()
    const { text } = await send(world, `/api/v1/orgs/${org().org}/export`, {
      headers: { cookie: world.a.people.OWNER.cookie, origin: 'http://127.0.0.1:7255' },
    })
    const lines = text.split('\n').filter((line) => line.includes(key.id))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([{ type: 'key', project: null, ...key, rate_limit: null }])
    expect(text).not.toContain(secret.split('_')[3])
  })
})

describe('making a key of an organization', () => {
  it('T-11 takes an administrator, or a key of the organization', async () => {
    const body = { name: 'no', scopes: ['keys:read' as const] }
    for (const role of ['DEVELOPER', 'BILLING', 'VIEWER'] as const)
      expect(await refusal(personOf(world.a.people[role]).call('organizationKeyCreate', { params: org(), body }))).toEqual([
        403,
        'forbidden',
      ])
    const { secret } = await make()
    const child = await clientOf(secret).call('organizationKeyCreate', { params: org(), body })
    expect(child.key.scopes).toEqual(['keys:read'])
  })

  it('T-10 T-13 is nothing that a key of a project may, whatever it holds: not making, not rotating, not changing one', async () => {
    const { key } = await make()
    const params = { ...org(), key: key.id }
    for (const environment of ['live', 'test'] as const) {
      const own = clientOf(await world.makeKey(world.a, { environment }))
      const refused = [
        own.call('organizationKeyCreate', { params: org(), body: { name: 'no', scopes: ['keys:read'] } }),
        own.call('organizationKeyRotate', { params, body: {} }),
        own.call('organizationKeyUpdate', { params, body: { name: 'no' } }),
        own.call('organizationKeyRevoke', { params }),
        own.call('organizationKeyGet', { params }),
        own.call('projectList', { params: org() }),
        own.call('projectCreate', { params: org(), body: { name: 'no' } }),
      ]
      for (const told of await Promise.all(refused.map(refusal))) expect(told).toEqual([403, 'forbidden'])
    }
  })

  it('T-13 no key of a project rotates into one, and none of the organization into one of a project, whoever asks', async () => {
    const { key: ours, secret } = await make()
    const theirs = await inEnvironment(admin(), projectOf(0)).keys.create({ name: 'theirs', scopes: ['keys:read', 'keys:write'] })
    for (const caller of [admin(), clientOf(secret)]) {
      expect(await refusal(caller.call('organizationKeyRotate', { params: { ...org(), key: theirs.key.id }, body: {} }))).toEqual([
        404,
        'not_found',
      ])
      expect(await refusal(inEnvironment(caller, projectOf(0)).keys.rotate(ours.id))).toEqual([404, 'not_found'])
      expect(await refusal(inEnvironment(caller, projectOf(0)).keys.get(ours.id))).toEqual([404, 'not_found'])
    }
    const turned = await inEnvironment(clientOf(theirs.secret), projectOf(0)).keys.rotate(theirs.key.id)
    expect((await clientOf(turned.secret).call('whoami')).key).toMatchObject({ project: projectOf(0).project })
    const rotated = await admin().call('organizationKeyRotate', { params: { ...org(), key: ours.id }, body: { overlap_s: 60 } })
    expect((await clientOf(rotated.secret).call('whoami')).key).toMatchObject({ project: null, environment: 'live' })
    const [row] = await asAdmin(
      world.adminUrl,
      `select count(*)::int as n from sallyport.api_key k join sallyport.api_key m on m.org_id = k.org_id and m.id = k.maker
        where k.project_id is null and m.project_id is not null`,
    )
    expect(row).toEqual({ n: 0 })
  })

  it('T-10 gives its child no scope, no time and no place that it has not', async () => {
    const { secret } = await make({ scopes: ['keys:write', 'keys:read'], expires_in_s: 600, allowed_addresses: ['127.0.0.0/8'] })
    const own = clientOf(secret)
    const child = (more: object) =>
      own.call('organizationKeyCreate', { params: org(), body: { name: 'child', scopes: ['keys:read'], expires_in_s: 60, ...more } })
    expect(await refusal(child({ scopes: ['projects:read'] }))).toEqual([403, 'insufficient_scope'])
    expect(await refusal(child({ expires_in_s: 601 }))).toEqual([403, 'forbidden'])
    expect(await refusal(child({ allowed_addresses: ['0.0.0.0/0'] }))).toEqual([403, 'forbidden'])
    expect((await child({})).key.allowed_addresses).toEqual(['127.0.0.0/8'])
    expect(await refusal(inEnvironment(own, projectOf(1)).keys.create({ name: 'c', scopes: ['proxy:call'], expires_in_s: 60 }))).toEqual([
      403,
      'insufficient_scope',
    ])
  })

  it('K-04 ends with it whatever it made in any project, and is on record', async () => {
    const { key, secret } = await make()
    const children = await Promise.all(
      ([0, 1] as const).map((n) => inEnvironment(clientOf(secret), projectOf(n)).keys.create({ name: 'c', scopes: ['keys:read'] })),
    )
    const turned = await clientOf(secret).call('organizationKeyRotate', { params: { ...org(), key: key.id }, body: { overlap_s: 600 } })
    const all = [secret, turned.secret, ...children.map((child) => child.secret)]
    expect(await Promise.all(all.map(works))).toEqual([200, 200, 200, 200])
    await admin().call('organizationKeyRevoke', { params: { ...org(), key: key.id } })
    await expect.poll(() => Promise.all(all.map(works)), PATIENT).toEqual([401, 401, 401, 401])
    const of = (action: string) => admin().call('auditEventList', { params: org(), query: { action, target: key.id } })
    expect((await of('key.created')).data[0]?.detail).toMatchObject({ environment: 'live', scopes: MAKES })
    expect((await of('key.revoked')).data).toHaveLength(1)
  })

  it('R-12 is changed like any other, and K-01 never shown again', async () => {
    const { key, secret } = await make()
    const params = { ...org(), key: key.id }
    expect(
      await admin().call('organizationKeyUpdate', { params, body: { name: 'Renamed', allowed_addresses: ['198.51.100.0/24'] } }),
    ).toMatchObject({
      name: 'Renamed',
      environment: 'live',
    })
    expect(await works(secret)).toBe(403)
    const shown = JSON.stringify([
      await admin().call('organizationKeyGet', { params }),
      await admin().call('organizationKeyList', { params: org(), query: { limit: 200 } }),
    ])
    expect(shown).not.toContain(secret.split('_')[3])
  })
})
