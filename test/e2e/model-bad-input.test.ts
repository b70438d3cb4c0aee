/** Wrong input and bad answers at each vendor's own API and at `/v1`, each with its answer: the table of docs/models.md, row by row. */
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { cutStream } from '@sallyport/testkit'
import type { Instead, VendorName } from '@sallyport/testkit'
import { setVendorStage } from './model-vendors.ts'
import type { VendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

let stage: VendorStage
beforeAll(async () => {
  stage = await setVendorStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    variables: { SALLYPORT_MODELS_HEADERS_TIMEOUT_MS: '3000', SALLYPORT_MODELS_IDLE_TIMEOUT_MS: '3000' },
  })
})
afterEach(() => stage.upstream.instead())
afterAll(() => stage?.close())

type Json = Record<string, unknown>

const CHAT = 'sandbox-large'
const openaiBody = (model: string, more: Json = {}): Json => ({ model, messages: [{ role: 'user', content: 'hello' }], ...more })
const googleBody = (): Json => ({ contents: [{ role: 'user', parts: [{ text: 'hello' }] }] })
const code = (code_: string) => ({ error: { message: expect.any(String), type: expect.any(String), code: code_ } })
const ofGoogle = (code_: string) => ({ error: { code: expect.any(Number), details: [{ reason: code_.toUpperCase() }] } })
const plain = (code_: string) => ({ message: expect.any(String), code: code_ })

interface Place {
  readonly name: string
  readonly vendor: VendorName
  /** Of a call of `model`, streamed or not. */
  readonly path: (model: string, stream: boolean) => string
  readonly body: (model: string, stream: boolean) => Json
  /** What the gateway says in this place's words. */
  readonly says: (code: string) => object
  /** A key of another vendor, which this one does not take; what it answers then. */
  readonly strange: { readonly key: string; readonly settings?: string; readonly status: number }
  /** What the vendor says to a model that it has not. */
  readonly unknownModel: number
  /** True: at `/v1`. */
  readonly spoken?: 'untouched' | 'translated'
}

const STRANGE = { key: 'not-a-real-key-of-another-vendor', status: 401 }
const AWS = JSON.stringify({ access_key_id: 'NOTAREALIDOFOTHERS', secret_access_key: 'not-a-real-secret-of-others' })

