import { brotliCompressSync, gzipSync } from 'node:zlib'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import type net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import * as oauth from 'openid-client'
import type { Egress, EgressErrorCode, EgressPolicy, FetchInit } from '../../src/http/index.ts'
import { SLOT } from './answering-thread.ts'
import { call, Cleanup, gateway, httpUpstream, rawUpstream, testEgress } from './listeners.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

const whole = (body: string | Buffer, ...lines: string[]) =>
  Buffer.concat([Buffer.from([`HTTP/1.1 200 OK`, `Content-Length: ${body.length}`, ...lines].join('\r\n') + '\r\n\r\n'), Buffer.from(body)])

async function open(
  answer: (socket: net.Socket) => void,
  policy: Partial<EgressPolicy> = {},
): Promise<{ egress: Egress; origin: string; requests: string[] }> {
  const upstream = await rawUpstream(cleanup, answer)
  return {
    egress: testEgress(cleanup, { insecureAllowOrigins: [upstream.origin], ...policy }),
    origin: upstream.origin,
    requests: upstream.requests,
  }
}

describe('fetch', () => {
  it('sends form bodies as token endpoints want them', async () => {
    const seen = Promise.withResolvers<{ type: string | undefined; body: string }>()
    const upstream = await httpUpstream(cleanup, (request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += String(chunk)))
      request.on('end', () => {
        seen.resolve({ type: request.headers['content-type'], body })
        response.setHeader('content-type', 'application/json').end('{"ok":true}')
      })
    })
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    const response = await egress.fetch(`${upstream.origin}/token`, { method: 'POST', body: new URLSearchParams({ a: 'b c', d: '&' }) })
    expect(await response.json()).toEqual({ ok: true })
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await seen.promise).toEqual({ type: 'application/x-www-form-urlencoded;charset=UTF-8', body: 'a=b+c&d=%26' })
  })

  // A process that was stopped finds its alarm and the answer at once. What a token endpoint gave is not to be thrown away for that.
  it('F-25 takes an answer that is there when a process that stood still goes on, however late', async () => {
    const slots = new Int32Array(new SharedArrayBuffer(12))
    const thread = new Worker(new URL('./answering-thread.ts', import.meta.url), { workerData: { shared: slots.buffer } })
    cleanup.add(() => thread.terminate())
    await Atomics.waitAsync(slots, SLOT.port, 0).value
    const origin = `http://127.0.0.1:${slots[SLOT.port]}`
    const egress = testEgress(cleanup, { insecureAllowOrigins: [origin] })
    const answer = egress.fetch(`${origin}/token`, { totalTimeoutMs: 1_500 })
    await Atomics.waitAsync(slots, SLOT.asked, 0).value
    Atomics.store(slots, SLOT.told, 1)
    Atomics.notify(slots, SLOT.told)
    // This thread stands still for longer than the call may take.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_800)
    expect(await (await answer).text()).toBe('an answer')
  })

  it('goes out although calls that hang hold every connection of forward to the same origin', async () => {
    const hanging = Promise.withResolvers<void>()
    const upstream = await httpUpstream(cleanup, (request, response) => {
      if (request.url === '/token') response.end('a token')
      else hanging.resolve()
    })
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin], maxConnectionsPerOrigin: 1 })
    const gate = await gateway(cleanup, egress, upstream.origin)
    const leave = new AbortController()
    const held = call(gate.origin, '/hang', { signal: leave.signal })
    held.catch(() => undefined)
    await hanging.promise
    expect(await (await egress.fetch(`${upstream.origin}/token`, { totalTimeoutMs: 10_000 })).text()).toBe('a token')
    leave.abort()
    await gate.outcome(0)
  })

  it('serves openid-client as its customFetch', async () => {
    const upstream = await httpUpstream(cleanup, (_request, response) => {
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ access_token: 'fake-access', token_type: 'bearer', expires_in: 60 }))
    })
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    const config = new oauth.Configuration(
      { issuer: upstream.origin, token_endpoint: `${upstream.origin}/token` },
      'client',
      'fake-client-secret',
    )
    oauth.allowInsecureRequests(config)
    config[oauth.customFetch] = (url, options) => egress.fetch(url, options as FetchInit)
    expect(await oauth.clientCredentialsGrant(config)).toMatchObject({ access_token: 'fake-access' })
  })

  it.each([301, 302, 303, 307, 308])('S-05 takes a %i for a failure and follows nothing', async (status) => {
    const canary = await rawUpstream(cleanup, (socket) => socket.write(whole('followed')))
    const { egress, origin, requests } = await open((socket) =>
      socket.write(`HTTP/1.1 ${status} Moved\r\nLocation: ${canary.origin}/\r\nContent-Length: 0\r\n\r\n`),
    )
    for (const redirect of ['manual', 'follow', 'error']) {
      await expect(egress.fetch(origin, { redirect, headers: { authorization: 'Bearer fake-token' } })).rejects.toMatchObject({
        code: 'upstream_invalid',
        reason: 'redirect',
      })
    }
    expect([requests.length, canary.connections]).toEqual([3, 0])
  })

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const)('decodes %s that nobody asked for, within the cap', async (coding, compress) => {
    const { egress, origin } = await open((socket) =>
      socket.write(whole(compress(Buffer.alloc(100_000, 'a')), `Content-Encoding: ${coding}`)),
    )
    const response = await egress.fetch(origin)
    expect([(await response.text()).length, response.headers.get('content-encoding'), response.headers.get('content-length')]).toEqual([
      100_000,
      null,
      null,
    ])
    await expect(egress.fetch(origin, { maxBytes: 99_999 })).rejects.toMatchObject({ code: 'upstream_too_large' })
  })

  const growing: [string, EgressErrorCode, (socket: net.Socket) => void][] = [
    ['is a gzip bomb', 'upstream_too_large', (socket) => socket.write(whole(gzipSync(Buffer.alloc(50_000_000)), 'Content-Encoding: gzip'))],
    [
      'is a brotli bomb',
      'upstream_too_large',
      (socket) => socket.write(whole(brotliCompressSync(Buffer.alloc(50_000_000)), 'Content-Encoding: br')),
    ],
    ['is encoded twice', 'upstream_invalid', (socket) => socket.write(whole('x', 'Content-Encoding: gzip, gzip'))],
    [
      'is encoded ten times',
      'upstream_invalid',
      (socket) => socket.write(whole('x', ...Array.from({ length: 10 }, () => 'Content-Encoding: gzip'))),
    ],
  ]
  it.each(growing)('D-09 fails when the answer %s', async (_name, code, answer) => {
    const { egress, origin, requests } = await open(answer)
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code, sent: true })
    expect(requests.length).toBe(1)
  })

  const failures: [string, EgressErrorCode, (socket: net.Socket) => void, (() => FetchInit)?][] = [
    ['is larger than 1 MiB', 'upstream_too_large', (socket) => socket.write(whole(Buffer.alloc(1024 * 1024 + 1)))],
    ['is larger than asked for', 'upstream_too_large', (socket) => socket.write(whole('12345678901')), () => ({ maxBytes: 10 })],
    ['is cut', 'upstream_reset', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello')],
    ['is garbage', 'upstream_invalid', (socket) => socket.end('garbage\r\n\r\n')],
    ['does not come', 'upstream_timeout', () => undefined, () => ({ totalTimeoutMs: 100 })],
    ["does not come in the signal's time", 'upstream_timeout', () => undefined, () => ({ signal: AbortSignal.timeout(100) })],
    ['does not end', 'upstream_timeout', (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nhello'), () => ({ totalTimeoutMs: 100 })],
  ]
  it.each(failures)('fails when the answer %s', async (_name, code, answer, init) => {
    const { egress, origin, requests } = await open(answer)
    await expect(egress.fetch(origin, init?.())).rejects.toMatchObject({ code, sent: true })
    expect(requests.length).toBe(1)
  })

  it('stops with its signal', async () => {
    const stop = new AbortController()
    const { egress, origin } = await open(() => stop.abort())
    await expect(egress.fetch(origin, { signal: stop.signal })).rejects.toMatchObject({ code: 'client_gone', sent: true })
    await expect(egress.fetch(origin, { signal: stop.signal })).rejects.toMatchObject({ code: 'client_gone', sent: false })
  })

  it.each([
    'https://user:pw@a.example/',
    'https://a.example/#f',
    'https://a.example/#?x',
    'http://a.example/',
    'https://127.0.0.1/',
    'https://a.example:22/',
    'file:///etc/passwd',
    '',
  ])('S-11 I-14 refuses %j', async (url) => {
    const { egress } = await open(() => undefined)
    await expect(egress.fetch(url)).rejects.toMatchObject({ code: 'egress_refused', sent: false })
  })

  it('I-03 refuses headers that could split the request', async () => {
    const { egress, origin, requests } = await open((socket) => socket.write(whole('x')))
    for (const headers of [{ 'x-a': 'b\r\nc: d' }, { 'x\r\n-a': 'b' }, { 'x-a': 'b\u00c2\u0085' }])
      await expect(egress.fetch(origin, { headers })).rejects.toMatchObject({ code: 'header_refused' })
    expect(requests).toEqual([])
  })

  it('S-02 lets nobody choose the Host or the framing of a request by its headers', async () => {
    const { egress, origin, requests } = await open((socket) => socket.write(whole('x')))
    await egress.fetch(origin, {
      method: 'POST',
      body: 'hello',
      headers: { Host: 'evil.example', 'Content-Length': '1', 'transfer-encoding': 'chunked', connection: 'x-y', 'X-Y': 'z' },
    })
    expect(requests[0]).toContain(`host: ${origin.slice('http://'.length)}\r\n`)
    expect(requests[0]).toContain('content-length: 5')
    expect(requests[0]).not.toMatch(/evil|chunked/)
  })

  it('gives answers without a body as such', async () => {
    const { egress, origin } = await open((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
    expect((await egress.fetch(origin)).status).toBe(204)
  })

  it('L-02 tells no secret, URL or address in any failure', async () => {
    const init: FetchInit = { method: 'POST', headers: { authorization: 'Bearer canary-token' }, body: 'canary-body', totalTimeoutMs: 200 }
    const path = '/canary-path?canary=query'
    const refused = testEgress(cleanup, {
      insecureAllowOrigins: ['http://127.0.0.1:1'],
      resolver: async (name) =>
        Promise.reject(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND', hostname: name })),
    })
    const failures: Promise<unknown>[] = [
      refused.fetch(`http://127.0.0.1:1${path}`, init),
      refused.fetch(`https://canary-host.example${path}`, init),
      refused.fetch(`https://canary@x.example${path}`, init),
    ]
    for (const answer of [
      (socket: net.Socket) => void socket.resetAndDestroy(),
      (socket: net.Socket) => void socket.end('canary-token garbage\r\n\r\n'),
      () => undefined,
      (socket: net.Socket) => void socket.write(whole('canary-token', 'Content-Encoding: gzip')),
    ]) {
      const { egress, origin } = await open(answer)
      failures.push(egress.fetch(origin + path, init))
    }
    for (const outcome of await Promise.allSettled(failures)) {
      expect(outcome.status).toBe('rejected')
      const { reason } = outcome as PromiseRejectedResult
      const shown = `${inspect(reason, { depth: 9, showHidden: true })} ${JSON.stringify(reason)}`.replaceAll(/\n\s+at .*/g, '')
      expect(shown).not.toMatch(/canary|127\.0\.0\.1|example/)
    }
  })
})
