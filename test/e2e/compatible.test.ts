/**
 * OpenAI's requests for the models of every provider, and named routes over several of them: OpenAI's own client on one side, vendors that take no key but
 * their own on the other.
 */
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createKey, endlessStream, signInOwner, startGatewayProcess, startModelUpstream, statusThenVendor } from '@sallyport/testkit'
import type { GatewayProcess, Instead, ModelUpstream, Owner } from '@sallyport/testkit'
import { keepKey } from './model-stage.ts'
import { serverUnderTest } from './server-under-test.ts'

const KEYS = { first: 'not-a-real-first-vendor-key-1111', second: 'not-a-real-second-vendor-key-2222' }
const CHAT = 'sandbox-chat'
/** In a row, that open a circuit: more than any test but that of circuits has. */
const FAILURES = 20

let first: ModelUpstream
let second: ModelUpstream
/** With a circuit of its own, which is by host. */
let flaky: ModelUpstream
/** And so has this one. */
let silence: ModelUpstream
let gateway: GatewayProcess
let owner: Owner
let key: string
let client: OpenAI

beforeAll(async () => {
  first = await startModelUpstream({ key: KEYS.first, models: { chat: [CHAT], embedding: ['sandbox-embedding'], audio: [] } })
  second = await startModelUpstream({ key: KEYS.second, models: { chat: [CHAT], embedding: ['sandbox-embedding'], audio: [] } })
  flaky = await startModelUpstream({ key: KEYS.first, models: { chat: [CHAT], embedding: [], audio: [] } })
  silence = await startModelUpstream({ key: KEYS.first, models: { chat: [CHAT], embedding: [], audio: [] } })
  gateway = await startGatewayProcess({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    // All that could be written is.
    variables: { SALLYPORT_LOG_LEVEL: 'debug' },
    file: {
      egress: { insecureAllowOrigins: [first.origin, second.origin, flaky.origin, silence.origin] },
      breaker: { failures: FAILURES },
      models: {
        providers: [
          { id: 'openai', base: first.base('openai') },
          { id: 'anthropic', base: second.base('anthropic') },
          { id: 'gemini', base: second.base('gemini') },
          { id: 'backup', base: second.base('openai') },
          { id: 'flaky', base: flaky.base('openai') },
          { id: 'mute', base: silence.base('openai') },
          { id: 'keyless', base: first.base('openai') },
        ],
      },
    },
  })
  owner = await signInOwner(gateway)
  for (const provider of ['openai', 'flaky', 'mute']) await keepKey(owner, { provider, secret: KEYS.first })
  for (const provider of ['anthropic', 'gemini', 'backup']) await keepKey(owner, { provider, secret: KEYS.second })
  key = await createKey(owner, ['llm:call'])
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0 })
})
afterAll(async () => {
  await gateway?.stop()
  await first?.close()
  await second?.close()
  await flaky?.close()
  await silence?.close()
})
afterEach(() => {
  first.instead()
  second.instead()
  flaky.instead()
})

const messages = [{ role: 'user' as const, content: 'say something' }]
let made = 0
/** A route over these; gives its name. */
async function route(targets: readonly object[], more: object = {}): Promise<string> {
  const name = `route-${(made += 1)}`
  const body = { name, targets, ...more } as Parameters<typeof owner.client.call<'modelRouteCreate'>>[1]['body']
  await owner.client.call('modelRouteCreate', { params: owner.place, body })
  return name
}
const ask = (model: string, more: object = {}) => client.chat.completions.create({ model, messages, ...more }).withResponse()
const told = ({ headers }: Response) => [headers.get('sallyport-served-by'), headers.get('sallyport-attempts')]
const post = (body: BodyInit, more: Record<string, string> = {}, path = '/v1/chat/completions'): Promise<Response> =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...more },
    body,
  })
/** Answers in every vendor's stead with this. */
const always =
  (status: number, headers: Record<string, string>, body: string): Instead =>
  (request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
    return true
  }
const limited = always(
  429,
  { 'retry-after': '17' },
  '{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
)
const silent: Instead = (request) => {
  request.resume()
  return true
}

