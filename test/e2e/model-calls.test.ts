/** Native calls of models: a vendor's own requests with another address and a gateway key. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createKey } from '@sallyport/testkit'
import { keepKey, KEPT, setModelStage } from './model-stage.ts'
import type { ModelStage } from './model-stage.ts'
import { serverUnderTest } from './server-under-test.ts'
import { rawRequest, sendRaw } from './wire.ts'

let stage: ModelStage

beforeAll(async () => {
  stage = await setModelStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
})
afterAll(() => stage?.close())
afterEach(() => stage.upstream.answer((_request, response) => void response.writeHead(599).end()))

const seen = () => stage.upstream.seen.at(-1)!
const bearer = () => ({ authorization: `Bearer ${stage.key}` })
const echo = () => stage.upstream.answer((_request, response) => void response.end('{"ok":true}'))
const post = (body: BodyInit, headers: Record<string, string> = bearer()): RequestInit => ({
  method: 'POST',
  body,
  headers: { 'content-type': 'application/json', ...headers },
})
const setMode = (mode: 'either' | 'byok_only' | 'vault_only') =>
  stage.owner.client.call('settingsUpdate', { params: { org: stage.owner.place.org }, body: { provider_key_mode: mode } })

describe('a native model call', () => {
  it.each([
    ['openai', 'authorization', (key: string) => `Bearer ${key}`, 'authorization', `Bearer ${KEPT.openai}`],
    ['anthropic', 'x-api-key', (key: string) => key, 'x-api-key', KEPT.anthropic],
    ['gemini', 'x-goog-api-key', (key: string) => key, 'x-goog-api-key', KEPT.gemini],
    ['openai', 'api-key', (key: string) => key, 'authorization', `Bearer ${KEPT.openai}`],
  ] as const)('of %s takes the gateway key in %s, and carries the kept key alone', async (provider, name, spell, placed, value) => {
    echo()
    const body = '{ "model": "m",  "unknown": [1, 2] }'
    const response = await stage.call(`/llm/${provider}/v1/thing?alt=sse&beta=true`, post(body, { [name]: spell(stage.key) }))
    expect([response.status, await response.text()]).toEqual([200, '{"ok":true}'])
    expect(response.headers.get('sallyport-error-source')).toBe('provider')
    expect(response.headers.get('sallyport-request-id')).toMatch(/^req_[0-9A-Za-z]{22}$/u)
    expect(seen().url).toBe('/v1/thing?alt=sse&beta=true')
    expect(Buffer.concat(seen().body).toString()).toBe(body)
    expect(seen().headers[placed]).toBe(value)
    expect(JSON.stringify(seen().rawHeaders)).not.toContain(stage.key)
    const carried = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key', 'sallyport-user'].filter(
      (header) => seen().headers[header] !== undefined,
    )
    expect(carried).toEqual([placed])
  })

  it('says what the vendor wants every call to say, unless the caller says it', async () => {
    echo()
    await stage.call('/llm/anthropic/v1/messages', post('{}'))
    expect(seen().headers['anthropic-version']).toBe('2023-06-01')
    await stage.call('/llm/anthropic/v1/messages', post('{}', { ...bearer(), 'anthropic-version': '2099-01-01', 'anthropic-beta': 'x' }))
    expect([seen().headers['anthropic-version'], seen().headers['anthropic-beta']]).toEqual(['2099-01-01', 'x'])
  })

  it('goes below the base that an operator declared, with the key where the operator placed it', async () => {
    echo()
    await keepKey(stage.owner, { provider: 'local', secret: 'not-a-real-local-key' })
    expect((await stage.call('/llm/local/models')).status).toBe(200)
    expect([seen().url, seen().headers['x-local-key']]).toEqual(['/deep/v1/models', 'Key not-a-real-local-key'])
  })

  it('is streamed: the first event arrives while the provider still holds the rest back', async () => {
    let finish = (): void => undefined
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: one\n\n')
      finish = () => response.end('data: [DONE]\n\n')
    })
    const response = await stage.call('/llm/openai/v1/chat/completions', post('{"stream":true}'))
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe('data: one\n\n')
    finish()
    expect((await reader.read()).value).toBe('data: [DONE]\n\n')
    expect((await reader.read()).done).toBe(true)
  })

  it('carries uploads of any type upwards as they are, with their length or chunked', async () => {
    stage.upstream.answer((request, response) => void request.on('end', () => response.end('ok')))
    const body = randomBytes(300_000)
    for (const chunked of [false, true]) {
      const headers = { ...bearer(), 'content-type': 'multipart/form-data; boundary=b' }
      const init = chunked ? { body: new Blob([body]).stream(), duplex: 'half' as const } : { body }
      const response = await stage.call('/llm/openai/v1/audio/transcriptions', { method: 'POST', headers, ...init })
      expect(await response.text()).toBe('ok')
      expect(Buffer.concat(seen().body).equals(body)).toBe(true)
      expect(seen().headers['content-length']).toBe(chunked ? undefined : String(body.length))
    }
  })

  it('leaves a record of where it went, without query and body', async () => {
    echo()
    const response = await stage.call('/llm/openai/v1/embeddings?canary=of-the-query', post('{"input":"canary-of-the-body"}'))
    const id = response.headers.get('sallyport-request-id')!
    const find = async () => {
      const { data } = await stage.owner.client.call('requestList', { params: stage.owner.place, query: { limit: 50 } })
      return data.find((record) => record.id === id)
    }
    await expect
      .poll(find)
      .toMatchObject({ model_provider: 'openai', integration: null, path: '/v1/embeddings', status: 200, source: 'provider' })
    expect(JSON.stringify(await find())).not.toContain('canary')
    expect(stage.gateway.output()).not.toContain('canary-of')
  })

  it('puts the use of a kept key on record by its id', async () => {
    echo()
    const response = await stage.call('/llm/openai/v1/models')
    const id = response.headers.get('sallyport-request-id')!
    const events = async () => {
      const { data } = await stage.owner.client.call('auditEventList', { params: { org: stage.owner.place.org }, query: { limit: 100 } })
      return data.filter(({ action, detail }) => action === 'provider_key.used' && (detail as { request: string }).request === id)
    }
    await expect.poll(events).toMatchObject([{ target: expect.stringMatching(/^pkey_/u), detail: { provider: 'openai', method: 'GET' } }])
  })
})

describe('which key of the provider a model call carries', () => {
  it('is the environment’s own before the organization’s, and the named one where a name is given', async () => {
    echo()
    const { org } = stage.owner.place
    await stage.owner.client.call('organizationProviderKeyCreate', {
      params: { org },
      body: { provider: 'groq', name: 'default', secret: 'not-a-real-shared-key', settings: {} },
    })
    const carried = async (headers: Record<string, string> = {}) => {
      await stage.call('/llm/groq/v1/models', { headers: { ...bearer(), ...headers } })
      return seen().headers.authorization
    }
    await expect.poll(() => carried()).toBe('Bearer not-a-real-shared-key')
    await keepKey(stage.owner, { provider: 'groq', secret: 'not-a-real-groq-key' })
    await expect.poll(() => carried()).toBe('Bearer not-a-real-groq-key')
    await keepKey(stage.owner, { provider: 'groq', name: 'second', secret: 'not-a-real-second-key' })
    expect(await carried({ 'sallyport-provider-key-name': 'second' })).toBe('Bearer not-a-real-second-key')
  })

  it('is its successor from its rotation on, and none once it is revoked', async () => {
    echo()
    const name = 'rotating'
    const headers = { ...bearer(), 'sallyport-provider-key-name': name }
    const first = await keepKey(stage.owner, { provider: 'openai', name, secret: 'not-a-real-first-key' })
    await stage.call('/llm/openai/v1/models', { headers })
    expect(seen().headers.authorization).toBe('Bearer not-a-real-first-key')
    const { key } = await stage.owner.client.call('providerKeyRotate', {
      params: { ...stage.owner.place, provider_key: first },
      body: { secret: 'not-a-real-next-key', overlap_s: 3_600 },
    })
    const carried = async () => {
      const { status } = await stage.call('/llm/openai/v1/models', { headers })
      return status === 200 ? seen().headers.authorization : status
    }
    await expect.poll(carried).toBe('Bearer not-a-real-next-key')
    await stage.owner.client.call('providerKeyRevoke', { params: { ...stage.owner.place, provider_key: key.id } })
    await stage.owner.client.call('providerKeyRevoke', { params: { ...stage.owner.place, provider_key: first } })
    await expect.poll(carried).toBe(400)
  })

  it('is the caller’s own where it brings one, used once, kept nowhere and hidden where the provider repeats it', async () => {
    const own = `canary-own-${randomBytes(12).toString('hex')}`
    stage.upstream.answer((request, response) => {
      response.writeHead(401, { 'content-type': 'application/json', 'x-echo': String(request.headers.authorization) })
      response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${own}` } }))
    })
    for (const name of ['sallyport-provider-key', 'x-provider-key']) {
      const response = await stage.call('/llm/openai/v1/models', { headers: { ...bearer(), [name]: own } })
      expect(seen().headers.authorization).toBe(`Bearer ${own}`)
      expect([seen().headers['sallyport-provider-key'], seen().headers['x-provider-key']]).toEqual([undefined, undefined])
      expect(response.status).toBe(401)
      expect((await response.text()) + JSON.stringify([...response.headers])).not.toContain(own)
    }
    echo()
    await stage.call('/llm/openai/v1/models')
    expect(seen().headers.authorization).toBe(`Bearer ${KEPT.openai}`)
    expect(stage.gateway.output()).not.toContain(own)
  })

  it('is what the organization’s mode allows', async () => {
    echo()
    const status = async (own: boolean) =>
      (
        await stage.call('/llm/openai/v1/models', {
          headers: { ...bearer(), ...(own ? { 'sallyport-provider-key': 'not-a-real-own-key' } : {}) },
        })
      ).status
    const both = async () => [await status(true), await status(false)]
    await setMode('byok_only')
    await expect.poll(both).toEqual([200, 403])
    await setMode('vault_only')
    await expect.poll(both).toEqual([403, 200])
    await setMode('either')
    await expect.poll(both).toEqual([200, 200])
  })

  it('with settings of its own goes where those say', async () => {
    echo()
    const headers = { ...bearer(), 'sallyport-provider-key': 'not-a-real-azure-key' }
    const lacking = await stage.call('/llm/azure-openai/openai/models', { headers })
    expect([lacking.status, (await lacking.json()) as object]).toMatchObject([
      400,
      { error: { message: expect.stringContaining('resource is missing') } },
    ])
    const whole = await stage.call('/llm/azure-openai/openai/models?api-version=2024-10-21', {
      headers: { ...headers, 'sallyport-provider-settings': 'resource=mine' },
    })
    expect([whole.status, seen().url, seen().headers['api-key']]).toEqual([
      200,
      '/openai/models?api-version=2024-10-21',
      'not-a-real-azure-key',
    ])
  })
})

/** What each vendor's client reads a failure from. */
const SHAPES = {
  openai: (code: string) => ({ error: { message: expect.any(String), type: expect.stringMatching(/_error$/u), param: null, code } }),
  anthropic: (code: string) => ({ type: 'error', error: { type: expect.stringMatching(/_error$/u), message: expect.any(String), code } }),
  gemini: (code: string) => ({
    error: {
      code: expect.any(Number),
      message: expect.any(String),
      status: expect.stringMatching(/^[A-Z_]+$/u),
      details: [{ reason: code.toUpperCase() }],
    },
  }),
  cohere: (code: string) => ({ message: expect.any(String), code }),
  bedrock: (code: string) => ({ message: expect.any(String), code }),
}

