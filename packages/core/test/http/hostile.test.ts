import { once } from 'node:events'
import type { RequestOptions } from 'node:http'
import type net from 'node:net'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/kernel/index.ts'
import type { EgressErrorCode, EgressPolicy, ForwardCall } from '../../src/http/index.ts'
import { call, Cleanup, gateway, rawUpstream, testEgress } from './listeners.ts'
import type { Answer, Gateway, Outcome, Upstream } from './listeners.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

type Answering = (socket: net.Socket, head: string, count: number) => void

async function open(
  answer: Answering,
  policy: Partial<EgressPolicy> = {},
  more: Partial<ForwardCall> = {},
): Promise<{ upstream: Upstream; gate: Gateway }> {
  const upstream = await rawUpstream(cleanup, answer)
  const egress = testEgress(cleanup, { insecureAllowOrigins: [upstream.origin], ...policy })
  return { upstream, gate: await gateway(cleanup, egress, upstream.origin, more) }
}

async function through(
  answer: Answering,
  policy: Partial<EgressPolicy> = {},
  more: Partial<ForwardCall> = {},
  method = 'GET',
  client: RequestOptions = {},
): Promise<{ answer: Answer; outcome: Outcome; upstream: Upstream }> {
  const { upstream, gate } = await open(answer, policy, more)
  const answered = await call(gate.origin, '/x', { method, ...client })
  return { answer: answered, outcome: await gate.outcome(0), upstream }
}

const head = (...lines: string[]) => `HTTP/1.1 ${lines.join('\r\n')}\r\n\r\n`
const whole = (body: string | Buffer, ...lines: string[]) =>
  Buffer.concat([Buffer.from(head('200 OK', `Content-Length: ${body.length}`, ...lines)), Buffer.from(body)])

/** Writes for ever, as fast as it is read. */
function pour(socket: net.Socket, chunk: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(chunk)) continue
  }
  socket.on('drain', more)
  more()
}

function drip(socket: net.Socket, text: string): void {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(text)), 10)
  socket.on('close', () => clearInterval(timer))
}