describe('a model that is named with its provider', () => {
  it.each(['openai', 'anthropic', 'gemini', 'backup'])('of %s answers OpenAI’s own client, whole and streamed', async (provider) => {
    const { data, response } = await ask(`${provider}/${CHAT}`)
    expect([data.object, data.choices[0]!.finish_reason, told(response)]).toEqual(['chat.completion', 'stop', [`${provider}/${CHAT}`, '1']])
    expect(data.usage!.total_tokens).toBeGreaterThan(0)
    const stream = client.chat.completions.stream({ model: `${provider}/${CHAT}`, messages, stream_options: { include_usage: true } })
    const whole = await stream.finalChatCompletion()
    expect(whole.choices[0]!.message.content).toBe(data.choices[0]!.message.content)
    expect(whole.usage!.total_tokens).toBe(data.usage!.total_tokens)
  })

  it.each(['openai', 'gemini'])('of %s embeds', async (provider) => {
    const { data } = await client.embeddings.create({ model: `${provider}/sandbox-embedding`, input: ['one', 'two'] })
    expect([data.length, data[1]!.index, data[0]!.embedding.length > 1]).toEqual([2, 1, true])
  })

  it.each(['openai', 'anthropic'])('of %s answers as the Responses API does', async (provider) => {
    const answer = await client.responses.create({ model: `${provider}/${CHAT}`, input: 'say something', store: false })
    expect([answer.object, answer.status, answer.output_text.length > 0]).toEqual(['response', 'completed', true])
  })

  it('is passed through untouched where its provider speaks OpenAI’s words', async () => {
    const said = '{ "id" : "x",   "object":"chat.completion", "unknown": 1e2 }'
    first.instead(always(200, { 'x-vendor': 'yes' }, said))
    const response = await post(JSON.stringify({ model: 'openai/anything', messages, vendor_option: { a: 1 } }))
    expect([await response.text(), response.headers.get('x-vendor'), response.headers.get('sallyport-error-source')]).toEqual([
      said,
      'yes',
      'provider',
    ])
  })

  it('carries the key of its provider alone, and its own name of the model', async () => {
    first.seen.length = 0
    await ask(`openai/${CHAT}`)
    const { headers, rawHeaders, url } = first.seen.at(-1)!
    expect([url, headers.authorization]).toEqual(['/openai/v1/chat/completions', `Bearer ${KEYS.first}`])
    expect(JSON.stringify(rawHeaders)).not.toContain(key)
  })

  it('goes out with the caller’s own key where it brings one', async () => {
    first.seen.length = 0
    const response = await post(JSON.stringify({ model: `keyless/${CHAT}`, messages }), { 'sallyport-provider-key': KEYS.first })
    expect([response.status, first.seen.at(-1)!.headers.authorization]).toEqual([200, `Bearer ${KEYS.first}`])
  })

  it.each([
    ['of nobody', 'nobody/model', 404, 'model_not_found'],
    ['without a provider', 'no-such-route', 404, 'model_not_found'],
    ['without a name', 'openai/', 404, 'model_not_found'],
    ['that no header could name', 'openai/a\r\nb', 404, 'model_not_found'],
    ['of a provider without a key', 'keyless/model', 400, 'provider_key_required'],
  ])('%s is refused in OpenAI’s words', async (_what, model, status, code) => {
    const error = await ask(model).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(OpenAI.APIError)
    const { status: was, code: said, headers } = error as InstanceType<typeof OpenAI.APIError>
    expect([was === status || code === 'provider_key_required', said, headers?.get('sallyport-error-source')]).toEqual([
      true,
      code,
      'gateway',
    ])
  })

  it.each([
    ['no JSON', '{"model":', 400, null, 'invalid_json'],
    ['no model', '{"messages":[]}', 400, 'model', 'missing_required_parameter'],
    [
      'what Anthropic has no word for',
      `{"model":"anthropic/${CHAT}","messages":[{"role":"user","content":"x"}],"logprobs":true}`,
      400,
      'logprobs',
      'unsupported_parameter',
    ],
  ])('with %s is refused by the field', async (_what, body, status, param, code) => {
    const response = await post(body)
    expect([response.status, ((await response.json()) as { error: object }).error]).toMatchObject([status, { param, code }])
  })

  it('is refused above the limit of bodies, as another type, with another method and at another path', async () => {
    const large = await post(
      JSON.stringify({ model: `openai/${CHAT}`, messages: [{ role: 'user', content: 'x'.repeat(11 * 1024 * 1024) }] }),
    )
    const typed = await post('x', { 'content-type': 'text/plain' })
    const elsewhere = await post('{}', {}, '/v1/images/generations')
    const got = await fetch(`${gateway.url}/v1/chat/completions`, { headers: { authorization: `Bearer ${key}` } })
    expect([large.status, typed.status, elsewhere.status, got.status]).toEqual([413, 415, 404, 405])
    for (const response of [large, typed, elsewhere, got])
      expect(((await response.json()) as { error: { message: string } }).error.message).toEqual(expect.any(String))
  })

  it('is not for a key without the scope', async () => {
    const other = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: await createKey(owner, ['proxy:call']), maxRetries: 0 })
    await expect(other.chat.completions.create({ model: `openai/${CHAT}`, messages })).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError)
  })
})

