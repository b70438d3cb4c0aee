import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { listModelProviders, newId, noMetrics, systemClock } from '@sallyport/core'
import type { ForwardResult, Logger } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'
import { createBodyHolding } from './asked-body.ts'
import { createCompatiblePlane } from './compatible.ts'
import type { CompatiblePlaneOptions } from './compatible.ts'
import type { ModelCall } from './model-call.ts'
import { createRoom } from './room.ts'

const cleanup: (() => void)[] = []
afterEach(() => {
  for (const step of cleanup.splice(0)) step()
})

const caller: KeyPrincipal = {
  kind: 'key',
  keyId: newId('key'),
  org: newId('org'),
  project: newId('proj'),
  environment: 'test',
  scopes: new Set(['llm:call']),
  connection: null,
  auditUseMode: 'batched',
  bounds: null,
}
const silent = (): void => undefined
const logger = { debug: silent, info: silent, warn: silent, error: silent } as unknown as Logger

/** Counts what is set aside and what of it ends; every call that leaves is answered with an empty object. */
async function plane() {
  const seen = { begun: 0, ended: 0, sent: 0 }
  const calls: CompatiblePlaneOptions['calls'] = {
    providers: new Map(listModelProviders().map((provider) => [provider.id, provider])),
    settingsOf: () => ({}),
    send({ handing: { response }, metering }: ModelCall): Promise<ForwardResult> {
      seen.sent += 1
      response.writeHead(200, ['content-type', 'application/json'])
      response.write(Buffer.from('{}'))
      response.end()
      metering.end({})
      return Promise.resolve({ status: 200, bytesIn: 2, bytesOut: 2, firstByteMs: 1, durationMs: 1 })
    },
  }
  const made = createCompatiblePlane({
    authenticator: { judge: () => caller } as unknown as CompatiblePlaneOptions['authenticator'],
    keyGuard: { admit: () => undefined },
    keyUses: { note: silent },
    limiter: { admit: () => ({ standard: [], older: [] }) },
    crossOrigin: { answerFor: () => undefined },
    useLog: { request: silent },
    clock: systemClock,
    logger,
    metrics: noMetrics,
    clientAddress: () => '192.0.2.1',
    transport: { fields: {}, flat: [] },
    isFromMemory: () => false,
    calls,
    meter: {
      wantsBody: () => true,
      begin() {
        seen.begun += 1
        return { answered: silent, chunk: silent, end: () => void (seen.ended += 1) }
      },
    },
    routes: { of: () => new Map() },
    list: { of: () => Promise.resolve([]) },
    holding: createBodyHolding(1_000_000, 1_000_000),
    maxAnswerBytes: 1_000_000,
    room: createRoom(1_000_000),
    random: () => 0,
  })
  const server = http.createServer((request, response) => void made.handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.push(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/chat/completions`
  const ask = (body: object, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'POST',
      headers: { authorization: 'Bearer sp_anything', 'content-type': 'application/json', connection: 'close', ...headers },
      body: JSON.stringify(body),
    })
  return { ask, seen }
}

const chat = (model: string) => ({ model, messages: [{ role: 'user', content: 'hello' }] })

describe('a request of /v1/', () => {
  it('ends what was set aside for it', async () => {
    const { ask, seen } = await plane()
    expect((await ask(chat('openai/gpt-5'))).status).toBe(200)
    expect(seen).toEqual({ begun: 1, ended: 1, sent: 1 })
  })

  it('that is refused for a header or its model has nothing set aside', async () => {
    const { ask, seen } = await plane()
    // U+0085 as UTF-8, each byte a character.
    expect((await ask(chat('openai/gpt-5'), { 'x-more': 'a\u00c2\u0085b' })).status).toBe(400)
    expect((await ask(chat('gemini/..'))).status).toBe(400)
    expect(seen).toEqual({ begun: 0, ended: 0, sent: 0 })
  })

  it('whose arguments of a call are nested too deeply to be written again is refused as one that can’t be translated', async () => {
    const { ask, seen } = await plane()
    const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: deep } }
    const messages = [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: 'done' },
    ]
    const answered = await ask({ model: 'anthropic/claude-haiku-4-5', messages })
    expect([answered.status, await answered.json()]).toMatchObject([400, { error: { code: 'invalid_value' } }])
    expect(seen).toEqual({ begun: 0, ended: 0, sent: 0 })
  })
})
