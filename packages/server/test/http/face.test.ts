/** What the control plane's HTTP face does with requests that are hostile, broken, doubled or too large, over real sockets. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { CONTROL_BODY_BYTES, problemSchema } from '@sallyport/contract'
import { asKey, asPerson, createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'), { limits: { headersTimeoutMs: 500, requestTimeoutMs: 1_000 } })
})
afterAll(() => world?.close())

const WHOAMI = '/api/v1/whoami'
const keysPath = () => `/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/test/keys`
const newKey = { name: 'n', scopes: ['proxy:call'] }

/** Writes bytes, and gives all that came back until the server closed. `hold` keeps our side open, as a slow sender does. */
async function raw(text: string | Buffer, { hold = false } = {}): Promise<string> {
  const socket = connect(world.port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  // A reset after the answer is the server's right: the rest of what was sent is not wanted.
  socket.on('error', () => undefined)
  socket.write(text)
  if (!hold) socket.end()
  await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(chunks).toString('utf8')
}

function problemIn(answer: string) {
  return problemSchema.parse(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)))
}

describe('credentials', () => {
  it('K-01 shows the text of a key once, and in no list, event or log afterwards', async () => {
    const made = await send(world, keysPath(), { method: 'POST', headers: asKey(world.a.key), body: newKey })
    expect(made.status).toBe(201)
    const { secret } = made.json
    expect((await send(world, WHOAMI, { headers: asKey(secret) })).json).toMatchObject({ kind: 'key', id: made.json.key.id, name: 'n' })
    const owner = asPerson(world.a.people.OWNER)
    const others = [
      await send(world, `${keysPath()}?limit=200`, { headers: owner }),
      await send(world, `/api/v1/orgs/${world.a.params.org}/audit-events?limit=200`, { headers: owner }),
      await send(world, `${keysPath()}/${made.json.key.id}/revoke`, { method: 'POST', headers: owner }),
    ]
    const random = secret.split('_')[3]
    for (const { text, status } of others) {
      expect(status).toBe(200)
      expect(text).toContain(made.json.key.id)
      expect(text).not.toContain(random)
    }
    expect(world.log.join('\n')).not.toContain(random)
  })

  it('K-06 refuses a key in query, cookie, Basic user or body, and keeps it out of the log', async () => {
    const { key } = world.a
    const random = key.split('_')[3]!
    const answers = [
      await send(world, `${WHOAMI}?key=${key}`),
      await send(world, `${WHOAMI}?access_token=${key}`, { headers: asKey(key) }),
      await send(world, WHOAMI, { headers: { cookie: `key=${key}` } }),
      await send(world, WHOAMI, { headers: { cookie: `sallyport_session=${key}` } }),
      await send(world, WHOAMI, { headers: { authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` } }),
      await send(world, keysPath(), { method: 'POST', body: { ...newKey, key } }),
      await send(world, `/api/v1/${key}`),
    ]
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 401, 401, 404])
    expect(answers.map(({ text }) => text).join('\n')).not.toContain(random)
    expect(world.log.join('\n')).not.toContain(random)
  })

  it('K-07 refuses two credentials on every kind of route', async () => {
    const both = { ...asKey(world.a.key), cookie: world.a.people.OWNER.cookie }
    const twice = { authorization: [`Bearer ${world.a.key}`, `Bearer ${world.b.key}`] }
    for (const headers of [both, twice]) {
      expect((await send(world, WHOAMI, { headers })).json).toMatchObject({ status: 400, code: 'ambiguous_credentials' })
      expect((await send(world, keysPath(), { headers })).json).toMatchObject({ status: 400, code: 'ambiguous_credentials' })
    }
  })

  it('answers malformed, unknown and wrong keys with one text', async () => {
    const { key } = world.a
    const wrong = [key.slice(0, -1), `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`, 'sp_test_x', 'x'.repeat(10_000)]
    const answers = await Promise.all(wrong.map((text) => send(world, WHOAMI, { headers: asKey(text) })))
    const bodies = answers.map(({ text }) => text.replace(/req_\w+/u, 'req'))
    expect(new Set(bodies).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="sallyport"' } })
  })
})

describe('the Host header', () => {
  it.each([
    ['none', []],
    ['two that differ', ['Host: a.test', 'Host: b.test']],
    ['two alike', ['Host: a.test', 'hOsT: a.test']],
  ])('I-03 is refused with a problem when there are %s', async (_what, hosts) => {
    for (const path of [WHOAMI, '/proxy/api/user', '/healthz']) {
      const answer = await raw([`GET ${path} HTTP/1.1`, ...hosts, '', ''].join('\r\n'))
      expect(problemIn(answer), path).toMatchObject({ status: 400, code: 'bad_request' })
      expect(answer).toContain('application/problem+json')
    }
  })

  it('may be missing in HTTP/1.0, which had none', async () => {
    expect(await raw('GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /u)
  })
})

describe('a sender that asks before it sends', () => {
  const asking = (key: string, length: number) =>
    [
      `POST ${keysPath()} HTTP/1.1`,
      'Host: a.test',
      'Expect: 100-continue',
      `Authorization: Bearer ${key}`,
      'Content-Type: application/json',
      `Content-Length: ${length}`,
      '',
      '',
    ].join('\r\n')

  it('D-06 is refused without a 100 when it is nobody or its body is too large, and its connection ends', async () => {
    for (const [head, status] of [
      [asking('sp_test_x', 10), 401],
      [asking(world.a.key, 99_000_000), 413],
    ] as const) {
      const answer = await raw(head, { hold: true })
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `, 'u'))
      expect(answer.toLowerCase()).toContain('connection: close')
    }
  })

  it('is told to go on when its body is wanted, and served', async () => {
    const body = JSON.stringify(newKey)
    const socket = connect(world.port, '127.0.0.1')
    socket.write(asking(world.a.key, body.length))
    const [first] = await once(socket, 'data')
    expect(String(first)).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write(body)
    const [second] = await once(socket, 'data')
    expect(String(second)).toMatch(/^HTTP\/1\.1 201 /u)
    expect(String(second).toLowerCase()).not.toContain('connection: close')
    socket.destroy()
  })
})

describe('console sessions', () => {
  const SESSION = '/api/v1/session'

  it('J-19 gives a fresh session on signing in, ends the one the browser brought, and takes each link once', async () => {
    const { id } = world.a.people.OWNER
    const first = await send(world, SESSION, { method: 'POST', body: { owner_token: await world.ownerToken(id) } })
    expect(first.status).toBe(201)
    const [cookie] = first.headers['set-cookie']!
    expect(cookie).toMatch(/^sallyport_session=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/u)
    const before = { cookie: cookie!.split(';')[0]! }
    const token = await world.ownerToken(id)
    const second = await send(world, SESSION, { method: 'POST', headers: before, body: { owner_token: token } })
    const after = { cookie: second.headers['set-cookie']![0]!.split(';')[0]! }
    expect(after.cookie).not.toBe(before.cookie)
    expect((await send(world, WHOAMI, { headers: before })).status).toBe(401)
    expect((await send(world, WHOAMI, { headers: after })).json).toMatchObject({ kind: 'person', memberships: [{ role: 'OWNER' }] })
    expect((await send(world, SESSION, { method: 'POST', body: { owner_token: token } })).status).toBe(401)
    const out = await send(world, SESSION, { method: 'DELETE', headers: { ...after, origin: 'http://127.0.0.1:7255' } })
    expect([out.status, out.text, out.headers['set-cookie']![0]]).toEqual([
      204,
      '',
      expect.stringMatching(/^sallyport_session=; .*Expires=Thu, 01 Jan 1970/u),
    ])
    expect((await send(world, WHOAMI, { headers: after })).status).toBe(401)
  })

  it('J-20 takes changes through the cookie from our own page as JSON, and from nowhere else', async () => {
    const { cookie } = world.a.people.OWNER
    const own = 'http://127.0.0.1:7255'
    const json = JSON.stringify(newKey)
    const change = async (headers: Record<string, string>, body: string = json) =>
      (await send(world, keysPath(), { method: 'POST', headers: { cookie, 'content-type': 'application/json', ...headers }, body })).json
        ?.code
    const refused = [
      {},
      { origin: 'https://evil.test' },
      { origin: 'null' },
      { origin: `${own}.evil.test` },
      { origin: 'http://127.0.0.1' },
      { origin: 'https://127.0.0.1:7255' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
      { origin: 'https://evil.test', 'sec-fetch-site': 'same-origin' },
      { origin: own, 'content-type': 'text/plain' },
      { origin: own, 'content-type': 'application/x-www-form-urlencoded' },
      { origin: own, 'content-type': 'multipart/form-data; boundary=x' },
    ]
    for (const headers of refused) expect(await change(headers), JSON.stringify(headers)).toBe('cross_site_refused')
    expect(await change({ origin: own })).toBeUndefined()
    expect(await change({ 'sec-fetch-site': 'same-origin' })).toBeUndefined()
    const signIn = await send(world, SESSION, {
      method: 'POST',
      headers: { origin: 'https://evil.test' },
      body: { owner_token: 'x'.repeat(43) },
    })
    expect(signIn.json.code).toBe('cross_site_refused')
  })

  it('R-10 gives no foreign origin leave to read, with credentials or without', async () => {
    for (const origin of ['https://evil.test', 'null', 'http://localhost:3000']) {
      const preflight = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
      for (const answer of [
        await send(world, keysPath(), { method: 'OPTIONS', headers: preflight }),
        await send(world, WHOAMI, { headers: { ...asKey(world.a.key), origin } }),
      ]) {
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      }
    }
  })
})

describe('requests that do not fit', () => {
  it.each([
    'limit=0',
    'limit=201',
    'limit=-1',
    'limit=1e9',
    'limit=NaN',
    'limit=1;drop',
    'limit=1.5',
    'limit[]=1',
    'limit=1&limit=2',
    'cursor=x',
    'cursor[a]=b',
    'sort=name',
    'offset=1',
    'limit=%00',
  ])('I-02 refuses the query %s', async (query) => {
    const answer = await send(world, `${keysPath()}?${query}`, { headers: asKey(world.a.key) })
    expect(answer.json).toMatchObject({ status: 400, code: 'validation_failed' })
    expect(answer.json.errors[0].pointer).toMatch(/^\/query\//u)
  })

  it.each([
    '{"name":"a","name":"b","scopes":["proxy:call"]}',
    '{"__proto__":{"scopes":["keys:write"]},"name":"a","scopes":["proxy:call"]}',
    '{"name":"\\ud800"}',
    '{',
    '\ufeff{}',
    '"x"',
  ])('I-09 refuses the JSON %s with a problem', async (body) => {
    const headers = { ...asKey(world.a.key), 'content-type': 'application/json' }
    const answer = await send(world, keysPath(), { method: 'POST', headers, body })
    expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json; charset=utf-8'])
  })

  it.each([
    [{ 'content-type': 'text/plain' }],
    [{ 'content-type': 'application/x-www-form-urlencoded' }],
    [{ 'content-type': 'multipart/form-data; boundary=x' }],
    [{ 'content-type': 'application/json; charset=utf-16' }],
    [{ 'content-type': 'application/jsonx' }],
    [{ 'content-type': 'application/json', 'content-encoding': 'gzip' }],
    [{}],
  ])('I-16 takes a body as nothing but JSON: %j', async (headers) => {
    const answer = await send(world, keysPath(), {
      method: 'POST',
      headers: { ...asKey(world.a.key), ...headers },
      body: JSON.stringify(newKey),
    })
    expect(answer.json).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })

  it.each([
    ['a header block of 16 KiB and more', `GET ${WHOAMI} HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(16 * 1024)}\r\n\r\n`],
    ['one header of 1 MB', `GET ${WHOAMI} HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(1024 * 1024)}\r\n\r\n`],
    ['2,000 headers', `GET ${WHOAMI} HTTP/1.1\r\nhost: x\r\n${'a:\r\n'.repeat(2_000)}\r\n`],
    ['a request line of 20 kB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`],
  ])('D-03 answers %s with 431', async (_what, text) => {
    const answer = await raw(text)
    expect(answer).toMatch(/^HTTP\/1\.1 431 /u)
    expect(problemIn(answer).code).toBe('headers_too_large')
  })

  it.each([
    ['rubbish', 'rubbish\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx'],
    ['a length and chunks', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a folded header', 'GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n'],
    ['NUL in a header', 'GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n'],
  ])('I-03 answers what is no HTTP with a problem and closes: %s', async (_what, text) => {
    const answer = await raw(text)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /u)
    expect(problemIn(answer).code).toBe('bad_request')
    expect(answer).toMatch(/\r\nconnection: close\r\n/u)
  })

  it.each([
    ['lists in lists', '[', ''],
    ['objects in objects', '{"a":', ''],
    ['empty lists', '[', '[],'],
    ['the same name', '{', '"a":1,'],
    ['numbers', '[', '1,'],
    ['strings', '[', '"",'],
  ])('D-07 refuses as many %s as fit into a body, and more than fit', async (_what, start, unit) => {
    const body = unit === '' ? start.repeat(Math.floor(CONTROL_BODY_BYTES / start.length)) : start + unit.repeat(40_000)
    const headers = { ...asKey(world.a.key), 'content-type': 'application/json' }
    expect((await send(world, keysPath(), { method: 'POST', headers, body })).json).toMatchObject({ status: 400, code: 'bad_request' })
    const larger = Buffer.alloc(10 * 1024 * 1024, unit === '' ? start : unit)
    expect((await send(world, keysPath(), { method: 'POST', headers, body: larger })).json).toMatchObject({ status: 413 })
  })

  it('D-04 cuts headers and bodies that do not come', async () => {
    const slowHeaders = raw(`GET ${WHOAMI} HTTP/1.1\r\nhost: x\r\n`, { hold: true })
    const slowBody = raw(
      `POST ${keysPath()} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${world.a.key}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
      { hold: true },
    )
    const silent = raw('', { hold: true })
    for (const answer of [await slowHeaders, await slowBody]) expect(problemIn(answer).code).toBe('request_timeout')
    await silent
  })

  it('D-06 asks who it is before it takes a byte, and refuses too much before it has come', async () => {
    const head = (length: string, authorization = '') =>
      `POST ${keysPath()} HTTP/1.1\r\nhost: x\r\n${authorization}content-type: application/json\r\n${length}\r\n\r\n`
    const bearer = `authorization: Bearer ${world.a.key}\r\n`
    const tooLong = `content-length: ${10 * 1024 * 1024 + 1}`
    // The body is announced and never sent: the answers come all the same.
    expect(problemIn(await raw(head(tooLong), { hold: true })).code).toBe('unauthenticated')
    expect(problemIn(await raw(head(tooLong, bearer), { hold: true })).code).toBe('payload_too_large')
    const chunk = `${(300 * 1024).toString(16)}\r\n${'x'.repeat(300 * 1024)}\r\n`
    expect(problemIn(await raw(head('transfer-encoding: chunked', bearer) + chunk, { hold: true })).code).toBe('payload_too_large')
    const untaken = await send(world, WHOAMI, { headers: asKey(world.a.key), body: 'x' })
    expect(untaken.json.code).toBe('payload_too_large')
    // A body shorter than it said is a request that never ended; in one that is longer the rest is the next request, and no HTTP.
    expect(await raw(`${head('content-length: 50', bearer)}{}`)).not.toMatch(/^HTTP\/1\.1 [25]/u)
    expect(await raw(`${head('content-length: 2', bearer)}{}${'x'.repeat(50)}`)).toMatch(/^HTTP\/1\.1 400 /u)
  })
})

describe('a sender that is still sending', () => {
  it('D-06 gets to read why its 10 MB are refused', async () => {
    const body = Buffer.alloc(10 * 1024 * 1024 + 1, 0x20)
    const headers = { ...asKey(world.a.key), 'content-type': 'application/json' }
    for (let round = 0; round < 10; round++) {
      expect((await send(world, keysPath(), { method: 'POST', headers, body })).json).toMatchObject({
        status: 413,
        code: 'payload_too_large',
      })
      expect((await send(world, keysPath(), { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status).toBe(401)
    }
  })
})

describe('every answer', () => {
  const paths = () => [
    WHOAMI,
    '/api/v1/nothing',
    '/nothing',
    '/%zz',
    `/${'x/'.repeat(2_000)}`,
    keysPath(),
    `${keysPath()}/x`,
    '/api/v1/orgs/%00/projects',
    '/connect/x',
    '/openapi.json',
    '/docs/',
    '/console/x',
    '/',
  ]

  it('L-05 names no stack, statement, host, library or version', async () => {
    for (const path of paths()) {
      for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'TRACE', 'PROPFIND']) {
        const answer = await send(world, path, { method, headers: { accept: '*/*' } })
        expect(answer.status, `${method} ${path}`).not.toBe(500)
        if (answer.status < 400 || answer.headers['content-type']?.startsWith('text/html')) continue
        expect(problemSchema.safeParse(answer.json).success, `${method} ${path} ${answer.text}`).toBe(true)
        expect(answer.text).not.toMatch(/node_modules|at \w+ \(|select |sallyport\.|fastify|postgres|FST_|127\.0\.0\.1/iu)
        expect(answer.headers).not.toHaveProperty('server')
        expect(answer.headers).not.toHaveProperty('x-powered-by')
        expect(answer.headers['sallyport-request-id']).toMatch(/^req_[0-9A-Za-z]{22}$/u)
        expect(answer.headers['sallyport-error-source']).toBe('gateway')
      }
    }
  })

  it('L-19 is stored nowhere, framed nowhere, sniffed as nothing else, and refers to nothing', async () => {
    for (const path of [WHOAMI, '/api/v1/nothing', keysPath()]) {
      expect((await send(world, path, { headers: asKey(world.a.key) })).headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
      })
    }
  })

  it('takes no request id from outside', async () => {
    const { headers } = await send(world, WHOAMI, {
      headers: { ...asKey(world.a.key), 'request-id': 'mine', 'sallyport-request-id': 'mine', 'x-request-id': 'mine' },
    })
    expect(headers['sallyport-request-id']).toMatch(/^req_[0-9A-Za-z]{22}$/u)
  })

  it('names the methods that a path of the contract takes', async () => {
    const answer = await send(world, keysPath(), { method: 'PUT', headers: asKey(world.a.key) })
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, POST' }, json: { code: 'method_not_allowed' } })
  })
})
