import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/kernel/index.ts'
import { EgressError, judgePath, parseApiBase } from '../../src/http/index.ts'
import type { Egress, ForwardCall, ResponseSink } from '../../src/http/index.ts'
import { call, Cleanup, gateway, httpUpstream, rawUpstream, testEgress } from './listeners.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')
const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** An upstream that tells what reached it. */
async function mirror() {
  return httpUpstream(cleanup, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      response.setHeader('x-method', request.method!)
      response.setHeader('x-url', request.url!)
      response.setHeader('x-length', String(request.headers['content-length']))
      response.setHeader('x-chunked', String(request.headers['transfer-encoding']))
      response.end(body)
    })
  })
}

/** A call without a gateway around it, for what a well-behaved server would never let through. */
function direct(egress: Egress, origin: string, more: Partial<ForwardCall>) {
  return egress.forward({
    base: parseApiBase(origin, { allowedPorts: [], insecureAllowOrigins: [origin] }),
    method: 'GET',
    path: judgePath('/x'),
    headers: [],
    inject: [],
    body: null,
    maxRequestBytes: 1000,
    response: deafSink(),
    ...more,
  })
}

function deafSink(): ResponseSink {
  const sink = {
    destroyed: false,
    writeHead: () => sink,
    flushHeaders: () => sink,
    write: () => true,
    end: () => sink,
    destroy: () => sink,
    on: () => sink,
    writableFinished: false,
  }
  return sink
}

