import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { problemSchema } from '@sallyport/contract'
import type { Problem } from '@sallyport/contract'
import { connectAccount, createKey, setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { serverUnderTest } from './server-under-test.ts'
import { rawRequest, sendRaw } from './wire.ts'

let stage: Stage

beforeAll(async () => {
  stage = await setStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
})
afterAll(() => stage.close())
afterEach(() => stage.upstream.answer((_request, response) => void response.writeHead(599).end()))

const credentials = (): Record<string, string> => ({ authorization: `Bearer ${stage.key}`, 'sallyport-connection': stage.connection })
const rawCredentials = (): string[] => [`Authorization: Bearer ${stage.key}`, `Sallyport-Connection: ${stage.connection}`]

async function problemOf(response: Response, status: number, code: Problem['code']): Promise<Problem> {
  const problem = problemSchema.parse(await response.json())
  expect({ status: response.status, code: problem.code }).toEqual({ status, code })
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  expect(response.headers.get('sallyport-error-source')).toBe('gateway')
  expect(problem.instance).toBe(`urn:sallyport:request:${response.headers.get('sallyport-request-id')}`)
  return problem
}

describe('a proxied call', () => {
  it('goes out with the connection’s token and comes back as the provider gave it', async () => {
    stage.upstream.answer((_request, response) => {
      response.writeHead(203, { 'content-type': 'application/json', etag: '"e"', 'x-ratelimit-remaining': '7' }).end('{"a":1}')
    })
    const response = await stage.call('/user/repos?page=2&q=a%20b')
    expect(response.status).toBe(203)
    expect(await response.text()).toBe('{"a":1}')
    expect(response.headers.get('etag')).toBe('"e"')
    expect(response.headers.get('x-ratelimit-remaining')).toBe('7')
    expect(response.headers.get('sallyport-error-source')).toBe('provider')
    expect(response.headers.get('sallyport-request-id')).toMatch(/^req_[0-9A-Za-z]{22}$/u)
    const seen = stage.upstream.seen.at(-1)!
    expect(seen.url).toBe('/user/repos?page=2&q=a%20b')
    expect(seen.headers.authorization).toBe(`Bearer ${stage.token}`)
  })

  it('is streamed: the first event arrives while the provider still holds the rest back', async () => {
    let finish = (): void => undefined
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: one\n\n')
      finish = () => response.end('data: two\n\n')
    })
    const response = await stage.call('/events')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe('data: one\n\n')
    finish()
    expect((await reader.read()).value).toBe('data: two\n\n')
    expect((await reader.read()).done).toBe(true)
  })

  it('carries a body upwards unchanged, of any type, with its length or chunked', async () => {
    stage.upstream.answer((request, response) => void request.on('end', () => response.end('ok')))
    const body = randomBytes(300_000)
    for (const duplex of [false, true]) {
      const stream = new Blob([body]).stream()
      const response = await stage.call('/upload', {
        method: 'POST',
        headers: { ...credentials(), 'content-type': 'application/octet-stream' },
        ...(duplex ? { body: stream, duplex: 'half' } : { body }),
      })
      expect(await response.text()).toBe('ok')
      const seen = stage.upstream.seen.at(-1)!
      expect(Buffer.concat(seen.body).equals(body)).toBe(true)
      expect(seen.headers['content-length']).toBe(duplex ? undefined : String(body.length))
    }
  })

  it('keeps HEAD, 204 and 304 without a body', async () => {
    for (const [method, status] of [
      ['HEAD', 200],
      ['DELETE', 204],
      ['GET', 304],
    ] as const) {
      stage.upstream.answer((_request, response) => void response.writeHead(status, status === 200 ? { 'content-length': '9' } : {}).end())
      const response = await stage.call('/thing', { method, headers: { ...credentials(), 'if-none-match': '"e"' } })
      expect(response.status).toBe(status)
      expect(await response.text()).toBe('')
    }
    expect(stage.upstream.seen.at(-1)!.headers['if-none-match']).toBe('"e"')
  })

  it('finds the connection by its end user, and says so when there are several', async () => {
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const asUser = { authorization: `Bearer ${stage.key}`, 'sallyport-user': 'user-2' }
    await problemOf(await stage.call('/user', { headers: asUser }), 404, 'not_found')
    await connectAccount(stage.owner, 'user-2')
    expect((await stage.call('/user', { headers: asUser })).status).toBe(200)
    await connectAccount(stage.owner, 'user-2')
    expect((await stage.call('/user', { headers: asUser })).status).toBe(409)
  })

  it('goes out with the new token in the first call after a reconnect, under the same id', async () => {
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const connection = await connectAccount(stage.owner, 'user-4')
    const headers = { authorization: `Bearer ${stage.key}`, 'sallyport-connection': connection }
    await stage.call('/user', { headers })
    const before = stage.upstream.seen.at(-1)!.headers.authorization
    expect(await connectAccount(stage.owner, 'user-4', connection)).toBe(connection)
    await stage.call('/user', { headers })
    const after = stage.upstream.seen.at(-1)!.headers.authorization
    expect(after).toBe(`Bearer ${stage.issuer.tokens.at(-1)}`)
    expect(after).not.toBe(before)
  })

  it('needs no selector with a key bound to one connection, and gets no other with it', async () => {
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const other = await connectAccount(stage.owner, 'user-3')
    const bound = await createKey(stage.owner, ['proxy:call'], { connection: stage.connection })
    expect((await stage.call('/user', { headers: { authorization: `token ${bound}` } })).status).toBe(200)
    const headers = { authorization: `Bearer ${bound}`, 'sallyport-connection': other }
    await problemOf(await stage.call('/user', { headers }), 404, 'not_found')
    await problemOf(await stage.call('/user', { headers: { authorization: `Bearer ${stage.key}` } }), 400, 'connection_required')
  })

  it('is written down: a request record without query, and a use in an audit log that verifies', async () => {
    stage.upstream.answer((_request, response) => void response.writeHead(418).end('short'))
    const response = await stage.call('/path/of/it?secret=query')
    const id = response.headers.get('sallyport-request-id')!
    await response.text()
    const { client, place } = stage.owner
    const record = await expect
      .poll(async () => (await client.call('requestList', { params: place, query: { limit: 5 } })).data.find((row) => row.id === id))
      .toMatchObject({
        method: 'GET',
        path: '/path/of/it',
        status: 418,
        source: 'provider',
        integration: 'api',
        connection: stage.connection,
        bytes_out: 5,
      })
      .then(() => true)
    expect(record).toBe(true)
    const events = (await client.call('auditEventList', { params: { org: place.org }, query: { limit: 20 } })).data
    expect(events.find((event) => event.detail['request'] === id)).toMatchObject({ action: 'credential.used', target: stage.connection })
    expect(await client.call('auditVerify', { params: { org: place.org } })).toMatchObject({ intact: true, first_fault: null })
  })
})

