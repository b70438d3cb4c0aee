/** Credentials that the application holds already: taken over, sealed, and not shown again. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations } from '@sallyport/contract'
import { newId, parseId, readTokenSet, Secret } from '@sallyport/core'
import type { TokenSet } from '@sallyport/core'
import { credentialHead, credentialPrune, dataKeyFindCurrent, integrationInsert } from '../../src/db/index.ts'
import { clientSecretPlace, credentialPlace } from '../../src/vault/index.ts'
import { asAdmin, asKey, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

let world: World
let key: string
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
  key = await world.makeKey(world.a, { environment: 'test', scopes: ['connections:write', 'connections:read'] })
})
afterAll(() => world?.close())

const canary = `canary-${newId('req')}`

interface Where {
  readonly org: string
  readonly project: string
  readonly environment: string
}

function importing(body: object, as = key, where: Where = world.a.params): Promise<Answer> {
  const { org, project, environment } = where
  const path = operations.connectionImport.path.replace('{org}', org).replace('{project}', project).replace('{environment}', environment)
  return send(world, path, { method: 'POST', headers: asKey(as), body })
}

const whole = (over: object = {}) => ({
  integration: 'github',
  end_user_id: `user-${newId('req')}`,
  access_token: `fake-access-${canary}`,
  refresh_token: `fake-refresh-${canary}-${newId('req')}`,
  expires_at: '2030-01-01T00:00:00Z',
  scopes: ['repo'],
  account: { id: newId('req'), label: 'octo' },
  ...over,
})

describe('importing a credential', () => {
  it('makes a usable connection, and shows neither token, nor writes one down', async () => {
    const body = whole()
    const answer = await importing(body)
    expect(answer).toMatchObject({
      status: 201,
      json: {
        status: 'active',
        health: 'active',
        failure: null,
        generation: 1,
        token_expires_at: '2030-01-01T00:00:00.000Z',
        missing_scopes: [],
      },
    })
    expect(answer.text).not.toContain(canary)
    expect(world.log.join('\n')).not.toContain(canary)
    const id = parseId('conn', answer.json.id)!
    const { org } = world.a
    const head = (await world.database.withTenant(org, (tx) => credentialHead(tx, id)))!
    expect(head.sealed.includes(canary)).toBe(false)
    const tokens = readTokenSet(await world.vault.open(org, credentialPlace(id, head.seq), head.sealed))
    expect([tokens.accessToken.reveal(), tokens.refreshToken?.reveal()]).toEqual([`fake-access-${canary}`, body.refresh_token])
  })

  it('says which scopes are missing, and takes those of the integration where none are named', async () => {
    expect((await importing(whole({ scopes: ['gist'] }))).json).toMatchObject({ status: 'insufficient_scope', missing_scopes: ['repo'] })
    expect((await importing(whole({ scopes: undefined }))).json).toMatchObject({ status: 'active', granted_scopes: ['repo'] })
  })

  it('takes one account of an end user once, also when it is imported twice at the same time', async () => {
    const body = whole()
    const answers = await Promise.all([importing(body), importing(body), importing(body)])
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['201', '409', '409'])
    expect((await importing(whole({ end_user_id: 'another-user', account: body.account }))).status).toBe(201)
  })

  it.each([
    ['a token that would end a header', { access_token: 'a\r\nb' }],
    ['an empty token', { access_token: '' }],
    ['a refresh token with a space', { refresh_token: 'a b' }],
    ['a date that is none', { expires_at: 'tomorrow' }],
    ['a scope with a space', { scopes: ['a b'] }],
    ['a state that is ours to say', { status: 'active' }],
  ])('refuses %s, and repeats nothing of it', async (_what, over) => {
    const answer = await importing(whole(over))
    expect(answer).toMatchObject({ status: 400, json: { code: 'validation_failed' } })
    expect(answer.text).not.toContain(canary)
  })

  it('knows no integration of elsewhere, and lets no bound key make connections', async () => {
    expect((await importing(whole({ integration: 'nowhere' }))).status).toBe(404)
    const connection = parseId('conn', world.a.params.connection)!
    const bound = await world.makeKey(world.a, { environment: 'test', scopes: ['connections:write'], connection })
    expect((await importing(whole(), bound)).json).toMatchObject({ status: 403, code: 'forbidden' })
  })
})

describe('a refresh token that is imported again', () => {
  const another = () => ({ end_user_id: `user-${newId('req')}`, account: { id: newId('req') } })
  const held = { status: 409, json: { code: 'refresh_token_held' } }

  it('S2 is refused, whoever it is said to be of, and the connection that holds it is named', async () => {
    const body = whole()
    const { id } = (await importing(body)).json
    for (const over of [another(), { account: undefined }, { ...another(), scopes: [] }]) {
      const answer = await importing({ ...body, ...over })
      expect(answer).toMatchObject(held)
      expect(answer.json.detail).toContain(id)
      expect(answer.text).not.toContain(body.refresh_token)
    }
  })

  it('S2 makes one connection, however many import it at the same time, and through whichever integration of the provider', async () => {
    await addIntegration('github-too', 'github', 'test')
    for (let round = 0; round < 5; round++) {
      const body = whole()
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, n) => importing({ ...body, ...another(), integration: n % 2 === 0 ? 'github' : 'github-too' })),
      )
      expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['201', '409', '409', '409', '409', '409'])
    }
  })

  it('T-01 names no connection of another environment, and tells another organization nothing', async () => {
    const body = whole()
    const { id } = (await importing(body)).json
    await addIntegration('github', 'github', 'live')
    const live = await world.makeKey(world.a, { environment: 'live', scopes: ['connections:write'] })
    const answer = await importing(body, live, { ...world.a.params, environment: 'live' })
    expect(answer).toMatchObject(held)
    expect(answer.text).not.toContain(id)
    const foreign = await world.makeKey(world.b, { environment: 'test', scopes: ['connections:write'] })
    expect((await importing(body, foreign, world.b.params)).status).toBe(201)
    const prints = await asAdmin(
      world.adminUrl,
      'select count(distinct fingerprint) as prints from sallyport.refresh_token_holder where connection_id in (select id from sallyport.connection where end_user_id = $1)',
      [body.end_user_id],
    )
    expect(prints).toEqual([{ prints: '2' }])
  })

  it('is known as one that is spent, too, for as long as its version is kept', async () => {
    const body = whole()
    const id = parseId('conn', (await importing(body)).json.id)!
    const refreshToken = new Secret(`fake-successor-${newId('req')}`)
    await world.database.withTenant(world.a.org, (tx) => {
      const tokens = { ...tokensOf(body.access_token), refreshToken }
      return world.lineage.consent(tx, id, tokens, { status: 'active', onHeld: () => undefined })
    })
    expect(await importing({ ...body, ...another() })).toMatchObject(held)
    expect(await importing({ ...body, ...another(), refresh_token: refreshToken.reveal() })).toMatchObject(held)
    await world.database.withTenant(world.a.org, (tx) => credentialPrune(tx, new Date(Date.now() + 60_000)))
    expect((await importing({ ...body, ...another() })).status).toBe(201)
    expect(await importing({ ...body, ...another(), refresh_token: refreshToken.reveal() })).toMatchObject(held)
  })

  it('is taken once the connection that held it is disconnected', async () => {
    const body = whole()
    const { id } = (await importing(body)).json
    const { org, project, environment } = world.a.params
    await send(world, `/api/v1/orgs/${org}/projects/${project}/${environment}/connections/${id}`, { method: 'DELETE', headers: asKey(key) })
    expect((await importing(body)).status).toBe(201)
    expect(await importing({ ...body, ...another() })).toMatchObject(held)
  })

  it('S2 is known under every data key', async () => {
    const body = whole()
    expect((await importing(body)).status).toBe(201)
    const current = await world.database.withTenant(world.a.org, (tx) => dataKeyFindCurrent(tx))
    await world.database.withTenant(world.a.org, (tx) => world.vault.renew(tx, current!.id))
    expect(await importing({ ...body, ...another() })).toMatchObject(held)
  })

  it('is taken of another end user where the provider never rotates, and of the same one only once', async () => {
    await addIntegration('google', 'google', 'test')
    const body = whole({ integration: 'google', scopes: [] })
    expect((await importing(body)).status).toBe(201)
    expect((await importing({ ...body, end_user_id: 'who-shares-the-account' })).status).toBe(201)
    expect(await importing({ ...body, account: undefined })).toMatchObject(held)
    expect(await importing({ ...body, end_user_id: 'who-shares-the-account', account: undefined })).toMatchObject(held)
  })
})

function tokensOf(accessToken: string): TokenSet {
  return {
    accessToken: new Secret(accessToken),
    refreshToken: null,
    tokenType: 'bearer',
    expiresAt: null,
    scopes: [],
    extra: new Secret('{}'),
  }
}

async function addIntegration(slug: string, provider: string, environment: 'live' | 'test'): Promise<void> {
  const id = newId('int')
  const project = parseId('proj', world.a.params.project)!
  await world.database.withTenant(world.a.org, async (tx) => {
    const clientSecret = await world.vault.seal(tx, clientSecretPlace(id), new Secret('not-a-real-client-secret'))
    const client = { context: newId('req').repeat(2).slice(0, 36), clientId: `client-${slug}`, clientSecret, scopes: ['repo'] }
    await integrationInsert(tx, { project, environment, id, slug, provider, ...client })
  })
}