describe('forward', () => {
  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'carries %s with a body, its length and its path as they came',
    async (method) => {
      const upstream = await mirror()
      const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), `${upstream.origin}/v3`)
      const answered = await call(gate.origin, '/a%20b/c?d=%2F..&e', { method, body: 'hello', headers: { 'content-length': 5 } })
      expect([answered.headers['x-method'], answered.headers['x-url'], answered.headers['x-length'], answered.body.toString()]).toEqual([
        method,
        '/v3/a%20b/c?d=%2F..&e',
        '5',
        'hello',
      ])
      expect(await gate.outcome(0)).toMatchObject({ result: { status: 200, bytesIn: 5, bytesOut: 5 } })
    },
  )

  describe('asked to send again', () => {
    /** Refuses calls without the second proof; each carries the nonce that it wants. */
    const strict = () =>
      httpUpstream(cleanup, (request, response) => {
        request.resume()
        const good = request.headers['x-proof'] === 'second'
        response.writeHead(good ? 200 : 401, { 'x-nonce': 'n-1' }).end(good ? 'done' : 'not done')
      })
    const proof = (value: string) => [{ kind: 'header', name: 'x-proof', value: new Secret(value) }] as const

    it('makes a call without a body once more, with the other injection, and gives that answer alone', async () => {
      const upstream = await strict()
      const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
      const looks: unknown[] = []
      const gate = await gateway(cleanup, egress, upstream.origin, () => ({
        inject: proof('first'),
        again: (status, headers) => {
          looks.push([status, headers['x-nonce']])
          return status === 401 ? proof('second') : undefined
        },
      }))
      const answered = await call(gate.origin, '/x')
      expect([answered.status, answered.body.toString()]).toEqual([200, 'done'])
      expect(await gate.outcome(0)).toMatchObject({ result: { status: 200, bytesIn: 4, bytesOut: 4 } })
      expect(looks).toEqual([
        [401, 'n-1'],
        [200, 'n-1'],
      ])
    })

    it.each([
      ['twice', { method: 'GET' }, 2],
      ['at all with a body, which is spent', { method: 'POST', body: 'hello' }, 1],
    ] as const)('does not do it %s', async (_what, request, times) => {
      const upstream = await strict()
      const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
      let asked = 0
      const gate = await gateway(cleanup, egress, upstream.origin, () => ({
        inject: proof('first'),
        again: () => ((asked += 1), proof('still wrong')),
      }))
      const answered = await call(gate.origin, '/x', request)
      expect([answered.status, answered.body.toString(), asked]).toEqual([401, 'not done', times])
    })
  })

  describe('told to withhold an answer', () => {
    it('F-22 hands nothing of it on, and leaves the response to another sending', async () => {
      let asked = 0
      const upstream = await httpUpstream(cleanup, (_request, response) => {
        asked += 1
        response.writeHead(asked === 1 ? 503 : 200, { 'x-try': String(asked) }).end(`answer ${asked}`)
      })
      const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
      const seen: unknown[] = []
      const gate = await httpUpstream(cleanup, (_request, response) => {
        const sending = (withholds: boolean) =>
          egress.forward({
            base: parseApiBase(upstream.origin, { allowedPorts: [443], insecureAllowOrigins: [upstream.origin] }),
            method: 'GET',
            path: judgePath('/x'),
            headers: [],
            inject: [],
            again: () => (withholds ? 'withhold' : undefined),
            body: null,
            maxRequestBytes: 1,
            response,
          })
        void (async () => {
          const first = await sending(true)
          seen.push([first.status, first.withheld, response.headersSent])
          seen.push((await sending(false)).withheld)
        })()
      })
      const answered = await call(gate.origin, '/x')
      expect([answered.status, answered.headers['x-try'], answered.body.toString()]).toEqual([200, '2', 'answer 2'])
      await expect.poll(() => seen).toEqual([[503, true, false], undefined])
    })
  })

  it('carries 30 MB both ways byte for byte, with and without a declared length', async () => {
    const upstream = await mirror()
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, {
      maxRequestBytes: 40_000_000,
    })
    const body = randomBytes(30_000_000)
    for (const headers of [{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }]) {
      const answered = await call(gate.origin, '/', { method: 'POST', body, headers })
      expect([answered.status, answered.whole, sha256(answered.body)]).toEqual([200, true, sha256(body)])
      expect(answered.headers['x-chunked']).toBe('transfer-encoding' in headers ? 'chunked' : 'undefined')
    }
  })

  it('declares an empty body for a POST without one', async () => {
    const upstream = await mirror()
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    const answered = await call(gate.origin, '/', { method: 'POST', headers: { 'content-length': 0 } })
    expect([answered.headers['x-length'], answered.headers['x-chunked']]).toEqual(['0', 'undefined'])
  })

  it('S-16 sends the injected credential alone, whatever the caller sent beside it', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('x')))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, {
      inject: [
        { kind: 'header', name: 'Authorization', value: new Secret('Bearer fake-provider-token') },
        { kind: 'header', name: 'X-Extra', value: new Secret('fake-extra-secret') },
        { kind: 'query', name: 'key', value: new Secret('fake-query-secret') },
      ],
    })
    const canary = 'canary-of-the-caller'
    await call(gate.origin, `/x?key=${canary}&k%65y=${canary}&a=b`, {
      headers: {
        authorization: `Bearer ${canary}`,
        cookie: canary,
        'proxy-authorization': canary,
        'x-api-key': canary,
        'x-extra': canary,
        x_extra: canary,
        'x-forwarded-for': canary,
        forwarded: canary,
        'sallyport-connection': canary,
        'x-provider-key': canary,
        'x-listed': canary,
        connection: 'close, x-listed',
        te: 'trailers',
        upgrade: canary,
        'x-kept': 'kept',
      },
    })
    const [head] = upstream.requests
    expect(head).not.toContain(canary)
    expect(head).toMatch(/^GET \/x\?a=b&key=fake-query-secret HTTP\/1\.1\r\n/)
    expect(head!.match(/authorization:/gi)?.length).toBe(1)
    expect(head!.split('\r\n').slice(-2)).toEqual(['Authorization: Bearer fake-provider-token', 'X-Extra: fake-extra-secret'])
    expect(head).toContain('x-kept: kept')
  })

  it("puts the caller's own answer headers in place of the provider's", async () => {
    const upstream = await rawUpstream(cleanup, (socket) =>
      socket.write('HTTP/1.1 200 OK\r\nCache-Status: theirs\r\nSallyport-Request-Id: forged\r\nContent-Length: 0\r\n\r\n'),
    )
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, {
      responseHeaders: ['Sallyport-Request-Id', 'req_1', 'Cache-Status', 'ours'],
    })
    const answered = await call(gate.origin, '/x')
    expect([answered.headers['sallyport-request-id'], answered.headers['cache-status']]).toEqual(['req_1', 'ours'])
  })

  it('S-12 looks at no proxy in the environment', async () => {
    const canary = await rawUpstream(cleanup, (socket) => socket.write(answer('proxied')))
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'] as const
    for (const name of names) process.env[name] = canary.origin
    process.env['NODE_USE_ENV_PROXY'] = '1'
    cleanup.add(() => [...names, 'NODE_USE_ENV_PROXY'].forEach((name) => delete process.env[name]))
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('direct')))
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    const gate = await gateway(cleanup, egress, upstream.origin)
    expect((await call(gate.origin, '/x')).body.toString()).toBe('direct')
    expect(await (await egress.fetch(`${upstream.origin}/x`)).text()).toBe('direct')
    expect(canary.connections).toBe(0)
  })

  it.each(['CONNECT', 'TRACE', 'TRACK', 'get', 'GET /evil HTTP/1.1\r\nX: ', 'G T', ''])(
    'refuses the method %j before connecting',
    async (method) => {
      const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('x')))
      const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
      await expect(direct(egress, upstream.origin, { method })).rejects.toMatchObject({ code: 'egress_refused', sent: false })
      expect(upstream.connections).toBe(0)
    },
  )

  it('I-03 refuses a header that could split the request, were it not cleaned before', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('x')))
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    for (const headers of [
      ['x-a', 'b\r\nx-evil: c'],
      ['x-a\r\nx-evil', 'b'],
      ['transfer-encoding', 'chunked'],
      ['content-length', '5', 'content-length', '6'],
      ['expect', '100-continue'],
    ]) {
      await expect(direct(egress, upstream.origin, { headers })).rejects.toMatchObject({ code: 'header_refused', sent: false })
    }
    expect(upstream.requests).toEqual([])
  })
})

