/**
 * Crowds at a whole gateway, which differ from one hostile caller in number alone: connections that hold, callers that leave, answers without an end, and answers that
 * grow. Their sizes are settings; what was seen at full size stands in docs/benchmarks.md.
 */
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { serverUnderTest } from './server-under-test.ts'
import { rawRequest, sendRaw } from './wire.ts'

/** Full size: 10,000. */
const IDLE = Number(process.env['SALLYPORT_TEST_IDLE_CONNECTIONS'] ?? 600)
/** Full size: 10,000. */
const LEAVING = Number(process.env['SALLYPORT_TEST_LEAVING_CALLERS'] ?? 300)
/** Full size: 10 GB. */
const ANSWER_BYTES = Number(process.env['SALLYPORT_TEST_ANSWER_BYTES'] ?? 128 * 1024 * 1024)
/** Long enough for all of them to be there at once. */
const HEADERS_TIMEOUT_MS = Math.max(5_000, IDLE * 2)
/** What a process may gain by a crowd, whatever its size: memory is taken in large steps. */
const GAIN_BYTES = 192 * 1024 * 1024

let stage: Stage
beforeAll(async () => {
  stage = await setStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    file: { limits: { headersTimeoutMs: HEADERS_TIMEOUT_MS, requestTimeoutMs: HEADERS_TIMEOUT_MS + 3_000 } },
    variables: { SALLYPORT_EGRESS_MAX_RESPONSE_BYTES: String(64 * 1024 * 1024 * 1024) },
  })
})
afterAll(() => stage?.close())
afterEach(() => stage.upstream.answer((_request, response) => void response.writeHead(599).end()))

/** The API answers whoever sent its whole request. */
const served = () => stage.upstream.answer((request, response) => void request.on('end', () => response.end('{"ok":true}')))
const credentials = () => [`Authorization: Bearer ${stage.key}`, `Sallyport-Connection: ${stage.connection}`]

async function goodCall(): Promise<number> {
  const response = await stage.call('/user')
  await response.text()
  return response.status
}

/** Resident, of the gateway's process. */
function memory(): number {
  const [, pages] = readFileSync(`/proc/${stage.gateway.pid}/statm`, 'utf8').split(' ')
  return Number(pages) * 4096
}

interface Held {
  readonly socket: Socket
  /** What came back until it was closed. */
  readonly closed: Promise<string>
}

