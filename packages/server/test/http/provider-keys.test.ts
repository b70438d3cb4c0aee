/** Keys of model providers, over the typed client: what is kept, what is told of it, and what is left when it has ended. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, SallyportApiError } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { listModelProviders, parseId } from '@sallyport/core'
import { asAdmin, createWorld } from './world.ts'
import type { TestOrg, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const person = (at: TestOrg, role: 'ADMIN' | 'DEVELOPER' = 'ADMIN'): Client =>
  createClient({ baseUrl: world.url, cookies: at.people[role].cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const placeOf = ({ params }: TestOrg) => ({ org: params.org, project: params.project, environment: 'test' as const })
const orgOf = ({ params }: TestOrg) => ({ org: params.org })
let names = 0
const named = (): string => `key ${(names += 1)}`
const SECRET = 'canary-not-a-real-provider-key-9f3a'
const wanted = (more: object = {}) => ({ provider: 'openai', name: named(), secret: SECRET, settings: {}, ...more })

async function refusal(call: Promise<unknown>): Promise<{ code: string; faults: readonly unknown[] }> {
  const error = await call.then(
    () => expect.unreachable('the call was not refused'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SallyportApiError)
  const { code, message, errors = [] } = error as SallyportApiError
  expect(message + JSON.stringify(errors)).not.toContain(SECRET)
  return { code, faults: errors.map(({ pointer }) => pointer) }
}

describe('a model provider’s key', () => {
  it('K-01 L-01 is kept sealed, told by its end and its fingerprint, and given out by nothing', async () => {
    const client = person(world.a)
    const made = await client.call('providerKeyCreate', { params: placeOf(world.a), body: wanted() })
    expect(made).toMatchObject({ provider: 'openai', masked: '…9f3a', state: 'active', project: world.a.params.project, ends_at: null })
    expect(made.fingerprint).toMatch(/^[0-9a-f]{32}$/u)
    await world.flush()
    const listed = await client.call('providerKeyList', { params: placeOf(world.a), query: { limit: 200 } })
    const audit = await person(world.a).call('auditEventList', { params: orgOf(world.a), query: { limit: 200 } })
    expect(audit.data.map(({ action }) => action)).toContain('provider_key.created')
    const rows = await asAdmin(world.adminUrl, 'select k::text as text from sallyport.provider_key k')
    for (const text of [made, listed, audit, rows].map((what) => JSON.stringify(what)))
      expect(text).not.toContain('not-a-real-provider-key-9')
    expect(world.log.join('\n')).not.toContain(SECRET)
  })

  it('of one secret has one fingerprint in an organization, and another one in every other', async () => {
    const fingerprint = async (at: TestOrg, body: object = {}): Promise<string> =>
      (await person(at).call('providerKeyCreate', { params: placeOf(at), body: wanted(body) })).fingerprint
    const first = await fingerprint(world.a)
    expect(await fingerprint(world.a, { provider: 'groq' })).toBe(first)
    expect(await fingerprint(world.a, { secret: `${SECRET}-other` })).not.toBe(first)
    expect(await fingerprint(world.b)).not.toBe(first)
  })

  it('stands once under a name in each place: another one is refused, elsewhere it is another', async () => {
    const client = person(world.a)
    const body = wanted()
    await client.call('providerKeyCreate', { params: placeOf(world.a), body })
    expect(await refusal(client.call('providerKeyCreate', { params: placeOf(world.a), body }))).toMatchObject({ code: 'conflict' })
    await client.call('providerKeyCreate', { params: placeOf(world.a), body: { ...body, provider: 'groq' } })
    await client.call('providerKeyCreate', { params: { ...placeOf(world.a), environment: 'live' }, body })
    expect(await client.call('organizationProviderKeyCreate', { params: orgOf(world.a), body })).toMatchObject({
      project: null,
      environment: null,
    })
    expect(await refusal(client.call('organizationProviderKeyCreate', { params: orgOf(world.a), body }))).toMatchObject({
      code: 'conflict',
    })
  })

  it.each([
    ['a provider that nobody knows', { provider: 'nobody' }, '/body/provider'],
    ['a key that would end a header', { secret: `${SECRET}\r\nx: y` }, '/body/secret'],
    ['a key where AWS has two parts', { provider: 'bedrock', settings: { region: 'eu-west-1' } }, '/body/secret'],
    ['a missing setting', { provider: 'azure-openai' }, '/body/settings/resource'],
    ['S-02 a setting that leads elsewhere', { provider: 'azure-openai', settings: { resource: 'evil.test/' } }, '/body/settings/resource'],
    ['a setting that the provider does not have', { settings: { region: 'eu' } }, '/body/settings/region'],
  ])('is refused with %s, which is named and not repeated', async (_what, more, pointer) => {
    const { code, faults } = await refusal(person(world.a).call('providerKeyCreate', { params: placeOf(world.a), body: wanted(more) }))
    expect({ code, faults }).toEqual({ code: 'validation_failed', faults: [pointer] })
  })

  it('is replaced with an overlap: both are there, then the old one’s secret is gone', async () => {
    const client = person(world.a)
    const params = placeOf(world.a)
    const first = await client.call('providerKeyCreate', {
      params,
      body: wanted({ provider: 'azure-openai', settings: { resource: 'ours' } }),
    })
    const rotate = (id: string, overlap_s: number) =>
      client.call('providerKeyRotate', { params: { ...params, provider_key: id }, body: { secret: `${SECRET}-next`, overlap_s } })
    const { key, replaced } = await rotate(first.id, 3600)
    expect(key).toMatchObject({
      name: first.name,
      provider: 'azure-openai',
      settings: { resource: 'ours' },
      replaces: first.id,
      state: 'active',
    })
    expect(replaced).toMatchObject({ id: first.id, state: 'ending' })
    expect(await sealedOf(first.id)).toBe(true)
    expect(await refusal(rotate(first.id, 0))).toMatchObject({ code: 'conflict' })
    const { replaced: at } = await rotate(key.id, 0)
    expect([at.state, await sealedOf(key.id)]).toEqual(['ended', false])
    await asAdmin(world.adminUrl, `update sallyport.provider_key set ends_at = clock_timestamp() where id = $1`, [
      parseId('pkey', first.id),
    ])
    expect(await world.database.lookups.providerKeySweep(10_000)).toBe(1)
    expect(await sealedOf(first.id)).toBe(false)
  })

  it('of two who rotate it at once is replaced once', async () => {
    const client = person(world.a)
    const params = placeOf(world.a)
    const { id } = await client.call('providerKeyCreate', { params, body: wanted() })
    const rotations = await Promise.allSettled(
      [1, 2, 3].map(() =>
        client.call('providerKeyRotate', { params: { ...params, provider_key: id }, body: { secret: `${SECRET}-next`, overlap_s: 60 } }),
      ),
    )
    expect(rotations.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected'])
  })

  it('is forgotten when it is revoked, once, and its name is free again', async () => {
    const client = person(world.a)
    const params = placeOf(world.a)
    const body = wanted()
    const { id } = await client.call('providerKeyCreate', { params, body })
    const revoke = () => client.call('providerKeyRevoke', { params: { ...params, provider_key: id } })
    const revoked = await revoke()
    expect([revoked.state, await sealedOf(id)]).toEqual(['ended', false])
    expect(await revoke()).toEqual(revoked)
    const events = await client.call('auditEventList', { params: orgOf(world.a), query: { limit: 200 } })
    expect(events.data.filter(({ action, target }) => action === 'provider_key.revoked' && target === id)).toHaveLength(1)
    expect((await client.call('providerKeyCreate', { params, body })).id).not.toBe(id)
  })

  it('T-10 is no matter of developers, nor of a key that is bound to one connection', async () => {
    const params = placeOf(world.a)
    expect(await refusal(person(world.a, 'DEVELOPER').call('providerKeyCreate', { params, body: wanted() }))).toMatchObject({
      code: 'forbidden',
    })
    const bound = await world.makeKey(world.a, { connection: world.a.connection })
    const client = createClient({ baseUrl: world.url, key: bound })
    expect(await refusal(client.call('providerKeyList', { params, query: {} }))).toMatchObject({ code: 'forbidden' })
    expect(await refusal(client.call('providerKeyCreate', { params, body: wanted() }))).toMatchObject({ code: 'forbidden' })
  })

  it('is listed page by page, the organization’s apart from the environment’s', async () => {
    const client = person(world.b)
    for (let made = 0; made < 3; made++) await client.call('organizationProviderKeyCreate', { params: orgOf(world.b), body: wanted() })
    const first = await client.call('organizationProviderKeyList', { params: orgOf(world.b), query: { limit: 2 } })
    const rest = await client.call('organizationProviderKeyList', {
      params: orgOf(world.b),
      query: { limit: 200, cursor: first.next_cursor! },
    })
    const all = [...first.data, ...rest.data]
    expect(all.length).toBeGreaterThanOrEqual(4)
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
    expect(all.every(({ project }) => project === null)).toBe(true)
  })

  it('is kept for the providers that are listed, with what each needs', async () => {
    const { data } = await person(world.a).call('modelProviderList', {})
    expect(data.map(({ id }) => id)).toEqual(listModelProviders().map(({ id }) => id))
    expect(data.find(({ id }) => id === 'bedrock')).toMatchObject({ credential: 'aws', settings: [{ name: 'region' }] })
  })
})

/** Whether anything of its secret is there still. */
async function sealedOf(id: string): Promise<boolean> {
  const rows = await asAdmin(world.adminUrl, 'select sealed is not null as there from sallyport.provider_key where id = $1', [
    parseId('pkey', id),
  ])
  return rows[0]!['there'] as boolean
}