describe('a model call that the gateway refuses', () => {
  const refusal = async (path: string, init: RequestInit, shape: keyof typeof SHAPES, status: number, code: string) => {
    const before = stage.upstream.seen.length
    const response = await stage.call(path, init)
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([status, 'gateway'])
    expect(response.headers.get('sallyport-error-code')).toBe(code)
    expect(response.headers.get('content-type')).toContain('application/json')
    expect(await response.json()).toMatchObject(SHAPES[shape](code))
    expect(stage.upstream.seen.length).toBe(before)
    return response
  }

  it.each(['openai', 'anthropic', 'gemini', 'cohere', 'bedrock'] as const)('says so in the words of %s', async (provider) => {
    await refusal(`/llm/${provider}/v1/x`, { headers: {} }, provider, 401, 'unauthenticated')
    const forbidden = await stage.keyWith(['proxy:call'])
    await refusal(`/llm/${provider}/v1/x`, { headers: { authorization: `Bearer ${forbidden}` } }, provider, 403, 'insufficient_scope')
    const unkept = { headers: { ...bearer(), 'sallyport-provider-key-name': 'nobody' } }
    await refusal(`/llm/${provider}/v1/x`, unkept, provider, 400, 'provider_key_required')
  })

  it('names an unknown provider as what it is, whatever it is called', async () => {
    for (const name of ['nobody', 'OpenAI', '', 'a%2fb', '__proto__', 'constructor'])
      await refusal(`/llm/${name}/v1/models`, { headers: bearer() }, 'openai', 404, 'not_found').catch((error: unknown) => {
        throw new Error(`of ${JSON.stringify(name)}`, { cause: error })
      })
  })

  it('K-07 takes one credential, in one place', async () => {
    const twice = { ...bearer(), 'x-api-key': stage.key }
    await refusal('/llm/anthropic/v1/messages', { headers: twice }, 'anthropic', 400, 'ambiguous_credentials')
    await refusal(
      '/llm/anthropic/v1/messages',
      { headers: { ...bearer(), 'x-api-key': 'sk-placeholder' } },
      'anthropic',
      400,
      'ambiguous_credentials',
    )
  })

  it('K-06 takes no key in the query, neither ours nor the provider’s', async () => {
    const path = '/llm/gemini/v1beta/models'
    await refusal(`${path}?key=${stage.key}`, { headers: {} }, 'gemini', 401, 'unauthenticated')
    await refusal(`${path}?key=${stage.key}`, { headers: bearer() }, 'gemini', 400, 'bad_request')
    for (const name of ['key', '%6Bey', 'api_key', 'access_token'])
      await refusal(`${path}?x=1&${name}=not-a-real-key`, { headers: bearer() }, 'gemini', 400, 'bad_request')
  })

  it('takes no gateway key for a key of the provider, and no text that is none', async () => {
    for (const own of [stage.key, 'short', 'with space in it'])
      await refusal('/llm/openai/v1/models', { headers: { ...bearer(), 'sallyport-provider-key': own } }, 'openai', 400, 'bad_request')
    const both = { ...bearer(), 'sallyport-provider-key': 'not-a-real-own-key', 'x-provider-key': 'not-a-real-own-key' }
    await refusal('/llm/openai/v1/models', { headers: both }, 'openai', 400, 'bad_request')
  })

  it('refuses paths that could be read in two ways', async () => {
    for (const path of [
      '/llm/openai//v1',
      '/llm/openai/v1/%2e%2e/x',
      '/llm/openai/v1/../x',
      '/llm/openai/v1%2fmodels',
      '/llm/openai/@v1\\\\x',
    ]) {
      const answer = await sendRaw(stage.gateway.url, rawRequest(path, [`Authorization: Bearer ${stage.key}`]))
      expect([path, answer.status, answer.body]).toEqual([path, 400, expect.stringContaining('"code":"path_refused"')])
    }
  })

  it('T-01 carries no key of another organization', async () => {
    echo()
    const { client } = stage.owner
    const { id: org } = await client.call('organizationCreate', { body: { name: 'Others' } })
    const { id: project } = await client.call('projectCreate', { params: { org }, body: { name: 'theirs' } })
    const other = { ...stage.owner, place: { org, project, environment: 'test' as const } }
    const theirs = await createKey(other, ['llm:call'])
    await refusal('/llm/openai/v1/models', { headers: { authorization: `Bearer ${theirs}` } }, 'openai', 400, 'provider_key_required')
    await keepKey(other, { provider: 'openai', secret: 'not-a-real-other-key' })
    await stage.call('/llm/openai/v1/models')
    expect(seen().headers.authorization).toBe(`Bearer ${KEPT.openai}`)
  })
})
