/** Streams of models as their users need them, and providers that end them badly. */
import { connect } from 'node:net'
import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createKey } from '@sallyport/testkit'
import { KEPT, setModelStage } from './model-stage.ts'
import type { ModelStage } from './model-stage.ts'
import { serverUnderTest } from './server-under-test.ts'

let stage: ModelStage

beforeAll(async () => {
  stage = await setModelStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    egress: { headersTimeoutMs: 4_000, idleTimeoutMs: 4_000 },
    file: { breaker: { failures: 3 } },
  })
})
afterAll(() => stage?.close())
afterEach(() => stage.upstream.answer((_request, response) => void response.writeHead(500).end()))

const bearer = () => ({ authorization: `Bearer ${stage.key}` })
const asked = (headers: Record<string, string> = {}, more: RequestInit = {}): RequestInit => ({
  method: 'POST',
  headers: { ...bearer(), 'content-type': 'application/json', ...headers },
  body: '{"stream":true}',
  ...more,
})
const CHAT = '/llm/openai/v1/chat/completions'
const MESSAGES = '/llm/anthropic/v1/messages'

/** Begins an event stream, and gives its end to the test. */
function beginStream(first: string): Promise<ServerResponse> {
  const begun = Promise.withResolvers<ServerResponse>()
  stage.upstream.answer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(first)
    begun.resolve(response)
  })
  return begun.promise
}

async function readUntil(reader: ReadableStreamDefaultReader<string>, end: string): Promise<string> {
  let text = ''
  while (!text.endsWith(end)) {
    const { value, done } = await reader.read()
    if (done) throw new Error(`ended with ${JSON.stringify(text)}`)
    text += value
  }
  return text
}

describe('a stream of a model', () => {
  it('D-16 is let go at the provider when its caller leaves', async () => {
    void beginStream('data: one\n\n')
    const leave = new AbortController()
    const aborted = stage.upstream.nextAbort()
    const response = await stage.call(CHAT, asked({}, { signal: leave.signal }))
    await response.body!.getReader().read()
    leave.abort()
    await aborted
  })

  it('D-16 is let go also where the provider has not answered yet', async () => {
    const arrived = Promise.withResolvers<void>()
    stage.upstream.answer(() => arrived.resolve())
    const leave = new AbortController()
    const aborted = stage.upstream.nextAbort()
    const call = stage.call(CHAT, asked({}, { signal: leave.signal })).catch(() => 'left')
    await arrived.promise
    leave.abort()
    await aborted
    expect(await call).toBe('left')
  })

  it('D-08 waits for a reader that is slow, and holds little of it meanwhile', async () => {
    const [piece, offered] = [Buffer.alloc(64 * 1024, 'x'), 96 * 1024 * 1024]
    let written = 0
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const pour = (): void => {
        while (written < offered) {
          written += piece.length
          if (!response.write(piece)) return void response.once('drain', pour)
        }
        response.end()
      }
      pour()
    })
    const { hostname, port } = new URL(stage.gateway.url)
    const socket = connect(Number(port), hostname)
    const lost = stage.upstream.nextAbort()
    socket.pause()
    socket.write(`POST ${CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${stage.key}\r\nContent-Length: 2\r\n\r\n{}`)
    let before = -1
    await expect
      .poll(
        () => {
          const stands = written > 0 && written === before
          before = written
          return stands
        },
        { interval: 300 },
      )
      .toBe(true)
    expect(written).toBeLessThan(offered / 2)
    socket.destroy()
    await lost
  })

  it('has comments in its silences where its caller asks for them, and nothing else is changed', async () => {
    const begun = beginStream('data: one\n\n')
    const response = await stage.call(CHAT, asked({ 'sallyport-keepalive': '1' }))
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect(await readUntil(reader, 'keepalive\n\n')).toBe('data: one\n\n: keepalive\n\n')
    const upstream = await begun
    upstream.end('data: two\n\n')
    expect((await readUntil(reader, 'data: two\n\n')).replaceAll(': keepalive\n\n', '')).toBe('data: two\n\n')
    expect((await reader.read()).done).toBe(true)
    for (const wrong of ['0', '301', 'often', '1.5'])
      expect((await stage.call(CHAT, asked({ 'sallyport-keepalive': wrong }))).status).toBe(400)
  })

  it('L-02 hides the key wherever the provider repeats it, also in pieces', async () => {
    const begun = beginStream(`data: your key is ${KEPT.openai.slice(0, 12)}`)
    const response = await stage.call(CHAT, asked())
    const upstream = await begun
    upstream.end(`${KEPT.openai.slice(12)} indeed\n\n`)
    const text = await response.text()
    expect(text).toMatch(/^data: your key is .* indeed\n\n$/u)
    expect(text).not.toContain(KEPT.openai)
  })

  it('that is cut in the middle cuts its caller too: half an answer never looks whole', async () => {
    const begun = beginStream('data: one\n\n')
    const response = await stage.call(CHAT, asked())
    const rest = response.text()
    const upstream = await begun
    upstream.destroy()
    await expect(rest).rejects.toThrow()
    const record = async () => {
      const { data } = await stage.owner.client.call('requestList', { params: stage.owner.place, query: { limit: 20 } })
      return data.find(({ id }) => id === response.headers.get('sallyport-request-id'))?.error
    }
    await expect.poll(record).toBe('upstream_reset')
  })

  it('that falls silent and never ends is cut by the limit of silence, and let go at the provider', async () => {
    void beginStream('data: one\n\n')
    const lost = stage.upstream.nextAbort()
    const response = await stage.call(CHAT, asked())
    await expect(response.text()).rejects.toThrow()
    await lost
  })

  it('that is a page of HTML instead comes as it is, as the provider’s, and can do nothing', async () => {
    stage.upstream.answer(
      (_request, response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<script>alert(1)</script>'),
    )
    const response = await stage.call('/llm/cohere/v2/chat', asked())
    expect([response.status, await response.text()]).toEqual([502, '<script>alert(1)</script>'])
    expect(response.headers.get('sallyport-error-source')).toBe('provider')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; sandbox")
  })
})

