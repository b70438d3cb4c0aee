/** Credentials that the application holds already: taken over, sealed, and not shown again. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations } from '@sallyport/contract'
import { newId, parseId, readTokenSet } from '@sallyport/core'
import { credentialHead } from '../../src/db/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { asKey, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

let world: World
let key: string
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
  key = await world.makeKey(world.a, { environment: 'test', scopes: ['connections:write', 'connections:read'] })
})
afterAll(() => world?.close())

const canary = `canary-${newId('req')}`

function importing(body: object, as = key): Promise<Answer> {
  const { org, project, environment } = world.a.params
  const path = operations.connectionImport.path.replace('{org}', org).replace('{project}', project).replace('{environment}', environment)
  return send(world, path, { method: 'POST', headers: asKey(as), body })
}

const whole = (over: object = {}) => ({
  integration: 'github',
  end_user_id: `user-${newId('req')}`,
  access_token: `fake-access-${canary}`,
  refresh_token: `fake-refresh-${canary}`,
  expires_at: '2030-01-01T00:00:00Z',
  scopes: ['repo'],
  account: { id: newId('req'), label: 'octo' },
  ...over,
})

describe('importing a credential', () => {
  it('makes a usable connection, and shows neither token, nor writes one down', async () => {
    const answer = await importing(whole())
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
    expect([tokens.accessToken.reveal(), tokens.refreshToken?.reveal()]).toEqual([`fake-access-${canary}`, `fake-refresh-${canary}`])
  })

  it('says which scopes are missing, and takes those of the integration where none are named', async () => {
    expect((await importing(whole({ scopes: ['gist'] }))).json).toMatchObject({ status: 'insufficient_scope', missing_scopes: ['repo'] })
    expect((await importing(whole({ scopes: undefined }))).json).toMatchObject({ status: 'active', granted_scopes: ['repo'] })
  })

  it('takes one account of an end user once, also when it is imported twice at the same time', async () => {
    const body = whole()
    const answers = await Promise.all([importing(body), importing(body), importing(body)])
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['201', '409', '409'])
    expect((await importing({ ...body, end_user_id: 'another-user' })).status).toBe(201)
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