const NATIVE: readonly Place[] = [
  {
    name: 'openai',
    vendor: 'openai',
    path: () => '/llm/openai/v1/chat/completions',
    body: (model, stream) => openaiBody(model, { stream }),
    says: code,
    strange: STRANGE,
    unknownModel: 404,
  },
  {
    name: 'azure-openai',
    vendor: 'azure-openai',
    path: (model) => `/llm/azure-openai/openai/deployments/${model}/chat/completions?api-version=2024-10-21`,
    body: (model, stream) => openaiBody(model, { stream }),
    says: code,
    strange: { ...STRANGE, settings: 'resource=other' },
    unknownModel: 404,
  },
  {
    name: 'anthropic',
    vendor: 'anthropic',
    path: () => '/llm/anthropic/v1/messages',
    body: (model, stream) => openaiBody(model, { max_tokens: 10, stream }),
    says: code,
    strange: STRANGE,
    unknownModel: 404,
  },
  {
    name: 'gemini',
    vendor: 'gemini',
    path: (model, stream) => `/llm/gemini/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: googleBody,
    says: ofGoogle,
    strange: { ...STRANGE, status: 400 },
    unknownModel: 404,
  },
  {
    name: 'cohere',
    vendor: 'cohere',
    path: () => '/llm/cohere/v2/chat',
    body: (model, stream) => openaiBody(model, { stream }),
    says: plain,
    strange: STRANGE,
    unknownModel: 404,
  },
  {
    name: 'bedrock',
    vendor: 'bedrock',
    path: (model, stream) => `/llm/bedrock/model/${model}/${stream ? 'converse-stream' : 'converse'}`,
    body: () => ({ messages: [{ role: 'user', content: [{ text: 'hello' }] }] }),
    says: plain,
    strange: { key: AWS, settings: 'region=us-east-1', status: 403 },
    unknownModel: 400,
  },
]

/** Their own words are OpenAI's, and others'. */
const SPOKEN: readonly Place[] = (['openai', 'anthropic', 'gemini', 'bedrock'] as const).map((vendor) => ({
  name: `/v1 of ${vendor}`,
  vendor,
  path: () => '/v1/chat/completions',
  body: (model: string, stream: boolean) => openaiBody(`${vendor}/${model}`, { stream }),
  says: code,
  strange: vendor === 'bedrock' ? { key: AWS, settings: 'region=us-east-1', status: 403 } : STRANGE,
  unknownModel: vendor === 'bedrock' ? 400 : 404,
  spoken: vendor === 'openai' ? ('untouched' as const) : ('translated' as const),
}))

const PLACES = [...NATIVE, ...SPOKEN]
/** Whose answers come as they were. */
const UNTOUCHED = PLACES.filter(({ spoken }) => spoken !== 'translated')
const TRANSLATED = PLACES.filter(({ spoken }) => spoken === 'translated')

interface Asking {
  readonly model?: string
  readonly stream?: boolean
  readonly body?: BodyInit
  readonly key?: string | null
  readonly headers?: Record<string, string>
}

function ask(place: Place, { model = CHAT, stream = false, body, key = stage.key, headers }: Asking = {}): Promise<Response> {
  return fetch(`${stage.gateway.url}${place.path(model, stream)}`, {
    method: 'POST',
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      ...headers,
    },
    body: body ?? JSON.stringify(place.body(model, stream)),
  })
}

const ownKey = ({ strange: { key, settings } }: Place): Record<string, string> => ({
  'sallyport-provider-key': key,
  ...(settings === undefined ? {} : { 'sallyport-provider-settings': settings }),
})

async function refused(place: Place, response: Response, status: number, why: string): Promise<void> {
  expect([response.status, response.headers.get('sallyport-error-source'), response.headers.get('sallyport-error-code')]).toEqual([
    status,
    'gateway',
    why,
  ])
  expect(await response.json()).toMatchObject(place.says(why))
}

/** Of the calls that came since. */
const reached = (since: number) => stage.upstream.seen.slice(since)

/** In the vendor's stead: a whole answer. */
const answering =
  (status: number, headers: Record<string, string>, body: string | Buffer): Instead =>
  (request, response) => {
    request.resume()
    response.writeHead(status, headers).end(body)
  }

describe.each(PLACES)('at $name', (place) => {
  it('a model that nobody knows is the vendor’s to refuse, in words that the client reads', async () => {
    const response = await ask(place, { model: 'gone' })
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([place.unknownModel, 'provider'])
    expect(JSON.stringify(await response.json())).toMatch(/not exist|not found|invalid|model: gone/u)
  })

  it('a call without a gateway key, or with one that is none, is refused and goes nowhere', async () => {
    const before = stage.upstream.seen.length
    for (const key of [null, 'sk-not-a-gateway-key']) await refused(place, await ask(place, { key }), 401, 'unauthenticated')
    expect(reached(before)).toEqual([])
  })

  it('a call for which no key is kept is refused and goes nowhere', async () => {
    const before = stage.upstream.seen.length
    const headers = { 'sallyport-provider-key-name': 'nobody' }
    await refused(place, await ask(place, { headers }), 400, 'provider_key_required')
    expect(reached(before)).toEqual([])
  })

  it('a key of another vendor is the vendor’s to refuse, and repeated to nobody', async () => {
    const response = await ask(place, { headers: ownKey(place) })
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([place.strange.status, 'provider'])
    const said = (await response.text()) + JSON.stringify([...response.headers])
    for (const secret of secretsIn(place.strange.key)) expect(said + stage.gateway.output()).not.toContain(secret)
  })
})

/** The parts of an access key, or a key. */
function secretsIn(key: string): readonly string[] {
  return key.startsWith('{') ? Object.values(JSON.parse(key) as Record<string, string>) : [key]
}

describe('the organization’s mode', () => {
  const setMode = (provider_key_mode: 'either' | 'byok_only' | 'vault_only') =>
    stage.owner.client.call('settingsUpdate', { params: { org: stage.owner.place.org }, body: { provider_key_mode } })
  afterAll(() => setMode('either'))

  it.each([
    ['byok_only', () => ({})],
    ['vault_only', ownKey],
  ] as const)('%s refuses what it does not allow in every place’s words, and nothing goes out', async (mode, headers) => {
    await setMode(mode)
    const [first] = PLACES
    await expect.poll(async () => (await ask(first!, { headers: headers(first!) })).status).toBe(403)
    const before = stage.upstream.seen.length
    for (const place of PLACES) await refused(place, await ask(place, { headers: headers(place) }), 403, 'provider_key_refused')
    expect(reached(before)).toEqual([])
  })
})

/** What is no JSON, or JSON that is read in two ways. */
const BODIES: readonly (readonly [string, (of: Place) => Buffer])[] = [
  ['nothing', () => Buffer.from('')],
  ['half an object', () => Buffer.from('{"model":')],
  ['a byte order mark before it', (of) => Buffer.from(`\uFEFF${JSON.stringify(of.body(CHAT, false))}`)],
  ['UTF-16', (of) => Buffer.from(JSON.stringify(of.body(CHAT, false)), 'utf16le')],
  ['bytes that are no UTF-8', () => Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
]

describe.each(BODIES)('a body of %s', (_what, made) => {
  it.each(NATIVE)('at $name reaches the vendor byte by byte, which refuses it', async (place) => {
    const before = stage.upstream.seen.length
    const body = made(place)
    const response = await ask(place, { body: body as BodyInit })
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([400, 'provider'])
    await response.arrayBuffer()
    const [call] = reached(before)
    await call!.read
    expect(call!.sha256).toBe(createHash('sha256').update(body).digest('hex'))
  })

  it.each(SPOKEN)('at $name is refused by the gateway, and goes nowhere', async (place) => {
    const before = stage.upstream.seen.length
    const response = await ask(place, { body: made(place) as BodyInit })
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([400, 'gateway'])
    expect(await response.json()).toMatchObject(code('invalid_json'))
    expect(reached(before)).toEqual([])
  })
})

describe('a body that names a field twice', () => {
  const twice = (place: Place): string => {
    const [first, ...rest] = Object.entries(place.body(CHAT, false))
    return `{${JSON.stringify(first![0])}:null,${[first!, ...rest].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
  }

  it.each(NATIVE)('at $name is the vendor’s to read', async (place) => {
    const before = stage.upstream.seen.length
    const body = twice(place)
    expect((await ask(place, { body })).headers.get('sallyport-error-source')).toBe('provider')
    const [call] = reached(before)
    expect(call!.sha256).toBe(createHash('sha256').update(body).digest('hex'))
  })

  it.each(SPOKEN)('at $name means the last, for the gateway and the vendor alike', async (place) => {
    const response = await ask(place, { body: twice(place) })
    expect([response.status, response.headers.get('sallyport-served-by')]).toEqual([200, `${place.vendor}/${CHAT}`])
  })
})

describe('a stream that is cut in its midst', () => {
  it.each(UNTOUCHED)('at $name is cut for the caller too', async (place) => {
    stage.upstream.instead(cutStream(3))
    const response = await ask(place, { stream: true })
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow('terminated')
  })

  it.each(TRANSLATED)('at $name ends with an error and without its end', async (place) => {
    stage.upstream.instead(cutStream(3))
    const response = await ask(place, { stream: true })
    const text = await response.text()
    expect(text).toContain('"content":"2 "')
    expect(text).toMatch(/data: \{"error":\{[^\n]*"code":"upstream_reset"\}\}\n\n$/u)
    expect(text).not.toContain('[DONE]')
  })
})

describe('a vendor that never ends', () => {
  it('and sends no head is given up on in every place, in its words, and let go of', async () => {
    stage.upstream.instead((request) => void request.resume())
    const before = stage.upstream.seen.length
    await Promise.all(PLACES.map(async (place) => await refused(place, await ask(place), 504, 'upstream_timeout')))
    expect(await Promise.all(reached(before).map(({ over }) => over))).toEqual(PLACES.map(() => true))
  })

  const silent: Instead = (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  }

  it('and falls silent in its stream is given up on in every place, and let go of', async () => {
    stage.upstream.instead(silent)
    const before = stage.upstream.seen.length
    const streams = PLACES.filter(({ vendor }) => vendor !== 'bedrock')
    const ends = await Promise.all(
      streams.map(async (place) => {
        const response = await ask(place, { stream: true })
        return response.text().then(
          (text) => (text.includes('"error"') && !text.includes('[DONE]') ? 'told' : text),
          () => 'cut',
        )
      }),
    )
    expect(ends).toEqual(streams.map(({ spoken }) => (spoken === 'translated' ? 'told' : 'cut')))
    expect(await Promise.all(reached(before).map(({ over }) => over))).not.toContain(false)
  })
})

describe('a page of HTML', () => {
  const PAGE = '<html><script>alert(1)</script></html>'

  it.each([200, 502])(
    'with %i comes as it is where nothing is put into other words, as the provider’s, and can do nothing',
    async (status) => {
      stage.upstream.instead(answering(status, { 'content-type': 'text/html' }, PAGE))
      for (const place of UNTOUCHED) {
        const response = await ask(place)
        expect([place.name, response.status, response.headers.get('sallyport-error-source'), await response.text()]).toEqual([
          place.name,
          status,
          'provider',
          PAGE,
        ])
        expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; sandbox")
      }
    },
  )

  it.each([
    [200, 502],
    [502, 502],
  ])('with %i is an error of status %i in OpenAI’s words where it would be, and none of it is said', async (status, told) => {
    stage.upstream.instead(answering(status, { 'content-type': 'text/html' }, PAGE))
    for (const place of TRANSLATED) {
      const response = await ask(place)
      const text = await response.text()
      expect([place.name, response.status]).toEqual([place.name, told])
      expect(JSON.parse(text)).toMatchObject({ error: { message: expect.any(String), type: 'server_error' } })
      expect(text).not.toContain('alert')
    }
  })
})

/** The headers in which a key may go out, and what of it the vendor sees. */
function shownIn(headers: NodeJS.Dict<string | string[]>): string {
  const named = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key']
    .map((name) => headers[name])
    .find((value) => value !== undefined)
  return String(named).replace(/^Bearer /u, '')
}

const ENCODINGS: readonly (readonly [string, (text: string) => Buffer])[] = [
  ['identity', (text) => Buffer.from(text)],
  ['gzip', (text) => gzipSync(text)],
  ['deflate', (text) => deflateSync(text)],
  ['br', (text) => brotliCompressSync(text)],
]

describe('a vendor that repeats the key in its error', () => {
  /** Bedrock sees no secret but a signature. */
  const keyed = PLACES.filter(({ vendor }) => vendor !== 'bedrock')
  const parrot =
    (how: (said: string, response: ServerResponse) => void): Instead =>
    (request, response) => {
      request.resume()
      how(
        JSON.stringify({
          error: { message: `no such key: ${shownIn(request.headers)}, none`, type: 'x' },
          message: shownIn(request.headers),
        }),
        response,
      )
    }

  it.each(ENCODINGS)('gives it to nobody: %s', async (coding, encode) => {
    const type = { 'content-type': 'application/json', ...(coding !== 'identity' && { 'content-encoding': coding }) }
    for (const place of keyed) {
      stage.upstream.instead(parrot((said, response) => void response.writeHead(401, type).end(encode(said))))
      const response = await ask(place)
      const text = (await response.text()) + JSON.stringify([...response.headers])
      expect([place.name, response.status]).toEqual([place.name, 401])
      expect(text).toContain('no such key: ***')
      expect(text).not.toContain(stage.upstream.key)
    }
    expect(stage.gateway.output()).not.toContain(stage.upstream.key)
  })

  it('gives it to nobody in pieces either, one by one byte', async () => {
    for (const place of keyed) {
      const written = Promise.withResolvers<void>()
      stage.upstream.instead(
        parrot((said, response) => {
          response.writeHead(401, { 'content-type': 'application/json' })
          const pieces = said.split('')
          const next = (): void => {
            const piece = pieces.shift()
            if (piece === undefined) return void response.end(() => written.resolve())
            response.write(piece, () => setImmediate(next))
          }
          next()
        }),
      )
      const text = await (await ask(place)).text()
      await written.promise
      expect([place.name, text.includes('no such key: ***'), text.includes(stage.upstream.key)]).toEqual([place.name, true, false])
    }
  })
})
