/** What stands on every answer, whoever gives it, and what web pages of other origins may do. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { EDGE_HEADERS } from '../../src/http/index.ts'
import { asKey, asPerson, createWorld, send } from './world.ts'
import type { World } from './world.ts'

const PAGE = 'https://app.test'

let world: World
let ending = false
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'), {
    publicUrl: 'https://gateway.test',
    ready: () => (ending ? Promise.reject(new Error('ending')) : Promise.resolve('ok')),
  })
  const path = `/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/browser-access`
  const headers = asPerson(world.a.people.OWNER, 'https://gateway.test')
  const set = await send(world, path, { method: 'PATCH', headers, body: { origins: [PAGE, 'https://admin.app.test:8443'] } })
  expect(set.json).toEqual({ origins: [PAGE, 'https://admin.app.test:8443'] })
})
afterAll(() => world?.close())

const WHOAMI = '/api/v1/whoami'
const ALWAYS = { ...EDGE_HEADERS, 'strict-transport-security': 'max-age=31536000' }

/** Bytes as they are; the head of what came back, by lower-case name. */
async function rawHead(text: string): Promise<Record<string, string>> {
  const socket = connect(world.port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => undefined)
  socket.end(text)
  await new Promise((resolve) => socket.once('close', resolve))
  const [, ...lines] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n')[0]!.split('\r\n')
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]))
}

describe('the headers of every answer', () => {
  it.each([
    ['a success', WHOAMI, 200, () => asKey(world.a.key)],
    ['nobody', WHOAMI, 401, () => ({})],
    ['a path that is not there', '/api/v1/nothing', 404, () => ({})],
    ['a path of no part of it', '/nothing', 404, () => ({})],
    ['a method that is not taken', WHOAMI, 405, () => ({})],
    ['too many headers', WHOAMI, 431, () => Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, 'x']))],
    ['health', '/healthz', 200, () => ({})],
    ['readiness', '/readyz', 200, () => ({})],
    ['two credentials', WHOAMI, 400, () => ({ ...asKey(world.a.key), 'x-api-key': 'x' })],
  ])('X-02 L-19 are there for %s', async (_what, path, status, headers) => {
    const answer = await send(world, path, { method: status === 405 ? 'DELETE' : 'GET', headers: headers() })
    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject({ ...ALWAYS, 'cache-control': 'no-store' })
    expect(answer.headers['x-powered-by'] ?? answer.headers['server']).toBeUndefined()
  })

  it('X-02 L-19 are there for what is no HTTP, and for a node that is not ready', async () => {
    expect(await rawHead('NONSENSE\r\n\r\n')).toMatchObject({ ...ALWAYS, 'cache-control': 'no-store' })
    ending = true
    const answer = await send(world, '/readyz')
    ending = false
    expect(answer).toMatchObject({ status: 503, headers: { ...ALWAYS, 'cache-control': 'no-store' } })
  })
})

const ask = (path: string, origin: string | readonly string[], headers: Record<string, string> = {}) =>
  send(world, path, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', ...headers } })

describe('a page of another origin', () => {
  it('R-10 that a project lists may call with a key, by exactly that origin, and is told so before and with each answer', async () => {
    for (const path of ['/proxy/api/user', WHOAMI]) {
      const before = await ask(path, PAGE, { 'access-control-request-headers': 'authorization,sallyport-connection, x-any' })
      expect(before).toMatchObject({
        status: 204,
        headers: {
          'access-control-allow-origin': PAGE,
          'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
          'access-control-allow-headers': 'authorization,sallyport-connection, x-any',
          vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
        },
      })
      expect(before.headers['access-control-allow-credentials']).toBeUndefined()
    }
    const answer = await send(world, WHOAMI, { headers: { ...asKey(world.a.key), origin: PAGE } })
    expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': PAGE, vary: 'Origin' } })
    expect(answer.headers['access-control-expose-headers']).toContain('RateLimit')
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
    const refused = await send(world, '/api/v1/orgs/org_1/projects', { headers: { ...asKey(world.a.key), origin: PAGE } })
    expect(refused.headers['access-control-allow-origin']).toBe(PAGE)
  })

  it.each([
    'null',
    '*',
    '',
    'http://127.0.0.1:7255',
    'http://localhost',
    'http://app.test',
    'https://app.test:8443',
    'https://app.test.evil.test',
    'https://evilapp.test',
    'https://APP.test',
    'https://app.test/',
    'https://user@app.test',
    `https://${'a'.repeat(400)}.test`,
  ])('R-10 of %j is told nothing', async (origin) => {
    const answers = [
      await ask('/proxy/api/user', origin),
      await ask(WHOAMI, origin, { cookie: world.a.people.OWNER.cookie }),
      await send(world, WHOAMI, { headers: { ...asKey(world.a.key), origin } }),
    ]
    for (const { headers } of answers) {
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    }
  })

  it("R-10 that one project lists is told nothing with another's key, nor with a session, nor when it claims two origins", async () => {
    const other = await send(world, WHOAMI, { headers: { ...asKey(world.b.key), origin: PAGE } })
    const session = await send(world, WHOAMI, { headers: { cookie: world.a.people.OWNER.cookie, origin: PAGE } })
    const two = await send(world, WHOAMI, { headers: { ...asKey(world.a.key), origin: [PAGE, 'https://evil.test'] } })
    for (const { headers, status } of [other, session, two]) {
      expect(status).toBe(200)
      expect(headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  it('R-10 R-12 loses it when the list is changed', async () => {
    const at = world.b.params
    const path = `/api/v1/orgs/${at.org}/projects/${at.project}/browser-access`
    const headers = asPerson(world.b.people.OWNER, 'https://gateway.test')
    const page = 'https://b.test'
    const allowed = async () => [
      (await ask('/proxy/api/x', page)).headers['access-control-allow-origin'],
      (await send(world, WHOAMI, { headers: { ...asKey(world.b.key), origin: page } })).headers['access-control-allow-origin'],
    ]
    expect(await allowed()).toEqual([undefined, undefined])
    await send(world, path, { method: 'PATCH', headers, body: { origins: [page] } })
    expect(await allowed()).toEqual([page, page])
    await send(world, path, { method: 'PATCH', headers, body: { origins: [] } })
    expect(await allowed()).toEqual([undefined, undefined])
    expect((await send(world, path, { headers })).json).toEqual({ origins: [] })
  })
})

describe('a question that is no browser’s', () => {
  it('goes where it was going', async () => {
    const noMethod = await send(world, WHOAMI, { method: 'OPTIONS', headers: { origin: PAGE } })
    const withKey = await send(world, WHOAMI, {
      method: 'OPTIONS',
      headers: { origin: PAGE, 'access-control-request-method': 'GET', ...asKey(world.a.key) },
    })
    expect([noMethod.status, withKey.status]).toEqual([405, 405])
  })
})

describe('a node that announces its end', () => {
  it('F-26 says that it is not ready, and serves everything until it really drains', async () => {
    world.http.announceEnd()
    expect(await send(world, '/readyz')).toMatchObject({ status: 503, text: '{"status":"unavailable"}' })
    expect((await send(world, '/healthz')).status).toBe(200)
    expect((await send(world, WHOAMI, { headers: asKey(world.a.key) })).status).toBe(200)
    world.http.startDraining()
    const refused = await send(world, WHOAMI, { headers: asKey(world.a.key) })
    expect(refused).toMatchObject({ status: 503, json: { code: 'draining' }, headers: ALWAYS })
  })
})
