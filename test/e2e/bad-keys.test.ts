/** Bad keys by the thousand at a whole gateway: what they are told, and that nobody else notices. What they cost is a benchmark's to say. */
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { mintGatewayKey, newId, parseId } from '@sallyport/core'
import { setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { serverUnderTest } from './server-under-test.ts'
import { rawRequest, sendRaw } from './wire.ts'

/** Full size: 300,000, as many as come in a minute. */
const BAD_KEYS = Number(process.env['SALLYPORT_TEST_BAD_KEYS'] ?? 3_000)
const PATIENT = { timeout: 60_000 + 5 * BAD_KEYS }
/** What the gateway may gain by a flood, whatever its size: memory is taken in large steps. */
const GAIN_BYTES = 128 * 1024 * 1024

let stage: Stage
let trueId: ReturnType<typeof newId<'key'>>
const agent = new Agent({ keepAlive: true, maxSockets: 32 })

beforeAll(async () => {
  stage = await setStage({ postgresUrl: serverUnderTest(inject('postgresUrl')), file: { trustedProxies: ['127.0.0.1'] } })
  stage.upstream.answer((_request, response) => void response.end('{"ok":true}'))
  const { data } = await stage.owner.client.call('keyList', { params: stage.owner.place })
  trueId = parseId('key', data[0]!.id)!
})
afterAll(async () => {
  agent.destroy()
  await stage?.close()
})

/** Resident, of the gateway's process. */
function memory(): number {
  const [, pages] = readFileSync(`/proc/${stage.gateway.pid}/statm`, 'utf8').split(' ')
  return Number(pages) * 4096
}

const withoutForm = () => `sp_test_${'A'.repeat(73)}`
const ofNobody = () => mintGatewayKey('test', newId('key')).text.reveal()
const withWrongSecret = () => mintGatewayKey('test', trueId).text.reveal()

interface Told {
  readonly status: number
  readonly code: unknown
  /** Of our end of the connection. */
  readonly port: number
}

function refused(key: string, from: string, path: string): Promise<Told> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'x-forwarded-for': from }
    const request = httpRequest(`${stage.gateway.url}${path}`, { agent, headers }, (response) => {
      const port = response.socket.localPort!
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const { code } = JSON.parse(Buffer.concat(chunks).toString()) as { code: unknown }
        resolve({ status: response.statusCode!, code, port })
      })
      response.on('error', reject)
    })
    request.on('error', reject).end()
  })
}

/** Of the data plane, and of the control plane. */
const DOORS = ['/proxy/api/user', '/api/v1/whoami'] as const

describe('a flood of bad keys', () => {
  const kinds = [withoutForm, ofNobody, withWrongSecret]

  /** So many bad keys, a part of them at once; gives what they were told, how many there were, and how many connections it took. */
  async function pour(count: number) {
    const told = new Map<string, number>()
    const ports = new Set<number>()
    let left = count
    const one = async (): Promise<void> => {
      for (let n = --left; n >= 0; n = --left) {
        // From so few addresses that they are over their budget before the end, unless the machine is very slow.
        const { status, code, port } = await refused(kinds[n % 3]!(), `198.51.100.${n % 4}`, DOORS[n % 2]!)
        const words = `${status} ${String(code)}`
        told.set(words, (told.get(words) ?? 0) + 1)
        ports.add(port)
      }
    }
    await Promise.all(Array.from({ length: 64 }, one))
    return { told: [...told.keys()], count: [...told.values()].reduce((sum, times) => sum + times, 0), connections: ports.size }
  }

  it(
    'D-01 is refused whole by either door, on connections and in memory that stay, and beside it every good call is served',
    PATIENT,
    async () => {
      // What it takes for any such flood it takes with the first of it.
      await pour(1_500)
      const before = memory()
      const over = new AbortController()
      const flood = pour(BAD_KEYS).finally(() => over.abort())
      const good: number[] = []
      while (!over.signal.aborted || good.length < 50) {
        const response = await stage.call('/user')
        good.push(response.status)
        await response.body?.cancel()
      }
      const { told, count, connections } = await flood
      expect(new Set(good)).toEqual(new Set([200]))
      expect(told.filter((words) => words !== '401 unauthenticated' && words !== '503 overloaded')).toEqual([])
      expect(count).toBe(BAD_KEYS)
      expect(connections).toBeLessThan(500 + BAD_KEYS / 50)
      expect(memory() - before).toBeLessThan(GAIN_BYTES)
    },
  )

  it('D-01 says the same of a key that memory knows to be wrong as of one that had to be asked about', async () => {
    const untold = (head: string): string[] =>
      head
        .replaceAll(/req_[0-9A-Za-z]{22}|\r\ndate: [^\r]*/giu, '')
        .split('\r\n')
        .toSorted()
    for (const target of ['/proxy/api/user', '/llm/anthropic/v1/messages', '/v1/models', '/api/v1/whoami']) {
      const key = ofNobody()
      const ask = () => sendRaw(stage.gateway.url, rawRequest(target, [`Authorization: Bearer ${key}`]))
      const [asked, known] = [await ask(), await ask()]
      expect([asked.status, untold(asked.head), untold(asked.body)]).toEqual([401, untold(known.head), untold(known.body)])
      expect(known.head).toMatch(/sallyport-request-id: req_/u)
    }
  })

  it('keeps its place among the requests of one connection: answers come in the order of what was asked', async () => {
    const good = [
      'GET /proxy/api/user HTTP/1.1',
      'Host: gateway.test',
      `Authorization: Bearer ${stage.key}`,
      `Sallyport-Connection: ${stage.connection}`,
    ]
    const bad = ['GET /proxy/api/user HTTP/1.1', 'Host: gateway.test', `Authorization: Bearer ${withoutForm()}`]
    const last = rawRequest('/proxy/api/user', [`Authorization: Bearer ${withoutForm()}`], 'HEAD')
    const text = [good, bad, good, bad, good].map((lines) => `${lines.join('\r\n')}\r\n\r\n`).join('') + last
    const { head, body } = await sendRaw(stage.gateway.url, text)
    const statuses = [...`${head}\r\n\r\n${body}`.matchAll(/HTTP\/1\.1 (\d{3})/gu)].map(([, status]) => Number(status))
    expect(statuses).toEqual([200, 401, 200, 401, 200, 401])
  })
})
