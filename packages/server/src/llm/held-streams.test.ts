import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { createEgress, DEFAULT_EGRESS_POLICY, listModelProviders, newId, noMetrics, Secret, systemClock } from '@sallyport/core'
import type { Logger } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'
import { createBodyHolding } from './asked-body.ts'
import { createCompatiblePlane } from './compatible.ts'
import type { CompatiblePlaneOptions } from './compatible.ts'
import { createModelCalls } from './model-calls.ts'
import type { ModelCallsOptions } from './model-calls.ts'
import { createNativePlane } from './native.ts'
import { createRoom } from './room.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step()
})

const silent = (): void => undefined
const logger = { debug: silent, info: silent, warn: silent, error: silent } as unknown as Logger
const caller = {
  kind: 'key',
  keyId: newId('key'),
  org: newId('org'),
  project: newId('proj'),
  environment: 'test',
  scopes: new Set(['llm:call']),
  connection: null,
  auditUseMode: 'batched',
  bounds: null,
} as unknown as KeyPrincipal

const MB = 1024 * 1024
/** Four prompts fill one organization's half. */
const [PROMPT, ALL, STREAMS] = [MB, 8 * MB, 12]

async function listening(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Both planes before a provider that reads what it is asked, begins to answer, and never ends. */
async function gateway({ answer = 200 } = {}) {
  const asked: string[] = []
  const origin = await listening((request, response) => {
    asked.push(request.url!)
    request.resume().on('end', () => {
      const fails = request.headers['x-api-key'] === undefined && answer !== 200
      response.writeHead(fails ? answer : 200, { 'content-type': 'text/event-stream' })
      if (fails) response.end('{"error":{"message":"no"}}')
      else
        response.write(
          `data: ${JSON.stringify({ type: 'message_start', message: { id: 'm' }, choices: [{ index: 0, delta: { content: 'x' } }] })}\n\n`,
        )
    })
  })
  const providers = listModelProviders().map((provider) => ({ ...provider, base: origin }))
  const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [origin], maxConnectionsPerOrigin: 100 })
  cleanup.push(() => egress.close())
  const holding = createBodyHolding(2 * MB, ALL)
  const leaving: { [Name in keyof ModelCallsOptions]: unknown } = {
    providers,
    keptKeys: { of: () => ({ mode: 'either', kept: { id: newId('pkey'), settings: {}, sealed: Buffer.of(1), endsInS: null } }) },
    vault: { openCached: () => new Secret('not-a-real-kept-key') },
    egress,
    origins: { insecureAllowOrigins: [origin], allowedPorts: [443] },
    shares: { enter: () => silent },
    guard: { admit: () => ({ answered: silent, failed: silent }) },
    tokens: {},
    holding,
    useLog: { use: () => undefined },
    clock: systemClock,
    maxStreamedBytes: 4 * MB,
  }
  const target = { model: 'm', keyName: 'default', weight: 1, firstByteTimeoutMs: null }
  const targets = [
    { ...target, provider: 'openai' },
    { ...target, provider: 'anthropic' },
    { ...target, provider: 'openai' },
  ]
  const route = { name: 'several', strategy: 'ordered', targets, fallbackOn: ['server_error', 'timeout'], deadlineMs: 60_000 }
  const options = {
    authenticator: { judge: () => caller },
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
    calls: createModelCalls(leaving as unknown as ModelCallsOptions),
    meter: { wantsBody: () => true, begin: () => ({ answered: silent, chunk: silent, end: silent }) },
    routes: { of: () => new Map([[route.name, route]]) },
    list: { of: () => Promise.resolve([]) },
    holding,
    maxAnswerBytes: MB,
    room: createRoom(MB),
    random: () => 0,
    publicUrl: 'http://gateway.test',
    maxStreamedBytes: 4 * MB,
  } as unknown as CompatiblePlaneOptions & Parameters<typeof createNativePlane>[0]
  const [native, compatible] = [createNativePlane(options), createCompatiblePlane(options)]
  const url = await listening((request, response) => void (native.handle(request, response) || compatible.handle(request, response)))
  /** The head of its answer, once something of the answer came. */
  const ask = async (path: string, body: Buffer): Promise<{ status: number; leave: () => void }> => {
    const headers = { authorization: 'Bearer sp_anything', 'content-type': 'application/json', 'content-length': body.length }
    const request = http.request(`${url}${path}`, { method: 'POST', headers, agent: false })
    request.on('error', silent).end(body)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response, 'data')
    response.resume().on('error', silent)
    return { status: response.statusCode!, leave: () => response.destroy() }
  }
  return { ask, asked, idle: () => Promise.all([native.idle(), compatible.idle()]) }
}

const words = 'x'.repeat(PROMPT)
const chat = (model: string) =>
  Buffer.from(JSON.stringify({ model, stream: true, max_tokens: 9, messages: [{ role: 'user', content: words }] }))
const response = (model: string) => Buffer.from(JSON.stringify({ model, stream: true, input: words }))

const ways: [string, string, Buffer][] = [
  ['at /v1, as it is', '/v1/chat/completions', chat('openai/m')],
  ['at /v1, translated', '/v1/chat/completions', chat('anthropic/m')],
  ['at /v1, as a response over chat', '/v1/responses', response('anthropic/m')],
  ['at /v1, by a route over several', '/v1/chat/completions', chat('several')],
  ['below /llm, where it is read whole', '/llm/anthropic/v1/messages', chat('m')],
]

function bytesInUse(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('what is asked of a stream', () => {
  it.each(ways)('%s is held no longer than another may be asked, and takes no room from the next', async (_how, path, body) => {
    const { ask } = await gateway()
    const before = bytesInUse()
    for (let n = 0; n < STREAMS; n++) expect((await ask(path, body)).status).toBe(200)
    // 12 MB were asked, and are held twice where they are translated.
    await expect.poll(() => bytesInUse() - before, { timeout: 20_000 }).toBeLessThan(5 * MB)
  })

  it('is held while another target may be asked, and sent to it whole', async () => {
    const { ask, asked } = await gateway({ answer: 503 })
    for (let n = 0; n < STREAMS; n++) expect((await ask('/v1/chat/completions', chat('several'))).status).toBe(200)
    expect(asked).toEqual(Array.from({ length: STREAMS }, () => ['/v1/chat/completions', '/v1/messages']).flat())
  })

  it.each(ways)('%s leaves its room once, however the stream ends', async (_how, path, body) => {
    const { ask, idle } = await gateway()
    for (let round = 0; round < 2; round++) {
      const streams = []
      for (let n = 0; n < 4; n++) streams.push(await ask(path, body))
      for (const { leave } of streams) leave()
      await idle()
    }
    expect((await ask(path, body)).status).toBe(200)
  })
})