describe('what may not cross', () => {
  it('S-16 the caller’s credentials, cookies and forwarding headers never reach the provider', async () => {
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const answer = await sendRaw(
      stage.gateway.url,
      rawRequest('/proxy/api/user', [
        ...rawCredentials(),
        'Cookie: a=b',
        'Proxy-Authorization: Basic eA==',
        'X-Api-Key: k',
        'X-Forwarded-For: 1.2.3.4',
        'X-Real-IP: 1.2.3.4',
        'Forwarded: for=1.2.3.4',
        'X-Secret-Hop: h',
        'Connection: X-Secret-Hop',
        'Accept: application/json',
        'User-Agent: an-agent',
      ]),
    )
    expect(answer.status).toBe(200)
    const { headers } = stage.upstream.seen.at(-1)!
    expect(headers).toMatchObject({ accept: 'application/json', 'user-agent': 'an-agent', authorization: `Bearer ${stage.token}` })
    for (const name of [
      'cookie',
      'proxy-authorization',
      'x-api-key',
      'x-forwarded-for',
      'x-real-ip',
      'forwarded',
      'x-secret-hop',
      'sallyport-connection',
    ]) {
      expect(headers[name], name).toBeUndefined()
    }
    expect(headers.host).toBe(new URL(stage.upstream.origin).host)
  })

  it('S-15 cookies, credentials, hop-by-hop and our own header names never come back', async () => {
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, {
        'set-cookie': 'session=1',
        authorization: 'Bearer x',
        via: '1.1 x',
        'sallyport-error-source': 'gateway',
        'sallyport-request-id': 'forged',
        'access-control-allow-origin': '*',
        'strict-transport-security': 'max-age=1',
        'x-kept': 'yes',
      })
      response.end('ok')
    })
    const response = await stage.call('/user')
    expect(response.headers.get('x-kept')).toBe('yes')
    expect(response.headers.get('sallyport-error-source')).toBe('provider')
    expect(response.headers.get('sallyport-request-id')).toMatch(/^req_/u)
    for (const name of ['set-cookie', 'authorization', 'via', 'access-control-allow-origin', 'strict-transport-security']) {
      expect(response.headers.get(name), name).toBeNull()
    }
  })

  // The risk: a provider's page shown under the gateway's own origin, where the console's session lives.
  it('S4 S92 a page of the provider can do nothing under the gateway’s origin', async () => {
    stage.upstream.answer((_request, response) => {
      response
        .writeHead(200, { 'content-type': 'text/html', 'content-security-policy': "script-src 'unsafe-inline'" })
        .end('<script>1</script>')
    })
    const response = await stage.call('/page')
    expect(response.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox; frame-ancestors 'none'")
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    await response.body?.cancel()
  })

  it('the token never comes back, however the provider echoes it', async () => {
    const half = Math.floor(stage.token.length / 2)
    stage.upstream.answer((request, response) => {
      response.writeHead(200, { 'x-echo': request.headers.authorization, 'content-type': 'text/plain' })
      response.write(`before ${stage.token.slice(0, half)}`)
      setImmediate(() => response.end(`${stage.token.slice(half)} after`))
    })
    const response = await stage.call('/echo')
    const text = await response.text()
    expect(text).toMatch(/^before \S+ after$/u)
    expect(text + JSON.stringify([...response.headers])).not.toContain(stage.token)
  })

  it('L-02 the token does not come back in pieces: whoever asks for ranges gets the whole, masked', async () => {
    // Serves ranges as a file server does, of a body that echoes.
    stage.upstream.answer((request, response) => {
      const body = Buffer.from(`before ${String(request.headers.authorization)} after`)
      const range = /^bytes=(\d+)-(\d+)$/u.exec(String(request.headers.range ?? request.headers['x-ms-range'] ?? ''))
      response.setHeader('accept-ranges', 'bytes')
      if (range === null) response.end(body)
      else response.writeHead(206).end(body.subarray(Number(range[1]), Number(range[2]) + 1))
    })
    const whole = `before Bearer ${'*'.repeat(stage.token.length)} after`
    for (const name of ['range', 'x-ms-range']) {
      for (let at = 0; at < whole.length; at += 7) {
        const response = await stage.call('/echo', { headers: { ...credentials(), [name]: `bytes=${at}-${at + 6}`, 'if-range': '"e"' } })
        expect([response.status, response.headers.get('accept-ranges'), await response.text()]).toEqual([200, null, whole])
      }
    }
  })

  it.each([301, 302, 303, 307, 308])('S-05 a %i is handed on and never followed', async (status) => {
    const before = stage.upstream.connections()
    stage.upstream.answer((_request, response) => void response.writeHead(status, { location: 'http://169.254.169.254/latest' }).end())
    const response = await stage.call('/moved')
    expect(response.status).toBe(status)
    expect(response.headers.get('location')).toBe('http://169.254.169.254/latest')
    expect(stage.upstream.connections() - before).toBeLessThanOrEqual(1)
  })

  it('links into the API come back as links through the gateway', async () => {
    const { origin } = stage.upstream
    stage.upstream.answer((_request, response) => {
      response
        .writeHead(200, {
          link: `<${origin}/user?page=2>; rel="next", <https://elsewhere.test/x>; rel="help"`,
          location: `${origin}/made/1`,
        })
        .end()
    })
    const response = await stage.call('/user')
    const base = `${stage.gateway.url}/proxy/api`
    expect(response.headers.get('link')).toBe(`<${base}/user?page=2>; rel="next", <https://elsewhere.test/x>; rel="help"`)
    expect(response.headers.get('location')).toBe(`${base}/made/1`)
  })

  // The host is never the caller's to choose, and the path stays what it says.
  it.each([
    '/proxy/api//evil.test/x',
    '/proxy/api/\\evil.test',
    '/proxy/api/..',
    '/proxy/api/a/../b',
    '/proxy/api/a/..;/b',
    '/proxy/api/%2e%2e/b',
    '/proxy/api/%252e%252e/b',
    '/proxy/api/a%2fb',
    '/proxy/api/a%5cb',
    '/proxy/api/a%00b',
    '/proxy/api/a\tb',
    '/proxy/api/a%zz',
    '/proxy/api/./a',
  ])('I-04 %j is refused and nothing goes out', async (target) => {
    const before = stage.upstream.seen.length
    const answer = await sendRaw(stage.gateway.url, rawRequest(target, rawCredentials()))
    expect(answer.status).toBe(400)
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('a refused path is on record, without being repeated', async () => {
    await sendRaw(stage.gateway.url, rawRequest('/proxy/api/a/../b', rawCredentials()))
    const { client, place } = stage.owner
    await expect
      .poll(async () => (await client.call('requestList', { params: place, query: { limit: 1 } })).data[0])
      .toMatchObject({ status: 400, source: 'gateway', error: 'path_refused', path: '', integration: null })
  })

  it.each([
    ['an absolute URL as target', 'http://evil.test/proxy/api/user'],
    ['another host as integration', '/proxy/evil.test/user'],
    ['user info before the path', '/proxy/api@evil.test/user'],
    ['an integration nobody made', '/proxy/nothing/user'],
  ])('S-02 %s reaches no host but the integration’s', async (_what, target) => {
    const before = stage.upstream.seen.length
    const answer = await sendRaw(stage.gateway.url, rawRequest(target, rawCredentials()))
    expect([400, 404]).toContain(answer.status)
    expect(stage.upstream.seen.length).toBe(before)
  })

  it.each([
    ['CR LF folded into a value', 'X-A: b\r\n c'],
    ['a NUL', 'X-A: b\0c'],
    ['a bare CR', 'X-A: b\rc'],
    ['a space before the colon', 'X-A : b'],
  ])('I-03 a header with %s is refused', async (_what, header) => {
    const before = stage.upstream.seen.length
    const answer = await sendRaw(stage.gateway.url, rawRequest('/proxy/api/user', [...rawCredentials(), header]))
    expect(answer.status).toBe(400)
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('I-03 a second Host header is refused and nothing goes out', async () => {
    const before = stage.upstream.seen.length
    const answer = await sendRaw(stage.gateway.url, rawRequest('/proxy/api/user', [...rawCredentials(), 'Host: other.test']))
    expect(answer.status).toBe(400)
    expect(stage.upstream.seen.length).toBe(before)
  })

  it.each(['TRACE', 'CONNECT', 'TRACK'])('the method %s does not go out', async (method) => {
    const before = stage.upstream.seen.length
    const { status } = await sendRaw(stage.gateway.url, rawRequest('/proxy/api/user', rawCredentials(), method))
    // 0: the connection was closed without a word, as node does with CONNECT.
    expect(status === 0 || status >= 400).toBe(true)
    expect(stage.upstream.seen.length).toBe(before)
  })
})

describe('who may not call', () => {
  const refused = async (headers: Record<string, string>): Promise<{ status: number; problem: Omit<Problem, 'instance'> }> => {
    const before = stage.upstream.seen.length
    const response = await stage.call('/user', { headers: { 'sallyport-connection': stage.connection, ...headers } })
    expect(stage.upstream.seen.length).toBe(before)
    const { instance: _instance, ...problem } = problemSchema.parse(await response.json())
    return { status: response.status, problem }
  }
  const altered = (key: string, at: number): string => key.slice(0, at) + (key[at] === 'A' ? 'B' : 'A') + key.slice(at + 1)

  it('malformed, unknown, altered, expired and revoked keys all get the same answer', async () => {
    const expiring = await createKey(stage.owner, ['proxy:call'], { expires_in_s: 1 })
    const revoked = await createKey(stage.owner, ['proxy:call'])
    stage.upstream.answer((_request, response) => void response.end('ok'))
    expect((await stage.call('/user', { headers: { ...credentials(), authorization: `Bearer ${revoked}` } })).status).toBe(200)
    const { client, place } = stage.owner
    const { data } = await client.call('keyList', { params: place, query: { limit: 200 } })
    const id = data.find((key) => revoked.includes(key.id.slice('key_'.length)))!.id
    await client.call('keyRevoke', { params: { ...place, key: id } })
    const known = await refused({ authorization: 'Bearer nonsense' })
    expect(known).toMatchObject({ status: 401, problem: { code: 'unauthenticated' } })
    // K-04 on the node that revoked it: at once.
    expect((await stage.call('/user', { headers: { ...credentials(), authorization: `Bearer ${revoked}` } })).status).toBe(401)
    await expect
      .poll(async () => (await stage.call('/user', { headers: { ...credentials(), authorization: `Bearer ${expiring}` } })).status, {
        timeout: 5_000,
      })
      .toBe(401)
    for (const key of [
      expiring,
      revoked,
      altered(stage.key, 40),
      altered(stage.key, 12),
      altered(stage.key, stage.key.length - 1),
      `${stage.key}0`,
      stage.key.slice(0, -1),
    ]) {
      expect(await refused({ authorization: `Bearer ${key}` })).toMatchObject({ status: 401, problem: { code: 'unauthenticated' } })
    }
  })

  it('K-07 two credentials are refused, whichever comes first', async () => {
    const answer = await sendRaw(
      stage.gateway.url,
      rawRequest('/proxy/api/user', [...rawCredentials(), `Authorization: Bearer ${stage.key}`]),
    )
    expect(answer.status).toBe(400)
  })

  it('K-07 a second key under another name is refused, and nothing goes out', async () => {
    const other = await createKey(stage.owner, ['proxy:call'])
    for (const name of ['x-api-key', 'api-key']) {
      expect(await refused({ ...credentials(), [name]: other }), name).toMatchObject({
        status: 400,
        problem: { code: 'ambiguous_credentials' },
      })
    }
  })

  it('K-06 a key in a cookie, in a header of another API or encoded in the URL is refused, and nothing goes out', async () => {
    const misplaced = { status: 400, problem: { code: 'bad_request' } }
    expect(await refused({ ...credentials(), cookie: `k=${stage.key}` })).toMatchObject(misplaced)
    expect(await refused({ ...credentials(), 'private-token': stage.key })).toMatchObject(misplaced)
    const before = stage.upstream.seen.length
    for (const hidden of [`%73${stage.key.slice(1)}`, stage.key.replaceAll('_', '%5F')]) {
      await problemOf(await stage.call(`/user?k=${hidden}`), 400, 'bad_request')
    }
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('K-06 a key in the query is refused, and its value is in no log', async () => {
    const response = await fetch(`${stage.gateway.url}/proxy/api/user?access_token=${stage.key}`, { headers: credentials() })
    await problemOf(response, 400, 'bad_request')
    expect(stage.gateway.output()).not.toContain(stage.key)
  })

  it('K-13 a key of the other environment is told so and nothing goes out', async () => {
    const live = await createKey({ ...stage.owner, place: { ...stage.owner.place, environment: 'live' } }, ['proxy:call'])
    expect(await refused({ authorization: `Bearer ${live}` })).toMatchObject({ status: 403, problem: { code: 'environment_mismatch' } })
  })

  it('a key without proxy:call is told the scope it lacks', async () => {
    const reader = await createKey(stage.owner, ['connections:read'])
    expect(await refused({ authorization: `Bearer ${reader}` })).toMatchObject({ status: 403, problem: { code: 'insufficient_scope' } })
  })

  it('T-01 an unknown connection, a malformed one and another’s look the same', async () => {
    const answers = await Promise.all(
      [`conn_${'0'.repeat(21)}1`, 'conn_x', "' or 1=1 --", `org_${'0'.repeat(22)}`].map((connection) =>
        refused({ authorization: `Bearer ${stage.key}`, 'sallyport-connection': connection }),
      ),
    )
    expect(answers[0]).toMatchObject({ status: 404, problem: { code: 'not_found' } })
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  it('K-10 keys with a newline, a NUL, a homoglyph or a megabyte are refused without a fault', async () => {
    for (const value of [`${stage.key}\u0000`, `${stage.key}\u00e9`, `sp_test_${'A'.repeat(12_000)}`]) {
      const answer = await sendRaw(
        stage.gateway.url,
        Buffer.from(rawRequest('/proxy/api/user', [`Authorization: Bearer ${value}`]), 'latin1'),
      )
      expect([400, 401]).toContain(answer.status)
    }
    const huge = await sendRaw(stage.gateway.url, rawRequest('/proxy/api/user', [`Authorization: Bearer ${'A'.repeat(1_000_000)}`]))
    expect([400, 401, 431]).toContain(huge.status)
  })
})

describe('a token past its life', () => {
  it('S22 is not sent; the caller is told to reconnect, and reconnecting mends it', async () => {
    stage.issuer.behave({ members: { expires_in: 2 } })
    const connection = await connectAccount(stage.owner, 'user-5')
    stage.issuer.behave()
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const headers = { authorization: `Bearer ${stage.key}`, 'sallyport-connection': connection }
    await expect.poll(async () => (await stage.call('/user', { headers })).status, { timeout: 10_000 }).toBe(409)
    const before = stage.upstream.seen.length
    await problemOf(await stage.call('/user', { headers }), 409, 'reconnect_required')
    expect(stage.upstream.seen.length).toBe(before)
    await connectAccount(stage.owner, 'user-5', connection)
    expect((await stage.call('/user', { headers })).status).toBe(200)
  })
})

describe('bodies', () => {
  const LIMIT = 10 * 1024 * 1024

  it('D-06 a declared length over 10 MB is refused before anything goes out', async () => {
    const before = stage.upstream.seen.length
    const answer = await sendRaw(
      stage.gateway.url,
      rawRequest('/proxy/api/up', [...rawCredentials(), `Content-Length: ${LIMIT + 1}`], 'POST'),
    )
    expect(answer.status).toBe(413)
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('D-06 a stranger’s body is not waited for', async () => {
    const answer = await sendRaw(
      stage.gateway.url,
      rawRequest('/proxy/api/up', ['Authorization: Bearer x', `Content-Length: ${LIMIT}`], 'POST'),
    )
    expect(answer.status).toBe(401)
  })

  it('D-06 a chunked body is cut at 10 MB, and the provider’s half of it too', async () => {
    stage.upstream.answer(() => undefined)
    const aborted = stage.upstream.nextAbort()
    const status = await new Promise<number | string>((resolve) => {
      const request = httpRequest(`${stage.gateway.url}/proxy/api/up`, { method: 'POST', headers: credentials() }, (response) => {
        response.resume()
        resolve(response.statusCode!)
      })
      request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code!))
      const chunk = Buffer.alloc(1024 * 1024)
      for (let i = 0; i < 12; i++) request.write(chunk)
      request.end()
    })
    expect([413, 'ECONNRESET', 'EPIPE']).toContain(status)
    await aborted
  })

  it('D-06 a sender that asks first is refused before it sends, and told to go on when its body is wanted', async () => {
    const ask = (headers: readonly string[]): string => rawRequest('/proxy/api/up', ['Expect: 100-continue', ...headers], 'POST')
    const before = stage.upstream.seen.length
    const stranger = await sendRaw(stage.gateway.url, ask(['Authorization: Bearer x', 'Content-Length: 5']))
    const huge = await sendRaw(stage.gateway.url, ask([...rawCredentials(), 'Content-Length: 99000000']))
    expect([stranger.status, huge.status]).toEqual([401, 413])
    expect(stage.upstream.seen.length).toBe(before)
    stage.upstream.answer((request, response) => void request.on('end', () => response.end('ok')))
    const answer = await sendRaw(stage.gateway.url, `${ask([...rawCredentials(), 'Content-Length: 5'])}hello`)
    expect(answer.status).toBe(100)
    expect(answer.body).toMatch(/^HTTP\/1\.1 200 /u)
    expect(Buffer.concat(stage.upstream.seen.at(-1)!.body).toString()).toBe('hello')
    expect(stage.upstream.seen.at(-1)!.headers.expect).toBeUndefined()
  })

  it('exactly 10 MB pass', async () => {
    stage.upstream.answer((request, response) => void request.on('end', () => response.end('ok')))
    const response = await stage.call('/up', { method: 'PUT', headers: credentials(), body: Buffer.alloc(LIMIT) })
    expect(await response.text()).toBe('ok')
    expect(Buffer.concat(stage.upstream.seen.at(-1)!.body).length).toBe(LIMIT)
  })

  it('a length that is a lie, a repeated one and one beside chunks leave nothing half done', async () => {
    stage.upstream.answer((request, response) => void request.on('end', () => response.end('ok')))
    for (const [headers, body] of [
      [['Content-Length: 5', 'Content-Length: 6'], 'hello'],
      [['Content-Length: 5', 'Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
      [['Content-Length: -5'], 'hello'],
      [['Content-Length: 0x5'], 'hello'],
    ] as const) {
      const answer = await sendRaw(stage.gateway.url, rawRequest('/proxy/api/up', [...rawCredentials(), ...headers], 'POST') + body)
      expect(answer.status, headers.join()).toBe(400)
    }
    // Shorter than declared, then gone: the provider's request must not be taken for whole.
    const aborted = stage.upstream.nextAbort()
    await sendRaw(stage.gateway.url, `${rawRequest('/proxy/api/up', [...rawCredentials(), 'Content-Length: 50'], 'POST')}hello`, 300)
    await aborted
  })
})

describe('a provider that fails', () => {
  it.each([
    ['breaks off before its answer', 502, 'upstream_reset', (socket: Socket): void => void socket.resetAndDestroy()],
    ['answers no HTTP', 502, 'upstream_invalid', (socket: Socket): void => void socket.end('garbage garbage\r\n\r\n')],
  ] as const)('that %s gives a problem and no secret', async (_what, status, code, act) => {
    stage.upstream.answer((request) => act(request.socket))
    const text = JSON.stringify(await problemOf(await stage.call('/user'), status, code))
    expect(text).not.toContain(stage.token)
    expect(text).not.toContain(new URL(stage.upstream.origin).host)
  })

  it('cut in the middle cuts the caller too: half an answer never looks whole', async () => {
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half')
      setImmediate(() => response.socket!.resetAndDestroy())
    })
    const response = await stage.call('/user')
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow()
  })

  it('D-16 is let go within a second of its caller leaving', async () => {
    stage.upstream.answer((_request, response) => {
      response.writeHead(200)
      response.write('first')
    })
    const leave = new AbortController()
    const aborted = stage.upstream.nextAbort()
    const response = await stage.call('/endless', { headers: credentials(), signal: leave.signal })
    await response.body!.getReader().read()
    leave.abort()
    await Promise.race([aborted, wait(1_000).then(() => Promise.reject(new Error('still open after a second')))])
  })

  it('that is unknown here but answers with its own error is passed through as its own', async () => {
    stage.upstream.answer(
      (_request, response) => void response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"Not Found"}'),
    )
    const response = await stage.call('/repos/none')
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({ message: 'Not Found' })
    expect(response.headers.get('sallyport-error-source')).toBe('provider')
  })
})

describe('calls that never end', () => {
  const SHARE = 64

  it('fill the share of their organization and no more; beyond it is 503 at once, and connecting goes on', async () => {
    let arrived = 0
    const full = Promise.withResolvers<void>()
    stage.upstream.answer(() => void ((arrived += 1) === SHARE && full.resolve()))
    const leave = new AbortController()
    const hanging = Array.from({ length: SHARE }, () => stage.call('/hang', { headers: credentials(), signal: leave.signal }))
    const ended = Promise.allSettled(hanging)
    await full.promise
    const before = stage.upstream.seen.length
    const refused = await stage.call('/user')
    expect(refused.headers.get('retry-after')).toBe('1')
    await problemOf(refused, 503, 'overloaded')
    expect(stage.upstream.seen.length).toBe(before)
    await connectAccount(stage.owner, 'user-6')
    leave.abort()
    await ended
    stage.upstream.answer((_request, response) => void response.end('ok'))
    await expect.poll(async () => (await stage.call('/user')).status).toBe(200)
  })
})

describe('afterwards', () => {
  it('L-02 nothing the gateway printed holds a token, a key or a client secret', () => {
    const printed = stage.gateway.output()
    for (const secret of [...stage.issuer.tokens, stage.issuer.clientSecret, stage.key]) expect(printed).not.toContain(secret)
  })

  it('F-26 TERM drains: a stream under way comes whole, nothing new is taken, and the gateway ends by itself with 0', async () => {
    let finish = (): void => undefined
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: one\n\n')
      finish = () => response.end('data: two\n\n')
    })
    const response = await stage.call('/events')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe('data: one\n\n')
    const asked = performance.now()
    const stopped = stage.gateway.stop()
    const { hostname, port } = new URL(stage.gateway.url)
    await expect.poll(() => isListening(hostname, Number(port))).toBe(false)
    finish()
    expect((await reader.read()).value).toBe('data: two\n\n')
    expect((await reader.read()).done).toBe(true)
    expect(await stopped).toBe(0)
    expect(performance.now() - asked).toBeLessThan(30_000)
  })
})

function isListening(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  }).finally(() => socket.destroy())
}