describe('backpressure', () => {
  it('D-08 a slow reader holds the provider back instead of filling memory', async () => {
    const chunk = Buffer.alloc(65_536, 'a')
    const total = 64 * 1024 * 1024
    const upstream = await httpUpstream(cleanup, (_request, response) => {
      let left = total
      const more = () => {
        while (left > 0) {
          left -= chunk.length
          if (!response.write(chunk)) return
        }
        response.end()
      }
      response.on('drain', more)
      more()
    })
    let buffered = 0
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, (response) => {
      const write = response.write.bind(response)
      response.write = ((piece: Buffer) => {
        const free = write(piece)
        buffered = Math.max(buffered, response.writableLength)
        return free
      }) as typeof response.write
      return {}
    })
    const request = http.get(`${gate.origin}/x`, { agent: false })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    let received = 0
    response.on('data', (piece: Buffer) => {
      received += piece.length
      response.pause()
      setImmediate(() => response.resume())
    })
    await once(response, 'end')
    expect(received).toBe(total)
    expect(buffered).toBeLessThan(1024 * 1024)
  })

  it('D-06 a slow provider holds the uploader back instead of filling memory', async () => {
    const upstream = await httpUpstream(cleanup, (request, response) => {
      request.on('data', () => {
        request.pause()
        setImmediate(() => request.resume())
      })
      request.on('end', () => response.end('ok'))
    })
    let waiting = 0
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, (response) => {
      response.req.on('data', () => (waiting = Math.max(waiting, response.req.readableLength)))
      response.req.pause()
      return { maxRequestBytes: 100_000_000 }
    })
    const answered = await call(gate.origin, '/', { method: 'POST', body: Buffer.alloc(30_000_000) })
    expect(answered.body.toString()).toBe('ok')
    expect(waiting).toBeLessThan(1024 * 1024)
  })
})

describe('request bodies over the limit', () => {
  it('D-06 are refused by their declared length without a connection', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('x')))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, {
      maxRequestBytes: 1000,
    })
    const answered = await call(gate.origin, '/', { method: 'POST', body: Buffer.alloc(1001) })
    expect([answered.status, answered.body.toString()]).toEqual([413, 'request_too_large'])
    expect(upstream.connections).toBe(0)
    expect((await call(gate.origin, '/', { method: 'POST', body: Buffer.alloc(1000), headers: { 'content-length': 1000 } })).status).toBe(
      200,
    )
  })

  it('D-06 are cut when chunks add up, so that the provider never sees a whole body', async () => {
    let ended = false
    const cut = Promise.withResolvers<void>()
    const upstream = await httpUpstream(cleanup, (request, response) => {
      request.on('data', () => undefined)
      request.on('end', () => (ended = true))
      request.on('error', () => undefined)
      request.on('close', () => cut.resolve())
      response.on('error', () => undefined)
    })
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, {
      maxRequestBytes: 100_000,
    })
    const socket = net.connect(gate.port, '127.0.0.1')
    cleanup.add(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = `8000\r\n${'a'.repeat(0x8000)}\r\n`
    for (let i = 0; i < 4; i++) socket.write(chunk)
    const [said] = (await once(socket, 'data')) as [Buffer]
    expect(said.toString()).toMatch(/^HTTP\/1\.1 413 /)
    await cut.promise
    expect(ended).toBe(false)
    expect(await gate.outcome(0)).toMatchObject({ error: { code: 'request_too_large' } })
  })

  it('of exactly the limit pass, chunked or not', async () => {
    const upstream = await mirror()
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin, {
      maxRequestBytes: 100_000,
    })
    for (const headers of [{ 'content-length': 100_000 }, { 'transfer-encoding': 'chunked' }]) {
      expect((await call(gate.origin, '/', { method: 'POST', body: Buffer.alloc(100_000), headers })).body.length).toBe(100_000)
    }
  })
})

