/** What becomes of model calls on bad days: wrong input, vendors that break off, and callers that vanish. Each has its answer, and nothing stays open. */
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { cutStream, endlessStream } from '@sallyport/testkit'
import type { Instead } from '@sallyport/testkit'
import { setVendorStage } from './model-vendors.ts'
import type { VendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

/** Streams that stayed would take 49 KB each, and more than the heap that the gateway is given. `SALLYPORT_TEST_VANISHING` says another number. */
const VANISHING = Number(process.env['SALLYPORT_TEST_VANISHING'] ?? 3_000)
const HEAP_MB = 192

let stage: VendorStage
beforeAll(async () => {
  stage = await setVendorStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    variables: {
      SALLYPORT_EGRESS_HEADERS_TIMEOUT_MS: '3000',
      SALLYPORT_EGRESS_IDLE_TIMEOUT_MS: '3000',
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
    },
  })
})
afterEach(() => stage.upstream.instead())
afterAll(() => stage.close())

const CHAT = '/llm/openai/v1/chat/completions'
const question = (more: object = {}): object => ({
  model: stage.upstream.models.chat[0],
  messages: [{ role: 'user', content: 'hello' }],
  ...more,
})

function ask(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${stage.gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json', 'anthropic-version': '2023-06-01', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

async function told(response: Response): Promise<unknown> {
  return { status: response.status, source: response.headers.get('sallyport-error-source'), body: await response.text() }
}

/** An answer that holds what `of` makes of the request, in pieces. */
function saying(status: number, type: string, of: (headers: Record<string, unknown>) => readonly string[]): Instead {
  return (request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': type })
    void write(of(request.headers))
    return true

    async function write(pieces: readonly string[]): Promise<void> {
      for (const piece of pieces) {
        response.write(piece)
        await pause(20)
      }
      response.end()
    }
  }
}

describe('wrong input to a vendor', () => {
  it.each([
    ['a body that is no JSON', '{"model":', 400, 'could not parse'],
    ['no body', '', 400, 'could not parse'],
    ['a field that nobody knows', { nonsense: 1 }, 400, "Unknown parameter: 'nonsense'"],
    ['a model that nobody knows', { model: 'gone' }, 404, 'does not exist'],
  ])('is the vendor’s to answer: %s', async (_what, body, status, text) => {
    const asked = typeof body === 'string' ? body : question(body)
    expect(await told(await ask(CHAT, asked))).toMatchObject({ status, source: 'provider', body: expect.stringContaining(text) })
  })

  it('with the key of another vendor is refused by the vendor, and the key not repeated', async () => {
    const own = 'not-a-real-key-of-someone-else'
    const answer = await told(await ask('/llm/anthropic/v1/messages', question({ max_tokens: 5 }), { 'sallyport-provider-key': own }))
    expect(answer).toMatchObject({ status: 401, source: 'provider', body: expect.stringContaining('authentication_error') })
    expect(JSON.stringify(answer)).not.toContain(own)
  })
})

describe('a vendor on a bad day', () => {
  it('that breaks off in the middle of a stream is not taken for one that ended', async () => {
    stage.upstream.instead(cutStream(3))
    const response = await ask(CHAT, question({ stream: true }))
    expect(response.status).toBe(200)
    const reader = response.body!.getReader()
    const pieces: string[] = []
    const read = async (): Promise<void> => {
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(Buffer.from(piece.value).toString())
    }
    await expect(read()).rejects.toThrow('terminated')
    expect(pieces.join('')).toContain('"content":"2 "')
  })

  it('that answers with a page of HTML is passed on as what it is', async () => {
    stage.upstream.instead(saying(502, 'text/html', () => ['<html><h1>Bad gateway</h1></html>']))
    const response = await ask(CHAT, question())
    expect(response.headers.get('content-type')).toBe('text/html')
    expect(await told(response)).toEqual({ status: 502, source: 'provider', body: '<html><h1>Bad gateway</h1></html>' })
  })

  it('that never answers is given up on, and each caller told so in the words of its vendor', async () => {
    stage.upstream.instead((request) => void request.resume())
    const before = stage.upstream.seen.length
    const answers = await Promise.all(
      [CHAT, '/llm/anthropic/v1/messages', '/llm/gemini/v1beta/models/sandbox-large:generateContent'].map((path) => ask(path, question())),
    )
    for (const { status, headers } of answers) expect([status, headers.get('sallyport-error-source')]).toEqual([504, 'gateway'])
    expect(await Promise.all(answers.map((answer) => answer.json()))).toMatchObject([
      { error: { code: 'upstream_timeout' } },
      { type: 'error', error: { message: expect.any(String) } },
      { error: { code: 504, status: expect.any(String) } },
    ])
    expect(await Promise.all(stage.upstream.seen.slice(before).map(({ over }) => over))).toEqual([true, true, true])
  })

  it('that falls silent in the middle of a stream is given up on, and let go', async () => {
    stage.upstream.instead((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {}\n\n')
    })
    const before = stage.upstream.seen.length
    const response = await ask(CHAT, question({ stream: true }))
    await expect(response.text()).rejects.toThrow('terminated')
    expect(await stage.upstream.seen[before]!.over).toBe(true)
  })

  it('that never ends is let go as soon as the caller is', async () => {
    stage.upstream.instead(endlessStream())
    const before = stage.upstream.seen.length
    const hands = new AbortController()
    const response = await fetch(`${stage.gateway.url}${CHAT}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stage.key}` },
      body: JSON.stringify(question({ stream: true })),
      signal: hands.signal,
    })
    await response.body!.getReader().read()
    hands.abort()
    expect(await stage.upstream.seen[before]!.over).toBe(true)
  })

  it('that repeats the key in its error, whole or in pieces of a stream, gives it to nobody', async () => {
    const keyIn = (headers: Record<string, unknown>): string => String(headers['authorization'])
    stage.upstream.instead(
      saying(401, 'application/json', (headers) => [JSON.stringify({ error: { message: `Wrong: ${keyIn(headers)}` } })]),
    )
    expect(JSON.stringify(await told(await ask(CHAT, question())))).not.toContain(stage.upstream.key)
    for (const at of [1, 8, 20, 35]) {
      stage.upstream.instead(
        saying(200, 'text/event-stream', (headers) => [
          `data: ${keyIn(headers).slice(0, at)}`,
          keyIn(headers).slice(at),
          '\n\ndata: [DONE]\n\n',
        ]),
      )
      const { body } = (await told(await ask(CHAT, question({ stream: true })))) as { body: string }
      expect(body).not.toContain(stage.upstream.key)
      expect(body).toContain('*****')
      expect(body).toContain('[DONE]')
    }
    expect(stage.gateway.output()).not.toContain(stage.upstream.key)
  })
})

