/** OpenAI's own client, and `ai` as it speaks to OpenAI, at named routes whose first target fails before its first byte: what they see is the second one's. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { modelClientsSuite } from '../../packages/testkit/src/suites/index.ts'
import { setVendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

/** Answers with the status in its path, and to `/silent` with nothing. */
const failing = createServer((request, response) => {
  request.resume()
  const status = /^\/(?<status>\d{3})\//u.exec(request.url!)?.groups?.['status']
  if (status === undefined) return
  const error = { message: 'not now', type: 'server_error', param: null, code: null }
  response.writeHead(Number(status), { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
})
failing.listen(0, '127.0.0.1')
await once(failing, 'listening')
const bad = `http://127.0.0.1:${(failing.address() as AddressInfo).port}`
const FAILING = { 429: 'too-many', 500: 'broken', silent: 'silent' } as const

const made = setVendorStage(
  { postgresUrl: serverUnderTest(inject('postgresUrl')) },
  {},
  Object.entries(FAILING).map(([how, id]) => ({ id, base: `${bad}/${how}` })),
).then(async (stage) => {
  for (const provider of Object.values(FAILING)) {
    await stage.owner.client.call('providerKeyCreate', {
      params: stage.owner.place,
      body: { provider, name: 'default', secret: 'not-a-real-key-of-nobody', settings: {} },
    })
  }
  return stage
})
afterAll(async () => {
  await (await made).close()
  failing.closeAllConnections()
  failing.close()
})

interface Target {
  readonly provider: string
  readonly model: string
  readonly first_byte_timeout_ms?: number
}

async function route(name: string, targets: readonly Target[]): Promise<string> {
  const { owner } = await made
  await owner.client.call('modelRouteCreate', { params: owner.place, body: { name, targets: [...targets] } })
  return name
}

const [CHAT, EMBEDDING] = ['sandbox-large', 'sandbox-embedding']
/** What is asked first, and who speaks in the end. */
const ROUTES: readonly {
  readonly kind: string
  readonly first: Omit<Target, 'model'>
  readonly second: string
  readonly embeds: string
}[] = [
  { kind: 'a native target, before a translated one', first: { provider: 'openai' }, second: 'anthropic', embeds: 'openai' },
  { kind: 'a target that says 429, before one of Anthropic', first: { provider: FAILING[429] }, second: 'anthropic', embeds: 'openai' },
  { kind: 'a target that says 500, before one of Gemini', first: { provider: FAILING[500] }, second: 'gemini', embeds: 'gemini' },
  {
    kind: 'a target that says nothing, before one of Bedrock',
    first: { provider: FAILING.silent, first_byte_timeout_ms: 100 },
    second: 'bedrock',
    embeds: 'vertex',
  },
  { kind: 'a target that says 429, before one of OpenAI', first: { provider: FAILING[429] }, second: 'openai', embeds: 'azure-openai' },
]

for (const [number, { kind, first, second, embeds }] of ROUTES.entries()) {
  modelClientsSuite(
    `a named route over ${kind}`,
    async () => {
      const { gateway, key, upstream } = await made
      const before = (model: string): readonly Target[] => [{ ...first, model }]
      const chat = await route(`chat-${number}`, [...before(CHAT), { provider: second, model: CHAT }])
      const embedding = await route(`embedding-${number}`, [...before(EMBEDDING), { provider: embeds, model: EMBEDDING }])
      const address = { base: gateway.url, key, chat, embedding }
      return {
        upstream,
        addressOf: () => address,
        nowhere: () => ({ ...address, chat: 'no-such-route' }),
        wrongKeyStatus: () => 401,
        awsNames: { wrongKey: '', nowhere: '' },
        close: async () => undefined,
      }
    },
    {
      vendors: ['anthropic', 'gemini', 'bedrock', 'azure-openai', 'cohere', 'vertex'],
      uploads: true,
      sameAddress: true,
      patience: true,
      // A target that has no words for a request is passed over, and the first one's failure stays the answer.
      ...(first.provider !== 'openai' && second !== 'openai' && { refusals: true }),
    },
  )
}

describe('a named route whose targets all fail', () => {
  it.each([
    [429, FAILING[500], FAILING[429]],
    [500, FAILING[429], FAILING[500]],
    [429, FAILING[429], FAILING.silent],
    [504, FAILING.silent, FAILING.silent],
  ] as const)('is a %i to the client, the last answer that came, after %s and %s', async (status, one, two) => {
    const { gateway, key } = await made
    // Whoever says something has all the time that a busy machine may take for it.
    const target = (provider: string): Target => ({
      provider,
      model: CHAT,
      ...(provider === FAILING.silent && { first_byte_timeout_ms: 100 }),
    })
    const model = await route(`fails-${one}-${two}`, [target(one), target(two)])
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
    })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } })
  })
})