describe('a caller that goes away', () => {
  it('D-16 before the answer, takes the upstream connection with it', async () => {
    const asked = Promise.withResolvers<net.Socket>()
    const upstream = await rawUpstream(cleanup, (socket) => asked.resolve(socket))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    const request = http.get(`${gate.origin}/x`, { agent: false })
    request.on('error', () => undefined)
    const socket = await asked.promise
    request.destroy()
    await once(socket, 'close')
    expect(await gate.outcome(0)).toMatchObject({ error: { code: 'client_gone' } })
  })

  it('D-16 inside the answer, takes the upstream connection with it', async () => {
    const asked = Promise.withResolvers<net.Socket>()
    const upstream = await rawUpstream(cleanup, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      asked.resolve(socket)
    })
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    const request = http.get(`${gate.origin}/x`, { agent: false })
    request.on('error', () => undefined)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response, 'data')
    request.destroy()
    await once(await asked.promise, 'close')
    expect(await gate.outcome(0)).toMatchObject({ result: { status: 200, aborted: 'client_gone' } })
  })

  it('D-16 inside its own body, takes the upstream connection with it', async () => {
    const asked = Promise.withResolvers<net.Socket>()
    const upstream = await rawUpstream(cleanup, (socket) => asked.resolve(socket))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    const socket = net.connect(gate.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello')
    const arrived = await asked.promise
    socket.destroy()
    await once(arrived, 'close')
    expect(await gate.outcome(0)).toMatchObject({ error: { code: 'client_gone' } })
  })

  it('D-16 two hundred times, leaves no upstream connection open', async () => {
    const upstream = await rawUpstream(cleanup, (socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'),
    )
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const request = http.get(`${gate.origin}/x`, { agent: false })
        request.on('error', () => undefined)
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        await once(response, 'data')
        request.destroy()
      }),
    )
    await Promise.all(Array.from({ length: 200 }, (_, i) => gate.outcome(i)))
    await Promise.all([...upstream.sockets].map((socket) => once(socket, 'close')))
    expect(upstream.sockets.size).toBe(0)
  })

  it('D-16 between its destruction and its close, is written to no more', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('hello')))
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    const written: Buffer[] = []
    const sink = { ...deafSink(), write: (chunk: Buffer) => written.push(chunk) > 0 }
    sink.writeHead = () => Object.assign(sink, { destroyed: true })
    expect(await direct(egress, upstream.origin, { response: sink })).toMatchObject({ aborted: 'client_gone', bytesOut: 0 })
    expect(written).toEqual([])
  })

  it.each(['identity', 'gzip'])('that ends badly where its last byte goes (%s) ends the call and nothing else', async (coding) => {
    const body = coding === 'gzip' ? gzipSync('hello') : Buffer.from('hello')
    const upstream = await httpUpstream(cleanup, (_request, response) => void response.setHeader('content-encoding', coding).end(body))
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    const end = (): never => {
      throw new RangeError('no room')
    }
    expect(await direct(egress, upstream.origin, { response: { ...deafSink(), end } })).toMatchObject({
      status: 200,
      aborted: 'upstream_reset',
    })
  })

  it('is noticed through a signal too, before and during the call', async () => {
    const asked = Promise.withResolvers<net.Socket>()
    const upstream = await rawUpstream(cleanup, (socket) => asked.resolve(socket))
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] })
    await expect(direct(egress, upstream.origin, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'client_gone',
      sent: false,
    })
    expect(upstream.connections).toBe(0)
    const stop = new AbortController()
    const running = direct(egress, upstream.origin, { signal: stop.signal })
    const socket = await asked.promise
    stop.abort()
    await expect(running).rejects.toMatchObject({ code: 'client_gone', sent: true })
    await once(socket, 'close')
  })
})