describe('callers that vanish', () => {
  /** The points at which a caller goes: with half a body, with a whole one, at the first byte of the answer. */
  const POINTS = ['half', 'asked', 'answered'] as const

  async function vanish(number: number): Promise<void> {
    const point = POINTS[number % POINTS.length]!
    const body = JSON.stringify(question({ stream: true }))
    const { hostname, port } = new URL(stage.gateway.url)
    const socket = connect(Number(port), hostname)
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${stage.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    await new Promise<void>((resolve) => {
      socket.on('close', () => resolve())
      socket.on('error', () => undefined)
      socket.on('data', () => socket.destroy())
      socket.write(head + (point === 'half' ? body.slice(0, 20) : body), () => {
        if (point !== 'answered') socket.destroy()
      })
    })
  }

  /** `atOnce` of them at any time. */
  async function vanishMany(count: number, atOnce: number): Promise<void> {
    let next = 0
    const one = async (): Promise<void> => {
      while (next < count) await vanish(next++)
    }
    await Promise.all(Array.from({ length: atOnce }, one))
  }

  /** Over the whole environment, in its usage. */
  async function callsWritten(): Promise<number> {
    const { data } = await stage.owner.client.call('usageGet', { params: stage.owner.place, query: {} })
    return data.reduce((sum, { calls }) => sum + calls, 0)
  }

  const openFiles = async (): Promise<number> => (await readdir(`/proc/${stage.gateway.pid}/fd`)).length

  it(
    'D-16 leave nothing open behind them: no call, no connection, no file, and no memory that the heap would lack',
    { timeout: 120_000 + VANISHING * 60 },
    async () => {
      stage.upstream.instead(endlessStream(50))
      await vanishMany(300, 50)
      const files = await openFiles()
      const [before, reached] = [await callsWritten(), stage.upstream.seen.length]
      await vanishMany(VANISHING, 200)
      await expect.poll(() => stage.upstream.seen.filter(({ isOver }) => !isOver).length).toBe(0)
      // What is kept open is kept for others to use, and no call is on it.
      await expect.poll(() => stage.upstream.connections()).toBeLessThan(5)
      await expect.poll(openFiles).toBeLessThan(files + 40)
      // Each call that the vendor saw is in the books, whether anybody heard its answer or not.
      await expect.poll(async () => (await callsWritten()) - before).toBeGreaterThanOrEqual(stage.upstream.seen.length - reached)
      stage.upstream.instead()
      expect((await ask(CHAT, question())).status).toBe(200)
    },
  )
})
