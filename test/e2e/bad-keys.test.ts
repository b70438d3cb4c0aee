/** Bad keys by the thousand at a whole gateway: what they are told, and that nobody else notices. What they cost is a benchmark's to say. */
import { Agent, request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { mintGatewayKey, newId, parseId } from '@sallyport/core'
import { setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { serverUnderTest } from './server-under-test.ts'
import { rawRequest, sendRaw } from './wire.ts'

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
  it('D-01 is refused whole by either door, on connections that stay, and beside it every good call is served', async () => {
    const kinds = [withoutForm, ofNobody, withWrongSecret]
    // From so few addresses that they are over their budget before the end, unless the machine is very slow.
    const flood = Promise.all(Array.from({ length: 3_000 }, (_, n) => refused(kinds[n % 3]!(), `198.51.100.${n % 4}`, DOORS[n % 2]!)))
    const good: number[] = []
    for (let n = 0; n < 50; n++) {
      const response = await stage.call('/user')
      good.push(response.status)
      await response.body?.cancel()
    }
    const told = await flood
    expect(new Set(good)).toEqual(new Set([200]))
    const others = told.filter(({ status, code }) => !['401 unauthenticated', '503 overloaded'].includes(`${status} ${String(code)}`))
    expect(others).toEqual([])
    expect(new Set(told.map(({ port }) => port)).size).toBeLessThan(500)
  })

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