describe('connections', () => {
  it('are kept and used again', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('x')))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    for (let i = 0; i < 5; i++) expect((await call(gate.origin, '/x')).status).toBe(200)
    expect(upstream.connections).toBe(1)
  })

  it('F-22 a request that met a closing connection is never sent twice', async () => {
    const upstream = await rawUpstream(cleanup, (socket, _head, count) => {
      if (count === 1) socket.write(answer('first'))
      else socket.resetAndDestroy()
    })
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    expect((await call(gate.origin, '/1')).status).toBe(200)
    for (const method of ['GET', 'POST']) {
      const seen = upstream.requests.length
      expect((await call(gate.origin, '/2', { method })).body.toString()).toBe('upstream_reset')
      expect(upstream.requests.length).toBe(seen + 1)
    }
  })

  it('that the upstream closed while idle do not fail the next request', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.end(answer('x')))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    for (let i = 0; i < 20; i++) expect((await call(gate.origin, '/x', { method: 'POST' })).body.toString()).toBe('x')
  })

  it('that are refused fail every waiting call at once, as never sent', async () => {
    const closed = net.createServer()
    closed.listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const origin = `http://127.0.0.1:${(closed.address() as net.AddressInfo).port}`
    closed.close()
    await once(closed, 'close')
    const egress = testEgress(cleanup, { insecureAllowOrigins: [origin], maxConnectionsPerOrigin: 2, totalTimeoutMs: 60_000 })
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => direct(egress, origin, {})))
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'upstream_unreachable', reason: 'ECONNREFUSED', sent: false } })
  })

  it.each(['resets', 'is not there'])(
    'to an upstream that %s leave the body of the caller to be read out, never destroyed',
    async (how) => {
      const upstream = await rawUpstream(cleanup, (socket) => socket.resetAndDestroy())
      // Port 1 of loopback is nobody's; undici never sees such a body, so its end is ours alone.
      const origin = how === 'resets' ? upstream.origin : 'http://127.0.0.1:1'
      const egress = testEgress(cleanup, { insecureAllowOrigins: [origin] })
      const body = new Readable({ read: () => undefined })
      body.push('hello')
      const ended = once(body, 'end')
      await expect(direct(egress, origin, { method: 'POST', body })).rejects.toBeInstanceOf(EgressError)
      body.push('world')
      body.push(null)
      await ended
      expect(body.readableAborted).toBe(false)
    },
  )

  it('a call that waits for one past its total time fails as never sent, and stays unsent', async () => {
    const upstream = await rawUpstream(cleanup, (socket, head) => {
      if (head.includes('/third')) socket.write(answer('x'))
    })
    const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin], maxConnectionsPerOrigin: 1 })
    const stop = new AbortController()
    const first = direct(egress, upstream.origin, { signal: stop.signal })
    await expect(direct(egress, upstream.origin, { path: judgePath('/second'), totalTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'upstream_timeout',
      sent: false,
    })
    stop.abort()
    await expect(first).rejects.toMatchObject({ code: 'client_gone' })
    expect((await egress.fetch(`${upstream.origin}/third`)).status).toBe(200)
    expect(upstream.requests.filter((head) => head.includes('/second'))).toEqual([])
  })

  it('are not opened once the door is closed', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write(answer('x')))
    const egress = testEgress(new Cleanup(), { insecureAllowOrigins: [upstream.origin] })
    await egress.close()
    await expect(direct(egress, upstream.origin, {})).rejects.toMatchObject({ code: 'upstream_unreachable', sent: false })
    expect(upstream.connections).toBe(0)
  })

  it('serve two hundred calls at a time, each with its own answer', async () => {
    const upstream = await httpUpstream(cleanup, (request, response) => {
      setImmediate(() => response.end(request.url))
    })
    const gate = await gateway(
      cleanup,
      testEgress(cleanup, { insecureAllowOrigins: [upstream.origin], maxConnectionsPerOrigin: 16 }),
      upstream.origin,
    )
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => call(gate.origin, `/${i}`)))
    expect(answers.map((one) => one.body.toString())).toEqual(Array.from({ length: 200 }, (_, i) => `/${i}`))
  })
})

describe('an answer that comes before the request is done', () => {
  it('reaches the caller', async () => {
    const upstream = await rawUpstream(cleanup, (socket) => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge'))
    const gate = await gateway(cleanup, testEgress(cleanup, { insecureAllowOrigins: [upstream.origin] }), upstream.origin)
    const socket = net.connect(gate.port, '127.0.0.1')
    cleanup.add(() => socket.destroy())
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello')
    let text = ''
    for await (const piece of socket) {
      text += String(piece)
      if (text.endsWith('large')) break
    }
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
  })
})