describe('an upstream that fails before its headers leaves the answer to the gateway', () => {
  const cases: [string, EgressErrorCode, Answering, Partial<EgressPolicy>?][] = [
    ['closes without a word', 'upstream_reset', (socket) => socket.end()],
    ['resets without a word', 'upstream_reset', (socket) => socket.resetAndDestroy()],
    ['closes inside its headers', 'upstream_reset', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
    ['speaks garbage', 'upstream_invalid', (socket) => socket.end('\x00\x01\x02garbage\r\n\r\n')],
    ['speaks another protocol', 'upstream_invalid', (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')],
    ['speaks HTTP/0.9', 'upstream_invalid', (socket) => socket.end('<html>hello</html>')],
    [
      'sends two different lengths',
      'upstream_reset',
      (socket) => socket.end(head('200 OK', 'Content-Length: 5', 'Content-Length: 6') + 'hello!'),
    ],
    ['sends a negative length', 'upstream_invalid', (socket) => socket.end(head('200 OK', 'Content-Length: -5'))],
    [
      'folds a header',
      'upstream_invalid',
      (socket) => socket.end(head('200 OK', 'X-A: b\r\n  c', 'Content-Length: 0').replace('\r\n  c', '\n\0c')),
    ],
    [
      'ends a header with a bare CR',
      'upstream_invalid',
      (socket) => socket.end(head('200 OK', 'X-A: b\rSet-Cookie: c=d', 'Content-Length: 0')),
    ],
    ['puts NUL into a header', 'upstream_invalid', (socket) => socket.end(head('200 OK', 'X-A: b\0c', 'Content-Length: 0'))],
    [
      'sends 40 kB of headers',
      'upstream_too_large',
      (socket) => socket.end(head('200 OK', `X-A: ${'a'.repeat(40_000)}`, 'Content-Length: 0')),
    ],
    [
      'sends 10,000 headers',
      'upstream_too_large',
      (socket) => socket.end(head('200 OK', ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${i}`))),
    ],
    [
      'never ends its headers',
      'upstream_too_large',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        pour(socket, Buffer.from(`X-A: ${'a'.repeat(1000)}\r\n`))
      },
    ],
    [
      'switches protocols unasked',
      'upstream_reset',
      (socket) => socket.write(head('101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade')),
    ],
    [
      'says 100 Continue unasked',
      'upstream_reset',
      (socket) => socket.write(Buffer.concat([Buffer.from(head('100 Continue')), whole('x')])),
    ],
    ['is silent', 'upstream_timeout', () => undefined, { headersTimeoutMs: 100 }],
    ['sends 103 for ever', 'upstream_timeout', (socket) => drip(socket, head('103 Early Hints', 'Link: </a>')), { totalTimeoutMs: 300 }],
    [
      'declares more than the limit',
      'upstream_too_large',
      (socket) => socket.write(head('200 OK', 'Content-Length: 1000001')),
      { maxResponseBytes: 1_000_000 },
    ],
    ['declares an unknown encoding', 'upstream_invalid', (socket) => socket.write(whole('x', 'Content-Encoding: compress'))],
    ['declares encodings in a chain', 'upstream_invalid', (socket) => socket.write(whole('x', 'Content-Encoding: gzip, gzip'))],
    [
      'declares encodings in two headers',
      'upstream_invalid',
      (socket) => socket.write(whole('x', 'Content-Encoding: gzip', 'Content-Encoding: br')),
    ],
  ]

  it.each(cases)('D-08 when it %s', async (_name, code, answering, policy) => {
    const { answer, outcome } = await through(answering, policy)
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toBe(code)
    expect(outcome).toMatchObject({ error: { code, sent: true } })
  })
})

describe('an upstream that fails after its headers never leaves an answer that looks whole', () => {
  const cases: [string, EgressErrorCode, Answering, Partial<EgressPolicy>?][] = [
    ['closes before the declared length', 'upstream_reset', (socket) => socket.end(head('200 OK', 'Content-Length: 10') + 'hello')],
    [
      'resets before the declared length',
      'upstream_reset',
      (socket) => socket.write(head('200 OK', 'Content-Length: 10') + 'hello', () => socket.resetAndDestroy()),
    ],
    ['closes inside a chunk', 'upstream_reset', (socket) => socket.end(head('200 OK', 'Transfer-Encoding: chunked') + 'a\r\nhello')],
    ['closes between chunks', 'upstream_reset', (socket) => socket.end(head('200 OK', 'Transfer-Encoding: chunked') + '5\r\nhello\r\n')],
    [
      'breaks the chunk format',
      'upstream_invalid',
      (socket) => socket.write(head('200 OK', 'Transfer-Encoding: chunked') + '5\r\nhello\r\nzz\r\n'),
    ],
    ['falls silent', 'upstream_timeout', (socket) => socket.write(head('200 OK', 'Content-Length: 10') + 'hello'), { idleTimeoutMs: 100 }],
    [
      'drips for ever',
      'upstream_timeout',
      (socket) => {
        socket.write(head('200 OK'))
        drip(socket, 'a')
      },
      { totalTimeoutMs: 400 },
    ],
    [
      'pours for ever',
      'upstream_too_large',
      (socket) => {
        socket.write(head('200 OK'))
        pour(socket, Buffer.alloc(65_536))
      },
      { maxResponseBytes: 1_000_000 },
    ],
    ['sends a corrupt encoding', 'upstream_invalid', (socket) => socket.write(whole('not gzip at all', 'Content-Encoding: gzip'))],
    [
      'cuts an encoded body',
      'upstream_invalid',
      (socket) => socket.write(whole(gzipSync(Buffer.alloc(10_000, 'ab')).subarray(0, 30), 'Content-Encoding: gzip')),
    ],
    [
      'sends a gzip bomb',
      'upstream_too_large',
      (socket) => socket.write(whole(gzipSync(Buffer.alloc(50_000_000)), 'Content-Encoding: gzip')),
    ],
    [
      'sends a brotli bomb',
      'upstream_too_large',
      (socket) => socket.write(whole(brotliCompressSync(Buffer.alloc(50_000_000)), 'Content-Encoding: br')),
    ],
    [
      'expands past the limit',
      'upstream_too_large',
      (socket) => socket.write(whole(gzipSync(Buffer.from(Array.from({ length: 300_000 }, (_, i) => i).join())), 'Content-Encoding: gzip')),
      { maxResponseBytes: 1_000_000 },
    ],
  ]

  it.each(cases)('D-08 D-09 when it %s', async (_name, code, answering, policy) => {
    const { upstream, gate } = await open(answering, policy)
    const [answered, outcome] = await Promise.allSettled([call(gate.origin, '/x'), gate.outcome(0)])
    expect(outcome).toMatchObject({ value: { result: { aborted: code } } })
    // Either the connection broke before any byte of the answer, or inside it; never a clean end.
    if (answered.status === 'fulfilled') expect(answered.value.whole).toBe(false)
    expect(upstream.requests.length).toBe(1)
  })

  it('D-08 closes the upstream connection as soon as the limit is passed', async () => {
    const closed = Promise.withResolvers<void>()
    const { gate } = await open(
      (socket) => {
        socket.on('close', () => closed.resolve())
        socket.write(head('200 OK'))
        pour(socket, Buffer.alloc(65_536))
      },
      { maxResponseBytes: 100_000 },
    )
    await Promise.allSettled([call(gate.origin, '/x')])
    await closed.promise
    const outcome = await gate.outcome(0)
    expect(outcome).toMatchObject({ result: { aborted: 'upstream_too_large' } })
    expect('result' in outcome && outcome.result.bytesOut <= 100_000).toBe(true)
  })
})

describe('an upstream cannot put its bytes into another answer', () => {
  it('when it sends more than it declared', async () => {
    const poison = head('200 OK', 'Content-Length: 8') + 'poisoned'
    const { upstream, gate } = await open((socket, _head, count) => {
      socket.write(count === 1 ? Buffer.concat([whole('hello'), Buffer.from(poison)]) : whole('second'))
    })
    expect((await call(gate.origin, '/1')).body.toString()).toBe('hello')
    expect((await call(gate.origin, '/2')).body.toString()).toBe('second')
    expect(upstream.connections).toBe(2)
  })

  it('when it speaks on an idle connection', async () => {
    const { gate } = await open((socket, _head, count) => {
      socket.write(whole(count === 1 ? 'hello' : 'second'))
      if (count === 1) setImmediate(() => socket.write(whole('poisoned')))
    })
    expect((await call(gate.origin, '/1')).body.toString()).toBe('hello')
    expect((await call(gate.origin, '/2')).body.toString()).toBe('second')
  })

  it('when it declares a length beside chunks (RFC 9112 section 6.3)', async () => {
    const { gate } = await open((socket) => {
      socket.write(head('200 OK', 'Content-Length: 2', 'Transfer-Encoding: chunked') + '5\r\nhello\r\n0\r\n\r\n')
    })
    const answered = await call(gate.origin, '/x')
    const outcome = await gate.outcome(0)
    if ('error' in outcome) expect(answered.status).toBe(502)
    else {
      expect(answered.headers['content-length']).toBeUndefined()
      expect(answered.whole && answered.body.toString() !== 'hello').toBe(false)
    }
  })

  it('when a 204 or 304 carries a body', async () => {
    for (const status of ['204 No Content', '304 Not Modified']) {
      const { gate } = await open((socket, _head, count) => {
        socket.write(count === 1 ? head(status, 'Content-Length: 8') + 'poisoned' : whole('second'))
      })
      const first = await call(gate.origin, '/1')
      expect([first.status, first.body.length, first.whole]).toEqual([Number(status.slice(0, 3)), 0, true])
      // A 204 has no length at all (RFC 9110 section 8.6); a 304's tells of the body that GET would have had.
      expect(first.headers['content-length']).toBe(first.status === 204 ? undefined : '8')
      expect((await call(gate.origin, '/2')).body.toString()).toBe('second')
    }
  })
})

describe('what an upstream sends besides its answer', () => {
  it('informational answers are swallowed', async () => {
    const { answer } = await through((socket) =>
      socket.write(
        Buffer.concat([Buffer.from(head('102 Processing') + head('103 Early Hints', 'Link: </a>', 'Set-Cookie: a=b')), whole('hello')]),
      ),
    )
    expect([answer.status, answer.body.toString(), answer.headers['link']]).toEqual([200, 'hello', undefined])
  })

  it('headers of 20 kB, more than a server of ours would take, pass', async () => {
    const { answer } = await through(
      (socket) => socket.write(whole('x', ...Array.from({ length: 20 }, (_, i) => `X-${i}: ${'a'.repeat(1000)}`))),
      {},
      {},
      'GET',
      { maxHeaderSize: 65_536 },
    )
    expect(answer.headers['x-19']).toBe('a'.repeat(1000))
  })

  it('trailers are dropped', async () => {
    const { answer } = await through((socket) =>
      socket.write(head('200 OK', 'Transfer-Encoding: chunked', 'Trailer: X-Late') + '5\r\nhello\r\n0\r\nX-Late: canary\r\n\r\n'),
    )
    expect([answer.body.toString(), answer.trailers, answer.headers['trailer'], answer.whole]).toEqual(['hello', {}, undefined, true])
  })

  it('S-15 cookies, credentials, hop-by-hop and our own header names are dropped', async () => {
    const { answer } = await through((socket) =>
      socket.write(
        whole(
          'x',
          'Set-Cookie: a=b',
          'Set-Cookie: c=d',
          'Authorization: Bearer x',
          'Via: 1.1 evil',
          'Keep-Alive: timeout=9',
          'Sallyport-Error-Source: gateway',
          'X-Hop: 1',
          'Connection: keep-alive, X-Hop',
          'X-Kept: 1',
        ),
      ),
    )
    expect(
      answer.rawHeaders
        .map((text) => text.toLowerCase())
        .filter((_t, i) => i % 2 === 0)
        .toSorted(),
    ).toEqual(['connection', 'content-length', 'date', 'x-kept'])
  })

  it.each([301, 302, 303, 307, 308])('S-05 a %i is an answer: passed on, never followed', async (status) => {
    const canary = await rawUpstream(cleanup, (socket) => socket.write(whole('followed')))
    for (const target of [`${canary.origin}/`, 'http://169.254.169.254/latest', '//evil.example/', 'file:///etc/passwd']) {
      const { answer, upstream } = await through(
        (socket) => socket.write(head(`${status} Moved`, `Location: ${target}`, 'Content-Length: 0')),
        {},
        { inject: [{ kind: 'header', name: 'x-api-key', value: new Secret('fake-key-0123456789') }] },
      )
      expect([answer.status, answer.headers.location, upstream.requests.length]).toEqual([status, target, 1])
    }
    expect(canary.connections).toBe(0)
  })

  it('a Location inside the API comes to lie under the proxy', async () => {
    const { answer } = await through((socket, text) =>
      socket.write(head('302 Found', `Location: http://${/host: (\S+)/i.exec(text)![1]!}/next?a=b`, 'Content-Length: 0')),
    )
    expect(answer.headers.location).toBe('https://gate.example/proxy/x/next?a=b')
  })
})

describe('an upstream that echoes the credential', () => {
  const token = 'fake-token-0123456789-abcdefghij'
  const inject = [{ kind: 'header' as const, name: 'Authorization', value: new Secret(`Bearer ${token}`) }]
  const stars = '*'.repeat(token.length)

  it('L-02 has it hidden in headers', async () => {
    const { answer, upstream } = await through(
      (socket) => socket.write(whole('x', `X-Echo: Bearer ${token}`, `WWW-Authenticate: Bearer error="${token}"`)),
      {},
      { inject },
    )
    expect(upstream.requests[0]).toContain(`Authorization: Bearer ${token}`)
    expect(answer.headers['x-echo']).toBe(`Bearer ${stars}`)
    expect(answer.headers['www-authenticate']).toBe(`Bearer error="${stars}"`)
  })

  it('L-02 has it hidden in a body cut at every place, lengths staying true', async () => {
    for (let cut = 1; cut < token.length; cut += 5) {
      const { answer } = await through(
        (socket) => {
          const body = `{"token":"${token}"}`
          socket.write(head('200 OK', `Content-Length: ${body.length}`) + body.slice(0, 10 + cut), () =>
            setImmediate(() => socket.write(body.slice(10 + cut))),
          )
        },
        {},
        { inject },
      )
      expect(answer.body.toString()).toBe(`{"token":"${stars}"}`)
      expect(answer.whole).toBe(true)
    }
  })

  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('D-09 L-02 has it hidden in a %s body that nobody asked for', async (coding, compress) => {
    const body = `${'filler '.repeat(2000)}${token}${' filler'.repeat(2000)}`
    const { answer, upstream, outcome } = await through(
      (socket) => socket.write(whole(compress(Buffer.from(body)), `Content-Encoding: ${coding.toUpperCase()}`)),
      {},
      { inject },
    )
    expect(upstream.requests[0]).toMatch(/accept-encoding: identity/)
    expect(answer.body.toString()).toBe(body.replace(token, stars))
    expect([answer.headers['content-encoding'], answer.headers['content-length']]).toEqual([undefined, undefined])
    expect(outcome).toMatchObject({ result: { bytesOut: body.length } })
  })

  it('S-15 loses a header of the injected name', async () => {
    const { answer } = await through(
      (socket) => socket.write(whole('x', 'X-Custom-Key: whatever', 'X-Kept: 1')),
      {},
      { inject: [{ kind: 'header', name: 'X-Custom-Key', value: new Secret(token) }] },
    )
    expect([answer.headers['x-custom-key'], answer.headers['x-kept']]).toEqual([undefined, '1'])
  })

  it('gets an end that only looks like the beginning of a secret through whole', async () => {
    const body = `the end: ${token.slice(0, -1)}`
    const { answer } = await through((socket) => socket.write(whole(body)), {}, { inject })
    expect([answer.body.toString(), answer.whole]).toEqual([body, true])
  })

  it('L-02 has it hidden as it was sent, also with letters beyond ASCII', async () => {
    const accented = 'fake-t\u00f6ken-0123456789'
    const { answer } = await through(
      (socket, text) => socket.write(whole(Buffer.from(/authorization: (.*)/i.exec(text)![1]!, 'latin1'))),
      {},
      { inject: [{ kind: 'header', name: 'Authorization', value: new Secret(`Bearer ${accented}`) }] },
    )
    expect(answer.body.toString('latin1')).toBe(`Bearer ${'*'.repeat(accented.length)}`)
  })

  it('L-02 has further secrets hidden that the caller names', async () => {
    const { answer } = await through(
      (socket) => socket.write(whole('pass=fake-password-123')),
      {},
      { mask: [new Secret('fake-password-123')] },
    )
    expect(answer.body.toString()).toBe(`pass=${'*'.repeat(17)}`)
  })

  it('L-02 has a query credential hidden as it stands in links', async () => {
    const key = 'fake key/0123456789'
    const { answer, upstream } = await through(
      (socket, text) =>
        socket.write(whole('x', `Link: <http://${/host: (\S+)/i.exec(text)![1]!}/x?page=2&key=${encodeURIComponent(key)}>; rel="next"`)),
      {},
      {
        inject: [{ kind: 'query', name: 'key', value: new Secret(key) }],
      },
    )
    expect(upstream.requests[0]).toContain(`GET /x?key=${encodeURIComponent(key)} HTTP/1.1`)
    expect(answer.headers.link).toBe(
      `<https://gate.example/proxy/x/x?page=2&key=${'*'.repeat(encodeURIComponent(key).length)}>; rel="next"`,
    )
  })
})

describe('a body that must not be there', () => {
  it('is absent from HEAD, whose length stays', async () => {
    const { answer } = await through((socket) => socket.write(head('200 OK', 'Content-Length: 12345')), {}, {}, 'HEAD')
    expect([answer.status, answer.headers['content-length'], answer.body.length, answer.whole]).toEqual([200, '12345', 0, true])
  })

  it('is absent from HEAD however large the length it declares', async () => {
    const { answer } = await through(
      (socket) => socket.write(head('200 OK', 'Content-Length: 99999999', 'Content-Encoding: gzip')),
      { maxResponseBytes: 1000 },
      {},
      'HEAD',
    )
    expect(answer.status).toBe(200)
  })
})

describe('an event stream', () => {
  it('shows its headers before its first event, and each event as it comes', async () => {
    const started = Promise.withResolvers<net.Socket>()
    const { gate } = await open((socket) => {
      socket.write(head('200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked'))
      started.resolve(socket)
    })
    const http = await import('node:http')
    const request = http.get(`${gate.origin}/x`, { agent: false })
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage]
    const socket = await started.promise
    for (const event of ['data: one\n\n', 'data: two\n\n']) {
      socket.write(`${event.length.toString(16)}\r\n${event}\r\n`)
      const [chunk] = (await once(response, 'data')) as [Buffer]
      expect(chunk.toString()).toBe(event)
    }
    socket.write('0\r\n\r\n')
    await once(response, 'end')
  })
})