describe('a translated stream', () => {
  it('gets a comment in its silences where the caller asks for that, and its first event at once', async () => {
    second.instead((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage: { input_tokens: 1, output_tokens: 1 } }
      response.write(`event: message_start\ndata: ${JSON.stringify({ type: 'message_start', message })}\n\n`)
      return true
    })
    const response = await post(JSON.stringify({ model: `anthropic/${CHAT}`, messages, stream: true }), { 'sallyport-keepalive': '1' })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toMatch(/^data: \{.*"role":"assistant".*\}\n\n$/u)
    expect((await reader.read()).value).toBe(': keepalive\n\n')
    await reader.cancel()
  })
})

describe('a named route', () => {
  const both = [
    { provider: 'openai', model: CHAT },
    { provider: 'anthropic', model: CHAT },
  ] as const

  it.each([
    ['429', statusThenVendor(429, 1_000)],
    ['500', statusThenVendor(500, 1_000)],
    ['a connection that breaks', ((request) => (request.socket.destroy(), true)) satisfies Instead],
    ['a page of HTML with status 200', always(200, { 'content-type': 'text/html; charset=utf-8' }, '<html>sign in</html>')],
    ['status 200 and no body', always(200, {}, '')],
  ])('asks its second target after %s, and says who served', async (_what, instead) => {
    first.instead(instead)
    const { data, response } = await ask(await route(both))
    expect([data.choices[0]!.finish_reason, told(response)]).toEqual(['stop', [`anthropic/${CHAT}`, '2']])
  })

  it('asks its second target when the first does not begin in time', async () => {
    first.instead(silent)
    const { response } = await ask(await route([{ ...both[0], first_byte_timeout_ms: 150 }, both[1]]))
    expect(told(response)).toEqual([`anthropic/${CHAT}`, '2'])
  })

  it('asks its second target when the first says 200 and then nothing, for nobody has a byte of it', async () => {
    first.instead((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      return true
    })
    const name = await route([{ ...both[0], first_byte_timeout_ms: 300 }, both[1]])
    const stream = await client.chat.completions.create({ model: name, messages, stream: true }).withResponse()
    expect(told(stream.response)).toEqual([`anthropic/${CHAT}`, '2'])
    let pieces = 0
    for await (const _chunk of stream.data) pieces += 1
    expect(pieces).toBeGreaterThan(1)
  })

  it.each([
    ['openai', 'data: {"error":{"message":"busy","type":"server_error","code":"overloaded"}}\n\n'],
    ['anthropic', 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'],
  ] as const)('asks its second target when %s says 200 and then, in its first event, that it has failed', async (provider, event) => {
    const at = provider === 'openai' ? first : second
    at.instead((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(event)
      return true
    })
    const other = provider === 'openai' ? 'anthropic' : 'openai'
    const name = await route([
      { provider, model: CHAT },
      { provider: other, model: CHAT },
    ])
    const stream = await client.chat.completions.create({ model: name, messages, stream: true }).withResponse()
    expect(told(stream.response)).toEqual([`${other}/${CHAT}`, '2'])
    for await (const _chunk of stream.data) expect(_chunk.object).toBe('chat.completion.chunk')
    // Where the other can not be asked, the failure is what the caller gets.
    const alone = await route([
      { provider, model: CHAT },
      { provider: 'keyless', model: CHAT },
    ])
    const failing = await client.chat.completions.create({ model: alone, messages, stream: true })
    await expect(failing[Symbol.asyncIterator]().next()).rejects.toThrow('busy')
  })

  it('asks nobody else once an answer has begun: one that is cut stays cut', async () => {
    first.instead((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(
        'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
      )
      setImmediate(() => response.destroy())
      return true
    })
    second.seen.length = 0
    const { data, response } = await client.chat.completions.create({ model: await route(both), messages, stream: true }).withResponse()
    expect(told(response)).toEqual([`openai/${CHAT}`, '1'])
    const heard: string[] = []
    await expect(
      (async () => {
        for await (const chunk of data) heard.push(chunk.choices[0]!.delta.content!)
      })(),
    ).rejects.toThrow()
    expect([heard, second.seen]).toEqual([['a'], []])
  })

  it('passes over a target without a key, and does not count it', async () => {
    const { response } = await ask(await route([{ provider: 'keyless', model: CHAT }, both[1]], { fallback_on: [] }))
    expect(told(response)).toEqual([`anthropic/${CHAT}`, '1'])
  })

  it('passes over a target that has no words for what is asked', async () => {
    const { response } = await ask(await route([both[1], both[0]]), { logprobs: true })
    expect(told(response)).toEqual([`openai/${CHAT}`, '1'])
  })

  it('passes over a target whose circuit is open', async () => {
    const name = await route([{ provider: 'flaky', model: CHAT }, both[1]])
    flaky.instead(always(503, {}, '{}'))
    for (let failures = 0; failures < FAILURES; failures++) await ask(name)
    flaky.seen.length = 0
    flaky.instead()
    const { response } = await ask(name)
    expect([told(response), flaky.seen]).toEqual([[`anthropic/${CHAT}`, '1'], []])
  })

  it('gives the last answer as it is when nobody does better, with when to come back', async () => {
    first.instead(limited)
    second.instead(always(429, { 'retry-after': '3' }, '{"type":"error","error":{"type":"rate_limit_error","message":"later"}}'))
    const error = await ask(await route(both)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    const { headers, message } = error as InstanceType<typeof OpenAI.RateLimitError>
    expect([headers?.get('retry-after'), headers?.get('sallyport-attempts'), headers?.get('sallyport-error-source')]).toEqual([
      '3',
      '2',
      'provider',
    ])
    expect(message).toContain('later')
  })

  it('gives an earlier answer when a later target can not be asked', async () => {
    first.instead(limited)
    const error = await ask(await route([both[0], { provider: 'keyless', model: CHAT }])).catch((thrown: unknown) => thrown)
    const { headers, message } = error as InstanceType<typeof OpenAI.RateLimitError>
    expect([headers?.get('retry-after'), headers?.get('sallyport-served-by')]).toEqual(['17', `openai/${CHAT}`])
    expect(message).toContain('slow down')
  })

  it.each([
    ['is longer than is kept', 'openai', (response: ServerResponse): void => void response.end('x'.repeat(65 * 1024))],
    ['is longer than is kept', 'anthropic', (response: ServerResponse): void => void response.end('x'.repeat(65 * 1024))],
    ['breaks off', 'openai', (response: ServerResponse): void => void response.write('{"error', () => response.destroy())],
    ['never ends', 'openai', (response: ServerResponse): void => void response.write('{"error')],
  ] as const)('gives an earlier answer whose body %s, of %s, by its head: with when to come back', async (_what, provider, end) => {
    const at = provider === 'openai' ? first : second
    at.instead((request, response) => {
      // A connection that is closed over unread bytes takes with it what it had said.
      request.resume().once('end', () => {
        response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '17' })
        end(response)
      })
      return true
    })
    const targets = [
      { provider, model: CHAT },
      { provider: 'keyless', model: CHAT },
    ]
    const error = await ask(await route(targets)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    const { headers, type, code } = error as InstanceType<typeof OpenAI.RateLimitError>
    expect([headers?.get('retry-after'), headers?.get('sallyport-served-by'), type, code]).toEqual([
      '17',
      `${provider}/${CHAT}`,
      'rate_limit_error',
      'rate_limit_exceeded',
    ])
  })

  it(
    'asks a target that never began for a while no more, and says nothing against one whose callers left',
    { timeout: 120_000 },
    async () => {
      const mute = { provider: 'mute', model: CHAT, first_byte_timeout_ms: 100 } as const
      const name = await route([mute, both[1]])
      const patient = await route([{ ...mute, first_byte_timeout_ms: null }, both[1]])
      // Each leaves alone once it was heard.
      silence.instead(silent)
      for (let callers = 0; callers < FAILURES; callers++) {
        const leaving = new AbortController()
        const heard = silence.seen.length
        const left = client.chat.completions
          .create({ model: patient, messages }, { signal: leaving.signal })
          .catch((thrown: unknown) => thrown)
        await expect.poll(() => silence.seen.length).toBe(heard + 1)
        leaving.abort()
        expect(await left).toBeInstanceOf(OpenAI.APIUserAbortError)
      }
      expect(told((await ask(name)).response)).toEqual([`anthropic/${CHAT}`, '2'])
      // As often as failures open a circuit; one that was late before it was sent, on a busy machine, is none of its failures.
      await expect.poll(async () => told((await ask(name)).response), { timeout: 60_000 }).toEqual([`anthropic/${CHAT}`, '1'])
      const before = silence.seen.length
      expect([told((await ask(name)).response), silence.seen.length]).toEqual([[`anthropic/${CHAT}`, '1'], before])
    },
  )

  it('ends when its time is over, in OpenAI’s words', async () => {
    first.instead(silent)
    second.instead(silent)
    const error = await ask(await route(both, { deadline_ms: 1_000 })).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ status: 504, code: 'upstream_timeout' })
  })

  it('shows each target its own key and no other, and the caller none', async () => {
    first.seen.length = second.seen.length = 0
    first.instead(statusThenVendor(429, 1_000))
    const response = await post(JSON.stringify({ model: await route(both), messages }), { 'openai-organization': 'org-canary' })
    const text = (await response.text()) + JSON.stringify([...response.headers])
    const [toFirst, toSecond] = [first, second].map(({ seen }) => JSON.stringify(seen.map(({ rawHeaders, url }) => [rawHeaders, url])))
    expect([toFirst!.includes(KEYS.first), toFirst!.includes(KEYS.second)]).toEqual([true, false])
    expect([toSecond!.includes(KEYS.second), toSecond!.includes(KEYS.first), toSecond!.includes('org-canary')]).toEqual([
      true,
      false,
      false,
    ])
    for (const text_ of [text, toFirst!, toSecond!]) expect(text_).not.toContain(key)
    for (const secret of Object.values(KEYS)) expect(text + gateway.output()).not.toContain(secret)
  })

  it('takes no caller’s own key that it might show to several providers, nor a name of keys', async () => {
    const body = JSON.stringify({ model: await route(both), messages })
    first.seen.length = second.seen.length = 0
    const own = await post(body, { 'sallyport-provider-key': KEYS.first })
    const named = await post(body, { 'sallyport-provider-key-name': 'other' })
    expect([own.status, named.status, first.seen, second.seen]).toEqual([400, 400, [], []])
  })

  it('goes by a change at once, and by its weights', async () => {
    const name = await route([
      { provider: 'openai', model: CHAT, weight: 1 },
      { provider: 'backup', model: CHAT, weight: 1_000 },
    ])
    expect(told((await ask(name)).response)).toEqual([`openai/${CHAT}`, '1'])
    const { data } = await owner.client.call('modelRouteList', { params: owner.place, query: { limit: 200 } })
    const { id } = data.find((one) => one.name === name)!
    await owner.client.call('modelRouteUpdate', { params: { ...owner.place, model_route: id }, body: { strategy: 'weighted' } })
    const served = new Set<string | null>()
    for (let calls = 0; calls < 5; calls++) served.add((await ask(name)).response.headers.get('sallyport-served-by'))
    // Five draws of one in a thousand come about once in 10^15.
    expect(served.has(`backup/${CHAT}`)).toBe(true)
    await owner.client.call('modelRouteDelete', { params: { ...owner.place, model_route: id } })
    await expect(ask(name)).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })

  it('K-13 is of its environment: a key of the other one finds none of that name, nor in its list', async () => {
    const name = await route(both)
    await ask(name)
    const place = { ...owner.place, environment: 'live' as const }
    const other = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: await createKey({ ...owner, place }, ['llm:call']), maxRetries: 0 })
    await expect(other.chat.completions.create({ model: name, messages })).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    await expect(other.models.retrieve(name)).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })

  it('has what was used written down for each target that was asked, under one request, with the route’s name', async () => {
    const name = await route(both)
    first.instead(limited)
    const response = await post(JSON.stringify({ model: name, messages, stream: true }), { 'sallyport-user': 'user of a route' })
    expect(await response.text()).toContain('[DONE]')
    const request = response.headers.get('sallyport-request-id')
    const rows = async () => {
      const query = { end_user: 'user of a route', limit: 200 }
      const { data } = await owner.client.call('usageRecordList', { params: owner.place, query })
      return data.filter((row) => row.request === request).toSorted((a, b) => b.status - a.status)
    }
    await expect.poll(rows).toMatchObject([
      { provider: 'openai', status: 429, route: name, output_tokens: null },
      { provider: 'anthropic', status: 200, route: name, source: 'measured', output_tokens: expect.any(Number), error: null },
    ])
  })

  it.each(['openai', 'anthropic'])('lets %s go within a second when its caller goes', async (provider) => {
    const at = provider === 'openai' ? first : second
    at.seen.length = 0
    at.instead(
      provider === 'openai'
        ? endlessStream()
        : (request, response) => {
            request.resume()
            response.writeHead(200, { 'content-type': 'text/event-stream' })
            response.write(
              'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n',
            )
            return true
          },
    )
    const stream = await client.chat.completions.create({ model: await route([{ provider, model: CHAT }]), messages, stream: true })
    for await (const _chunk of stream) break
    stream.controller.abort()
    expect(await at.seen[0]!.over).toBe(true)
  })
})

