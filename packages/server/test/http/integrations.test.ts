/** Integrations that change and go, over HTTP and in the database. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, newId, parseId } from '@sallyport/core'
import type { IntegrationId } from '@sallyport/core'
import { integrationFind, integrationRemove } from '../../src/db/index.ts'
import { clientSecretPlace } from '../../src/vault/index.ts'
import { asAdmin, asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, Sent, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const at = (id: string, environment = 'test'): string =>
  `/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/${environment}/integrations${id === '' ? '' : `/${id}`}`
const owner = (path: string, sent: Sent = {}): Promise<Answer> => send(world, path, { headers: asPerson(world.a.people.OWNER), ...sent })
const change = (id: string, body: unknown): Promise<Answer> => owner(at(id), { method: 'PATCH', body })
const place = () => ({ project: world.a.projects[0], environment: 'test' }) as const

async function made(slug: string): Promise<string> {
  const body = { slug, provider: 'github', client_id: 'first', client_secret: 'not-a-real-first-secret' }
  return (await owner(at(''), { method: 'POST', body })).json.id
}

async function secretOf(id: string): Promise<string> {
  const uuid = parseId('int', id) as IntegrationId
  const row = await world.database.withTenant(world.a.org, (tx) => integrationFind(tx, place(), uuid))
  return (await world.vault.open(world.a.org, clientSecretPlace(uuid), row!.clientSecret)).reveal()
}

async function eventsOf(id: string): Promise<{ action: string; detail: Record<string, unknown> }[]> {
  const { json } = await owner(`/api/v1/orgs/${world.a.params.org}/audit-events?limit=200&target=${id}`)
  return json.data
}

describe('an integration', () => {
  it('S100 gets another client secret in place: sealed, on record without it, and its connections stay', async () => {
    const canary = 'not-a-real-second-secret'
    const before = await owner(at(world.a.params.integration))
    const answer = await change(world.a.params.integration, { client_secret: canary })
    expect([answer.status, answer.json]).toEqual([200, before.json])
    expect(await secretOf(world.a.params.integration)).toBe(canary)
    const [event] = await eventsOf(world.a.params.integration)
    expect(event).toMatchObject({ action: 'integration.updated', detail: { client_secret: 'replaced' } })
    const connections = await owner(`/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/test/connections`)
    expect(connections.json.data.map(({ status }: { status: string }) => status)).toEqual(['active'])
    const stored = await asAdmin(world.adminUrl, 'select client_secret from sallyport.integration')
    expect(stored.some(({ client_secret }) => (client_secret as Buffer).includes(canary))).toBe(false)
    expect(world.log.join('\n')).not.toContain(canary)
  })

  it('T-10 is changed in nothing by a key that is bound to one connection, whatever it holds', async () => {
    const bound = await world.makeKey(world.a, { connection: world.a.connection })
    const id = world.a.params.integration
    const before = await secretOf(id)
    const spare = await made('spare')
    const asked: [string, Sent][] = [
      ['', { method: 'POST', body: { slug: 'another', provider: 'github', client_id: 'c', client_secret: 'not-a-real-secret' } }],
      [id, { method: 'PATCH', body: { client_secret: 'not-a-real-hostile-secret' } }],
      [spare, { method: 'DELETE' }],
      [`${id}/event-sources`, { method: 'POST', body: { kind: 'github' } }],
    ]
    for (const [path, sent] of asked) {
      const answer = await send(world, at(path), { ...sent, headers: asKey(bound) })
      expect([path, answer.status, answer.json.code]).toEqual([path, 403, 'forbidden'])
    }
    expect([await secretOf(id), (await owner(at(spare))).status]).toEqual([before, 200])
    expect((await send(world, at(id), { headers: asKey(bound) })).status).toBe(200)
  })

  it('asks for other scopes from then on, says what was before, and what stands already is no change', async () => {
    const id = await made('scoped')
    expect((await change(id, { scopes: ['repo', 'repo', 'gist'] })).json.scopes).toEqual(['repo', 'gist'])
    expect((await change(id, { scopes: ['repo', 'gist'], client_id: 'first' })).status).toBe(200)
    const events = (await eventsOf(id)).filter(({ action }) => action === 'integration.updated')
    expect(events).toHaveLength(1)
    expect(events[0]!.detail).toMatchObject({ scopes: { to: ['repo', 'gist'] } })
  })

  it('keeps the client id that its connections were granted to, and takes another while it has none', async () => {
    const refused = await change(world.a.params.integration, { client_id: 'another', client_secret: 'not-a-real-third-secret' })
    expect([refused.status, refused.json.code]).toEqual([409, 'conflict'])
    expect(await secretOf(world.a.params.integration)).not.toBe('not-a-real-third-secret')
    const id = await made('without-connections')
    expect((await change(id, { client_id: 'second' })).json.client_id).toBe('second')
  })

  it.each([{}, { slug: 'other' }, { provider: 'google' }, { client_secret: '' }, { context: 'x' }])(
    'T-08 takes no change that is none, and none of what it is known by: %j',
    async (body) => {
      expect((await change(world.a.params.integration, body)).json.code).toBe('validation_failed')
    },
  )

  it('is there for keys with the scope alone, in their own environment alone', async () => {
    const body = { client_secret: 'not-a-real-secret' }
    const patch = async (key: string, path: string) => (await send(world, path, { method: 'PATCH', headers: asKey(key), body })).json.code
    const id = await made('for-keys')
    expect(await patch(await world.makeKey(world.a, { scopes: ['integrations:read'] }), at(id))).toBe('insufficient_scope')
    expect(await patch(await world.makeKey(world.a, { scopes: ['integrations:write'], environment: 'live' }), at(id))).toBe(
      'environment_mismatch',
    )
    expect(await patch(world.b.key, at(id))).toBe('not_found')
    expect(await patch(await world.makeKey(world.a, { scopes: ['integrations:write'] }), at(id))).toBeUndefined()
  })

  it('goes with its links and event sources when nothing needs it, and its slug is free again', async () => {
    const id = await made('goes')
    const source = await owner(`${at(id)}/event-sources`, { method: 'POST', body: { kind: 'github' } })
    expect(source.status).toBe(201)
    expect((await owner(at(id), { method: 'DELETE' })).status).toBe(204)
    expect((await owner(at(id))).status).toBe(404)
    expect((await owner(at(id), { method: 'DELETE' })).status).toBe(404)
    expect((await eventsOf(id)).map(({ action }) => action)).toContain('integration.deleted')
    expect(await made('goes')).toMatch(/^int_/u)
  })

  it('does not go, nor become another client, while a connection lives or its provider is still to be told, and the database says so too', async () => {
    const uuid = parseId('int', world.a.params.integration) as IntegrationId
    const remove = () => owner(at(world.a.params.integration), { method: 'DELETE' })
    expect((await remove()).json.detail).toContain('Disconnect')
    expect(await world.database.withTenant(world.a.org, (tx) => integrationRemove(tx, uuid))).toBe(false)
    const connection = `/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/test/connections/${world.a.params.connection}`
    expect((await owner(connection, { method: 'DELETE' })).status).toBeLessThan(300)
    // This world has no outside, so the provider was not told.
    expect((await remove()).json.detail).toContain('still to be told')
    const other = await change(world.a.params.integration, { client_id: 'another' })
    expect([other.status, other.json.code, other.json.detail]).toEqual([409, 'conflict', expect.stringContaining('still to be told')])
    expect((await change(world.a.params.integration, { client_secret: 'not-a-real-last-secret' })).status).toBe(200)
    expect(await world.database.withTenant(world.a.org, (tx) => integrationRemove(tx, uuid))).toBe(false)
    await asAdmin(world.adminUrl, `update sallyport.revocation set state = 'given_up', settled_at = now(), sealed = null`)
    expect((await change(world.a.params.integration, { client_id: 'another' })).json.client_id).toBe('another')
    expect((await remove()).status).toBe(204)
    expect((await owner(connection)).status).toBe(404)
  })

  it('of another organization can not be told from one that is not there', async () => {
    const random = formatId('int', newId('int'))
    for (const method of ['PATCH', 'DELETE']) {
      const sent = method === 'PATCH' ? { method, body: { client_secret: 'x' } } : { method }
      const answers = [await owner(at(world.b.params.integration), sent), await owner(at(random), sent)]
      expect(answers.map(({ status, json }) => [status, json.code])).toEqual([
        [404, 'not_found'],
        [404, 'not_found'],
      ])
    }
  })
})