/** Connections from many addresses of loopback: one address has a bound of its own. */
async function dial(n: number): Promise<Held> {
  const socket = connect({ port: stage.gateway.port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (n % 100)}` })
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  socket.on('error', () => undefined)
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(Buffer.concat(pieces).toString('latin1')))
  })
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve)
    socket.once('close', () => resolve())
  })
  return { socket, closed }
}

/** Sends a head, and then a byte each second, so that the connection is never silent. */
async function drip(n: number, head: string): Promise<string> {
  const { socket, closed } = await dial(n)
  socket.write(head)
  const timer = setInterval(() => socket.writable && socket.write('a'), 1_000)
  return closed.finally(() => clearInterval(timer))
}

describe('connections that hold', () => {
  it(
    'D-04 are cut on time, idle, dripping headers or dripping a body, and beside them every good call is served',
    { timeout: 60_000 + 4 * HEADERS_TIMEOUT_MS },
    async () => {
      served()
      const slow = [
        `GET /proxy/api/user HTTP/1.1\r\nHost: x\r\nX-Slow: `,
        `POST /proxy/api/user HTTP/1.1\r\nHost: x\r\n${credentials().join('\r\n')}\r\nContent-Length: 1000\r\n\r\n`,
        `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n${credentials()[0]}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
        `POST /api/v1/orgs HTTP/1.1\r\nHost: x\r\n${credentials()[0]}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
        `POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n`,
      ]
      const dripping = Promise.all(Array.from({ length: 40 }, (_, n) => drip(n, slow[n % slow.length]!)))
      const idle: Held[] = []
      while (idle.length < IDLE)
        idle.push(...(await Promise.all(Array.from({ length: Math.min(200, IDLE - idle.length) }, (_, n) => dial(n)))))
      const over = new AbortController()
      const all = Promise.all([dripping, ...idle.map(({ closed }) => closed)]).then(([said]) => {
        over.abort()
        return said
      })
      const statuses: number[] = []
      for (; !over.signal.aborted; await wait(20)) statuses.push(await goodCall())
      expect(new Set(statuses)).toEqual(new Set([200]))
      // Each was told why, or cut: none was served.
      expect((await all).map((said) => said.slice(9, 12)).filter((status) => !['', '400', '401', '403', '408'].includes(status))).toEqual(
        [],
      )
      expect(await goodCall()).toBe(200)
    },
  )
})

describe('callers that leave', () => {
  it(
    'D-16 take their connections to the provider along, each of them, and leave nothing behind',
    { timeout: 60_000 + 60 * LEAVING },
    async () => {
      const open = new Set<ServerResponse>()
      let begun = 0
      stage.upstream.answer((request, response) => {
        begun += 1
        open.add(response)
        response.once('close', () => open.delete(response))
        // Some are left before they have an answer, most in its midst.
        if (request.url!.endsWith('/never')) return
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('data: one\n\n')
      })
      const leave = async (n: number): Promise<void> => {
        const { socket, closed } = await dial(n)
        const answers = n % 4 !== 0
        const before = begun
        socket.write(rawRequest(`/proxy/api/events/${answers ? 'some' : 'never'}`, credentials()))
        await (answers ? new Promise((resolve) => socket.once('data', resolve)) : expect.poll(() => begun).toBeGreaterThan(before))
        socket.destroy()
        await closed
      }
      const rounds = async (count: number): Promise<void> => {
        for (let done = 0; done < count; done += 50) {
          await Promise.all(Array.from({ length: Math.min(50, count - done) }, (_, n) => leave(n)))
          await expect.poll(() => open.size, { interval: 20 }).toBe(0)
        }
      }
      // As much as it needs for such calls it takes with the first of them.
      await rounds(Math.max(100, LEAVING / 10))
      const before = memory()
      await rounds(LEAVING)
      expect(memory() - before).toBeLessThan(GAIN_BYTES)
      served()
      expect(await goodCall()).toBe(200)
    },
  )
})

describe('an answer without an end', () => {
  it('D-08 passes with as little memory as a short one', { timeout: 60_000 + ANSWER_BYTES / 10_000 }, async () => {
    const piece = Buffer.alloc(256 * 1024, 'x')
    stage.upstream.answer((_request, response) => {
      let left = ANSWER_BYTES
      const pour = (): void => {
        while (left > 0) {
          left -= piece.length
          if (!response.write(piece)) return void response.once('drain', pour)
        }
        response.end()
      }
      pour()
    })
    const before = memory()
    const response = await stage.call('/large')
    let [bytes, most] = [0, 0]
    for await (const chunk of response.body!) {
      bytes += chunk.length
      most = Math.max(most, memory())
    }
    expect(bytes).toBe(ANSWER_BYTES)
    expect(most - before).toBeLessThan(GAIN_BYTES)
  })
})

describe('an answer that grows', () => {
  const answered = (body: Buffer, encoding: string) =>
    stage.upstream.answer((_request, response) => void response.writeHead(200, { 'content-encoding': encoding }).end(body))

  it('D-09 a thousandfold is cut before it has grown far, and never looks whole', async () => {
    const inside = 64 * 1024 * 1024
    const bomb = gzipSync(Buffer.alloc(inside))
    expect(inside).toBeGreaterThan(bomb.length * 1_000)
    answered(bomb, 'gzip')
    const before = memory()
    const { status, body } = await sendRaw(stage.gateway.url, rawRequest('/proxy/api/bomb', credentials()), 30_000)
    // Cut before its head, or within it.
    expect([0, 200, 502]).toContain(status)
    expect(body.length).toBeLessThan(inside / 2)
    expect(body.endsWith('0\r\n\r\n')).toBe(false)
    expect(memory() - before).toBeLessThan(GAIN_BYTES)
  })

  it('D-09 that is encoded ten times over is refused where it says so, and undone once where it says once', async () => {
    let nested = Buffer.alloc(10 * 1024 * 1024)
    for (let n = 0; n < 10; n++) nested = gzipSync(nested)
    answered(nested, Array.from({ length: 10 }, () => 'gzip').join(', '))
    expect((await stage.call('/bomb')).status).toBe(502)
    answered(nested, 'gzip')
    const response = await stage.call('/bomb')
    const bytes = Buffer.from(await response.arrayBuffer())
    // What is inside is the caller's to undo, or not to: gzip's first bytes.
    expect([response.status, bytes.subarray(0, 2).toString('hex'), bytes.length < 64 * 1024]).toEqual([200, '1f8b', true])
  })
})