describe('a provider of models that does not answer', () => {
  it('is a timeout in the vendor’s words, and left alone after failures in a row, while others go on', async () => {
    stage.upstream.answer(() => undefined)
    const late = await stage.call(MESSAGES, asked())
    expect([late.status, late.headers.get('sallyport-error-source')]).toEqual([504, 'gateway'])
    expect(await late.json()).toMatchObject({ type: 'error', error: { type: 'timeout_error', code: 'upstream_timeout' } })
    stage.upstream.answer((_request, response) => void response.writeHead(529, { 'content-type': 'application/json' }).end('{}'))
    for (const _ of [2, 3]) expect((await stage.call(MESSAGES, asked())).status).toBe(529)
    const before = stage.upstream.seen.length
    const open = await stage.call(MESSAGES, asked())
    expect([open.status, open.headers.has('retry-after'), open.headers.get('sallyport-error-code')]).toEqual([503, true, 'circuit_open'])
    expect(await open.json()).toMatchObject({ type: 'error', error: { type: 'overloaded_error' } })
    expect(stage.upstream.seen.length).toBe(before)
    stage.upstream.answer((_request, response) => void response.end('{}'))
    expect((await stage.call('/llm/gemini/v1beta/models', { headers: bearer() })).status).toBe(200)
    await expect.poll(() => stage.gateway.output()).toMatch(/breaker\.opened/u)
  })

  it('a call over the limit is told when to come back, in the vendor’s words', async () => {
    stage.upstream.answer((_request, response) => void response.end('{}'))
    const limited = await createKey(stage.owner, ['llm:call'])
    const { data } = await stage.owner.client.call('keyList', { params: stage.owner.place, query: { limit: 200 } })
    const { id } = data.toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1))[0]!
    await stage.owner.client.call('keyRateLimitUpdate', {
      params: { ...stage.owner.place, key: id },
      body: { limit: { per_second: 1, burst: 1 } },
    })
    const call = () => stage.call('/llm/gemini/v1beta/models', { headers: { 'x-goog-api-key': limited } })
    const refusal = Promise.withResolvers<Response>()
    // One in a second: of many at once all but a few are too many, whatever the machine is busy with.
    await expect
      .poll(async () => {
        const found = (await Promise.all(Array.from({ length: 8 }, call))).find(({ status }) => status === 429)
        if (found !== undefined) refusal.resolve(found)
        return found !== undefined
      })
      .toBe(true)
    const answer = await refusal.promise
    expect(answer.headers.has('retry-after')).toBe(true)
    expect(await answer.json()).toMatchObject({ error: { code: 429, status: 'RESOURCE_EXHAUSTED' } })
  })
})