describe('the list of models', () => {
  it('holds the routes, and the models with a price of providers that a key is kept for', async () => {
    const name = await route([{ provider: 'openai', model: CHAT }])
    const listed = []
    for await (const model of client.models.list()) listed.push(model)
    expect(listed.find(({ id }) => id === name)).toMatchObject({ object: 'model', owned_by: 'sallyport' })
    expect(listed.filter(({ id }) => id.startsWith('anthropic/')).length).toBeGreaterThan(0)
    expect(listed.every(({ id, owned_by }) => owned_by === 'sallyport' || id.startsWith(`${owned_by}/`))).toBe(true)
    expect(await client.models.retrieve(name)).toMatchObject({ id: name })
    const { id } = listed.find((model) => model.owned_by === 'openai')!
    expect(await client.models.retrieve(id)).toMatchObject({ id })
    await expect(client.models.retrieve('nobody/nothing')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })
})

describe('what is asked and answered at /v1/', () => {
  it.each([
    ['passed on', 'openai', 'cut'],
    ['translated', 'anthropic', 502],
  ])('D-09 grows no answer without end that is %s: neither one encoded a thousandfold nor ten times over', async (_how, provider, cut) => {
    const encoded =
      (body: Buffer, coding: string): Instead =>
      (request, response) => {
        request.resume()
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding }).end(body)
        return true
      }
    const told = async (answer: Instead): Promise<number | 'cut'> => {
      for (const vendor of [first, second]) vendor.instead(answer)
      const response = await post(JSON.stringify({ model: `${provider}/${CHAT}`, messages }))
      return response.text().then(
        () => response.status,
        () => 'cut',
      )
    }
    // What was begun can't be taken back: it never looks whole.
    expect(await told(encoded(gzipSync(Buffer.alloc(64 * 1024 * 1024, ' ')), 'gzip'))).toBe(cut)
    expect(await told(encoded(gzipSync('{}'), Array.from({ length: 10 }, () => 'gzip').join(', ')))).toBe(502)
    for (const vendor of [first, second]) vendor.instead()
    expect((await ask(`${provider}/${CHAT}`)).response.status).toBe(200)
  })

  it.each([
    ['lists in lists', '{"model":"openai/sandbox-chat","x":', '['],
    ['objects in objects', '{"model":"openai/sandbox-chat","x":', '{"a":'],
    ['empty objects', '{"model":"openai/sandbox-chat","x":[', '{},'],
    ['names', '{"model":"openai/sandbox-chat","x":[', '{"a":1},'],
    ['empty strings', '{"model":"openai/sandbox-chat","x":[', '"",'],
    ['numbers', '{"model":"openai/sandbox-chat","x":[', '1,'],
  ])('D-07 refuses ten megabytes of %s, in every operation, and goes on', async (_what, start, unit) => {
    const body = start + unit.repeat(Math.floor((10 * 1024 * 1024 - start.length) / unit.length))
    for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/embeddings']) {
      const answer = await post(body, {}, path)
      expect([answer.status, await answer.json()]).toMatchObject([400, { error: { code: 'invalid_json', param: null } }])
    }
    expect((await ask(`openai/${CHAT}`)).response.status).toBe(200)
  })

  it('L-15 L-16 stands in nothing that the gateway writes or keeps, whether the call is served, refused, given on or broken off', async () => {
    const canary = 'canary-6f0b-of-a-prompt'
    const said = 'canary-91ce-of-an-answer'
    const words = [{ role: 'user', content: canary }]
    const name = await route([
      { provider: 'openai', model: CHAT },
      { provider: 'anthropic', model: CHAT },
    ])
    const bodies = [
      { model: `openai/${CHAT}`, messages: words },
      { model: `anthropic/${CHAT}`, messages: words, stream: true },
      { model: name, messages: words },
      { model: `anthropic/${CHAT}`, messages: words, logit_bias: { [canary]: 1 }, [canary]: canary },
      { model: canary, messages: words },
      { model: `openai/${canary}\n`, messages: words },
      { messages: words },
    ].map((body) => JSON.stringify(body))
    const answers: Instead[] = [
      limited,
      always(500, {}, said),
      always(200, { 'content-type': 'text/html' }, `<p>${said}</p>`),
      (request, response) => {
        request.resume()
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${said}\n\n`)
        setImmediate(() => response.destroy())
        return true
      },
    ]
    const ids: string[] = []
    const send = async (body: string): Promise<void> => {
      const response = await post(body)
      ids.push(response.headers.get('sallyport-request-id')!)
      await response.text().catch(() => undefined)
    }
    for (const answer of [undefined, ...answers]) {
      first.instead(answer)
      second.instead(answer)
      for (const body of [...bodies, `{"model":"${canary}`, `[${'['.repeat(300)}"${canary}"`]) await send(body)
    }
    const records = async () => (await owner.client.call('requestList', { params: owner.place, query: { limit: 200 } })).data
    await expect.poll(async () => (await records()).some(({ id }) => id === ids.at(-1))).toBe(true)
    const { data: events } = await owner.client.call('auditEventList', { params: { org: owner.place.org }, query: { limit: 200 } })
    const everything = gateway.output() + JSON.stringify([await records(), events])
    for (const text of [canary, said, ...Object.values(KEYS), key]) expect(everything).not.toContain(text)
  })
})
