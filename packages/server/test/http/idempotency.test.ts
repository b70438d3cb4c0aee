import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import { creationBegin, creationFind } from '../../src/db/index.ts'
import { asAdmin, asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const keysAt = (at = world.a): string => `/api/v1/orgs/${at.params.org}/projects/${at.params.project}/test/keys`

function makeKey(
  idempotencyKey: string,
  body: object = { name: 'once', scopes: ['proxy:call'] },
  headers = asPerson(world.a.people.OWNER),
  at = world.a,
) {
  return send(world, keysAt(at), { method: 'POST', headers: { ...headers, 'idempotency-key': idempotencyKey }, body })
}

async function made(name: string): Promise<number> {
  const [row] = await asAdmin(world.adminUrl, 'select count(*)::int as n from sallyport.api_key where name = $1', [name])
  return Number(row!['n'])
}

/** Puts the creation of `target` back to where it was committed and its answer not kept yet, as one that began `agoS` ago. */
async function committedOnly(target: string, agoS: number): Promise<void> {
  await asAdmin(
    world.adminUrl,
    `update sallyport.idempotent_creation set state = 'made', answer = null, begun_at = clock_timestamp() - make_interval(secs => $2)
     where target = $1`,
    [target, agoS],
  )
}

/** What stands of the creations in the database, as text. */
async function stored(): Promise<string> {
  return JSON.stringify(await asAdmin(world.adminUrl, "select c.*, encode(answer, 'escape') as seen from sallyport.idempotent_creation c"))
}

describe('a creation with an Idempotency-Key', () => {
  it('is done once and answered alike, secret and all, to the same caller in whatever order its fields stand', async () => {
    const key = newId('req')
    const name = `once ${key}`
    const first = await makeKey(key, { name, scopes: ['proxy:call'] })
    const again = await makeKey(key, { scopes: ['proxy:call'], name })
    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.text).toBe(first.text)
    expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true'])
    expect(await made(name)).toBe(1)
    expect((await send(world, keysAt(), { headers: asKey(first.json.secret) })).json).toMatchObject({ code: 'insufficient_scope' })
  })

  it('K-01 keeps nothing that opens anything: neither the key, nor the request, nor the secret of the answer', async () => {
    const key = newId('req')
    const { json } = await makeKey(key)
    const secret = json.secret.split('_')[3] as string
    for (const text of [key, secret, json.secret]) {
      expect(await stored()).not.toContain(text)
      expect(world.log.join('')).not.toContain(text)
    }
  })

  it('is another for another caller, and a conflict for another body, place or operation', async () => {
    const key = newId('req')
    const name = `other ${key}`
    await makeKey(key, { name, scopes: ['proxy:call'] })
    expect(
      (await makeKey(key, { name, scopes: ['proxy:call'] }, asPerson(world.a.people.ADMIN))).headers['idempotency-replayed'],
    ).toBeUndefined()
    expect(await made(name)).toBe(2)
    const live = keysAt().replace('/test/', '/live/')
    const headers = { ...asPerson(world.a.people.OWNER), 'idempotency-key': key }
    for (const answer of [
      await makeKey(key, { name: 'another', scopes: ['proxy:call'] }),
      await send(world, live, { method: 'POST', headers, body: { name, scopes: ['proxy:call'] } }),
      await send(world, `/api/v1/orgs/${world.a.params.org}/projects`, { method: 'POST', headers, body: { name } }),
    ]) {
      expect(answer.json).toMatchObject({ status: 409, code: 'idempotency_mismatch' })
    }
    expect(await made(name)).toBe(2)
  })

  it('makes one of many that are asked for at the same moment, and gives the others that one or tells them to wait', async () => {
    const key = newId('req')
    const name = `race ${key}`
    const answers = await Promise.all(Array.from({ length: 8 }, () => makeKey(key, { name, scopes: ['proxy:call'] })))
    expect(await made(name)).toBe(1)
    const given = answers.filter(({ status }) => status === 201)
    expect(new Set(given.map(({ text }) => text)).size).toBe(1)
    const others = answers.filter(({ status }) => status !== 201).map(({ json }) => json.code as string)
    expect(others.filter((code) => code !== 'idempotency_in_progress')).toEqual([])
    expect((await makeKey(key, { name, scopes: ['proxy:call'] })).text).toBe(given[0]!.text)
  })

  it('leaves the key free when nothing was made', async () => {
    const key = newId('req')
    const bound = { name: `free ${key}`, scopes: ['proxy:call'], connection: `conn_${'0'.repeat(22)}` }
    expect((await makeKey(key, bound)).status).toBe(404)
    expect((await makeKey(key, { name: `free ${key}`, scopes: ['proxy:call'] })).status).toBe(201)
  })

  it('is told apart from one whose answer was lost by a kill after the commit: what was made is named, and not made again', async () => {
    const key = newId('req')
    const name = `lost ${key}`
    const first = await makeKey(key, { name, scopes: ['proxy:call'] })
    await committedOnly(first.json.key.id, 61)
    const again = await makeKey(key, { name, scopes: ['proxy:call'] })
    expect(again.json).toMatchObject({ status: 409, code: 'idempotency_answer_lost' })
    expect(again.json.detail).toContain(first.json.key.id)
    expect(await made(name)).toBe(1)
  })

  it('is under way, and not lost, between the commit of what was made and the keeping of its answer', async () => {
    const key = newId('req')
    const name = `between ${key}`
    const first = await makeKey(key, { name, scopes: ['proxy:call'] })
    await committedOnly(first.json.key.id, 0)
    expect((await makeKey(key, { name, scopes: ['proxy:call'] })).json).toMatchObject({ status: 409, code: 'idempotency_in_progress' })
    expect(await made(name)).toBe(1)
  })

  it('is taken over from one that died before it made anything, and that one makes nothing any more', async () => {
    const [keyHash, requestHash] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    const [dead, next] = [newId('req'), newId('req')]
    const begin = (attempt: string) =>
      world.database.withTenant(world.a.org, (tx) => creationBegin(tx, { keyHash, requestHash, attempt }, 60))
    expect(await begin(dead)).toBe(true)
    expect(await begin(next)).toBe(false)
    await asAdmin(
      world.adminUrl,
      `update sallyport.idempotent_creation set begun_at = begun_at - interval '61 seconds' where attempt = $1`,
      [dead],
    )
    expect(await begin(next)).toBe(true)
    const [row] = await asAdmin(world.adminUrl, 'select attempt from sallyport.idempotent_creation where key_hash = $1', [keyHash])
    expect(row!['attempt']).toBe(next)
  })

  it('is forgotten after a day', async () => {
    const key = newId('req')
    const first = await makeKey(key)
    await asAdmin(world.adminUrl, `update sallyport.idempotent_creation set begun_at = begun_at - interval '25 hours'`)
    const again: Answer = await makeKey(key)
    expect(again.json.key.id).not.toBe(first.json.key.id)
    await asAdmin(world.adminUrl, `update sallyport.idempotent_creation set begun_at = begun_at - interval '25 hours'`)
    expect(await world.database.lookups.idempotencySweep(10_000)).toBeGreaterThan(0)
    expect(await world.database.withTenant(world.a.org, (tx) => creationFind(tx, Buffer.alloc(32, 1)))).toBeUndefined()
  })

  it.each(['', 'with a space', 'x'.repeat(256)])('refuses a key that is none: %j', async (key) => {
    const { json } = await makeKey(key)
    expect(json).toMatchObject({ status: 400, code: 'idempotency_key_invalid' })
  })

  it('works through every operation that creates something in an organization', async () => {
    const { org, project } = world.b.params
    const base = `/api/v1/orgs/${org}`
    const env = `${base}/projects/${project}/test`
    const creations: [string, object][] = [
      [`${base}/projects`, { name: 'P' }],
      [`${base}/invitations`, { email: 'once@example.com', role: 'VIEWER' }],
      [`${env}/integrations`, { slug: 'once', provider: 'github', client_id: 'c', client_secret: 'not-a-secret' }],
      [`${env}/connect-sessions`, { integration: 'github', end_user_id: 'user-1' }],
      [`${env}/connections/import`, { integration: 'github', end_user_id: 'user-7', access_token: 'fake-token' }],
      [`${env}/integrations/${world.b.params.integration}/event-sources`, { kind: 'github' }],
    ]
    for (const [path, body] of creations) {
      const headers = { ...asPerson(world.b.people.OWNER), 'idempotency-key': newId('req') }
      const [first, again] = [
        await send(world, path, { method: 'POST', headers, body }),
        await send(world, path, { method: 'POST', headers, body }),
      ]
      expect([first.status, again.status, again.headers['idempotency-replayed']], path + first.text).toEqual([201, 201, 'true'])
      expect(again.text).toBe(first.text)
    }
  })
})
