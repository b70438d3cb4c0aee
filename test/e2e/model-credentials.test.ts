/** Providers of models whose credential is more than a key: AWS by signature, Google by tokens that a service account buys. And how large bodies may be that are read whole, as for a signature, or pass through. */
import { createHash, createVerify, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { signatureFault } from '@sallyport/testkit'
import { keepKey, setModelStage } from './model-stage.ts'
import type { ModelStage } from './model-stage.ts'
import { serverUnderTest } from './server-under-test.ts'

let stage: ModelStage

const [HELD, STREAMED] = [64 * 1024, 256 * 1024]

beforeAll(async () => {
  stage = await setModelStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    file: { limits: { maxRequestBytes: HELD } },
    variables: { SALLYPORT_MODELS_MAX_REQUEST_BYTES: String(STREAMED) },
  })
})
afterAll(() => stage?.close())

const bearer = () => ({ authorization: `Bearer ${stage.key}` })

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

describe('a call of Bedrock', () => {
  const AWS = { access_key_id: 'NOT-A-REAL-AWS-ID', secret_access_key: 'not-a-real-aws-secret', session_token: 'not-a-real-session' }
  const faults: (string | undefined)[] = []

  beforeAll(async () => {
    await keepKey(stage.owner, { provider: 'bedrock', secret: JSON.stringify(AWS), settings: { region: 'eu-central-1' } })
    await keepKey(stage.owner, {
      provider: 'bedrock',
      name: 'other',
      secret: JSON.stringify({ ...AWS, secret_access_key: 'not-the-right-secret' }),
      settings: { region: 'eu-central-1' },
    })
  })

  const judge = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const expected = { accessKeyId: AWS.access_key_id, secretAccessKey: AWS.secret_access_key, region: 'eu-central-1', service: 'bedrock' }
    const fault = signatureFault(request, await bodyOf(request), expected)
    faults.push(fault)
    response.writeHead(fault === undefined ? 200 : 403, { 'content-type': 'application/json' }).end(JSON.stringify({ fault, ...AWS }))
  }

  it.each(['/model/anthropic.claude-v1%3A0/invoke', '/model/anthropic.claude-v1:0/converse'])(
    'is signed over method, path, body and type: %s',
    async (path) => {
      stage.upstream.answer(judge)
      const response = await stage.call(`/llm/bedrock${path}`, {
        method: 'POST',
        headers: { ...bearer(), 'content-type': 'application/json', 'x-amz-date': '20200101T000000Z', 'x-amz-user-agent': 'a-client' },
        body: '{"messages":[]}',
      })
      expect([response.status, faults.at(-1)]).toEqual([200, undefined])
      expect(stage.upstream.seen.at(-1)!.headers).not.toHaveProperty('x-amz-user-agent')
      expect(stage.upstream.seen.at(-1)!.headers['x-amz-security-token']).toBe(AWS.session_token)
      const text = await response.text()
      for (const secret of [AWS.secret_access_key, AWS.session_token]) expect(text).not.toContain(secret)
    },
  )

  it('is signed with the key that was named', async () => {
    stage.upstream.answer(judge)
    const headers = { ...bearer(), 'sallyport-provider-key-name': 'other' }
    expect((await stage.call('/llm/bedrock/model/m/invoke', { method: 'POST', headers, body: '{}' })).status).toBe(403)
    expect(faults.at(-1)).toBe('InvalidSignatureException')
  })

  it('is signed with a caller’s own access key too, in the region that it names', async () => {
    stage.upstream.answer(judge)
    const own = { ...bearer(), 'sallyport-provider-key': JSON.stringify(AWS), 'sallyport-provider-settings': 'region=eu-central-1' }
    expect((await stage.call('/llm/bedrock/model/m/invoke', { method: 'POST', headers: own, body: '{}' })).status).toBe(200)
  })

  it('D-06 is held to the bound of bodies also where its length is not said', async () => {
    stage.upstream.answer(judge)
    const before = stage.upstream.seen.length
    const body = new Blob([Buffer.alloc(100 * 1024)]).stream()
    const chunked = { body, duplex: 'half' } as const
    const response = await stage.call('/llm/bedrock/model/m/invoke', { method: 'POST', headers: bearer(), ...chunked })
    expect([response.status, response.headers.get('x-amzn-errortype')]).toEqual([413, 'ValidationException'])
    expect(await response.json()).toMatchObject({ code: 'payload_too_large', message: expect.stringContaining('limits.maxRequestBytes') })
    expect(stage.upstream.seen.length).toBe(before)
  })
})

describe('an upload', () => {
  const FILES = '/llm/openai/v1/files'
  const FORM = 'multipart/form-data; boundary=b'

  const send = (path: string, body: Buffer, { type = FORM, chunked = false } = {}) => {
    const init = chunked ? { body: new Blob([body as BlobPart]).stream(), duplex: 'half' as const } : { body: body as BodyInit }
    return stage.call(path, { method: 'POST', headers: { ...bearer(), 'content-type': type }, ...init })
  }
  /** Of a body that could not be read whole. What changes is heard of a moment later. */
  const statusOf = async (path: string): Promise<number> => {
    stage.upstream.answer((request, response) => void request.resume().once('end', () => response.end()))
    const { status, body } = await send(path, Buffer.alloc(HELD + 1))
    await body?.cancel()
    return status
  }
  /** Gives back what arrived, by its hash. */
  const passes = async (path: string, of: { type?: string; chunked?: boolean } = {}) => {
    stage.upstream.answer(
      async (request, response) =>
        void response.end(
          createHash('sha256')
            .update(await bodyOf(request))
            .digest('hex'),
        ),
    )
    const body = randomBytes(3 * HELD)
    const response = await send(path, body, of)
    expect([response.status, await response.text()]).toEqual([200, createHash('sha256').update(body).digest('hex')])
  }
  const refused = async (path: string, bytes: number, setting: string, of: { type?: string; chunked?: boolean } = {}) => {
    stage.upstream.answer((request) => void request.resume())
    const response = await send(path, Buffer.alloc(bytes), of)
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ error: { code: 'payload_too_large', message: expect.stringContaining(setting) } })
  }

  it.each([{ chunked: false }, { chunked: true }])(
    'D-06 may be larger than a body that is read whole, and no larger than its own bound: %o',
    async (of) => {
      await passes(FILES, of)
      await refused(FILES, STREAMED + 1, 'models.maxRequestBytes', of)
    },
  )

  it('passes through where a budget bounds the caller too, and what a model reads does not', async () => {
    const { id } = await stage.owner.client.call('budgetCreate', {
      params: { org: stage.owner.place.org },
      body: { amount_usd: '1000', unpriced: 'pass' },
    })
    const chat = '/llm/openai/v1/chat/completions'
    const json = { type: 'application/json' }
    try {
      await expect.poll(() => statusOf(chat)).toBe(413)
      await passes(FILES)
      await passes('/llm/openai/v1/audio/transcriptions')
      for (const of of [json, { ...json, chunked: true }, {}]) await refused(chat, HELD + 1, 'limits.maxRequestBytes', of)
      await refused('/v1/chat/completions', HELD + 1, 'limits.maxRequestBytes', json)
    } finally {
      await stage.owner.client.call('budgetDelete', { params: { org: stage.owner.place.org, budget: id } })
    }
  })

  it('is read whole where prompts are kept', async () => {
    const keep = (store_prompts: boolean) =>
      stage.owner.client.call('settingsUpdate', { params: { org: stage.owner.place.org }, body: { store_prompts } })
    await keep(true)
    await expect.poll(() => statusOf(FILES)).toBe(413)
    await refused(FILES, HELD + 1, 'limits.maxRequestBytes')
    await keep(false)
    await expect.poll(() => statusOf(FILES)).toBe(200)
    await passes(FILES)
  })
})

describe('a call of Vertex AI', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const account = JSON.stringify({
    type: 'service_account',
    client_email: 'robot@project.example',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    private_key_id: 'key-1',
    // A file may name any address; none of them is asked.
    token_uri: 'http://127.0.0.1:1/never',
  })
  const TOKEN = 'not-a-real-access-token'
  let sold = 0
  let answer = { status: 200, livesS: 3_600 }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.url !== '/token') return void response.end(`you said ${request.headers.authorization}`)
    const form = new URLSearchParams((await bodyOf(request)).toString())
    const [header, claims, signature] = form.get('assertion')!.split('.')
    const isRight = createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(publicKey, Buffer.from(signature!, 'base64url'))
    const said = JSON.parse(Buffer.from(claims!, 'base64url').toString()) as Record<string, unknown>
    expect([isRight, form.get('grant_type'), said['iss'], said['aud'], said['scope'], Number(said['exp']) - Number(said['iat'])]).toEqual([
      true,
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'robot@project.example',
      `${stage.upstream.origin}/token`,
      'https://www.googleapis.com/auth/cloud-platform',
      3_600,
    ])
    sold += 1
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(
      answer.status === 200
        ? JSON.stringify({ access_token: `${TOKEN}-${sold}`, expires_in: answer.livesS, token_type: 'Bearer' })
        : '{"error":"invalid_grant"}',
    )
  }
  const path = '/llm/vertex/v1/projects/p/locations/europe-west4/publishers/google/models/m:generateContent'
  const name = (key: string) => ({ ...bearer(), 'sallyport-provider-key-name': key })
  const keep = (key: string) =>
    keepKey(stage.owner, { provider: 'vertex', name: key, secret: account, settings: { location: 'europe-west4' } })
  const carried = () => stage.upstream.seen.at(-1)!.headers.authorization

  it('carries a token that is bought once for all who wait, and is hidden where the answer repeats it', async () => {
    stage.upstream.answer(serve)
    await keep('default')
    const answers = await Promise.all(Array.from({ length: 5 }, () => stage.call(path, { method: 'POST', headers: bearer(), body: '{}' })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect([sold, carried()]).toEqual([1, `Bearer ${TOKEN}-1`])
    for (const one of answers) expect(await one.text()).not.toContain(TOKEN)
    await stage.call(path, { method: 'POST', headers: bearer(), body: '{}' })
    expect(sold).toBe(1)
  })

  it('buys anew once keys of the organization have changed', async () => {
    stage.upstream.answer(serve)
    const before = sold
    await keep('another')
    const bought = async () => {
      await stage.call(path, { method: 'POST', headers: bearer(), body: '{}' })
      return sold
    }
    await expect.poll(bought).toBe(before + 1)
  })

  it('buys a caller’s own token for its call alone', async () => {
    stage.upstream.answer(serve)
    const before = sold
    const headers = { ...bearer(), 'sallyport-provider-key': account, 'sallyport-provider-settings': 'location=europe-west4' }
    for (const n of [1, 2]) {
      expect((await stage.call(path, { method: 'POST', headers, body: '{}' })).status).toBe(200)
      expect(carried()).toBe(`Bearer ${TOKEN}-${before + n}`)
    }
  })

  describe('in OpenAI’s words', () => {
    const accountOf = (project: unknown) => JSON.stringify({ ...(JSON.parse(account) as object), project_id: project })
    const settings = { location: 'europe-west4' }
    const client = (headers: Record<string, string> = {}) =>
      new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey: stage.key, maxRetries: 0, defaultHeaders: headers })
    const at = (key: string) => client({ 'sallyport-provider-key-name': key })
    const chat = (of: OpenAI, model = 'vertex/gemini-2.5-flash') =>
      of.chat.completions.create({ model, messages: [{ role: 'user', content: 'hello' }] })
    const place = (project: string) => `/v1/projects/${project}/locations/europe-west4/publishers/google/models`
    const said = (text: string) => ({
      candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason: 'STOP', index: 0 }],
      usageMetadata: { promptTokenCount: 2, candidatesTokenCount: 1, totalTokenCount: 3 },
      modelVersion: 'gemini-2.5-flash',
    })
    const vertex = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      if (request.url === '/token') return await serve(request, response)
      await bodyOf(request)
      const url = request.url!
      if (url.includes(':streamGenerateContent')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        return void response.end(`data: ${JSON.stringify(said('one'))}\n\n`)
      }
      const vector = { embeddings: { values: [0.5, 0.25], statistics: { token_count: 3 } } }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(url.endsWith(':predict') ? { predictions: [vector] } : said('one')))
    }
    const asked = () => stage.upstream.seen.at(-1)!.url

    beforeAll(async () => {
      await keepKey(stage.owner, { provider: 'vertex', name: 'of-a-project', secret: accountOf('a-project-1'), settings })
      const named = { ...settings, project: 'another-project' }
      await keepKey(stage.owner, { provider: 'vertex', name: 'named', secret: accountOf('a-project-1'), settings: named })
      await keepKey(stage.owner, { provider: 'vertex', name: 'odd', secret: accountOf('../../v1/projects/x'), settings })
    })

    it('goes to the project of the account that is kept: chat, streams and embeddings', async () => {
      stage.upstream.answer(vertex)
      const of = at('of-a-project')
      expect((await chat(of)).choices[0]!.message.content).toBe('one')
      expect(asked()).toBe(`${place('a-project-1')}/gemini-2.5-flash:generateContent`)
      const chunks: string[] = []
      const messages = [{ role: 'user' as const, content: 'hello' }]
      for await (const { choices } of await of.chat.completions.create({ model: 'vertex/gemini-2.5-flash', messages, stream: true }))
        chunks.push(choices[0]?.delta.content ?? '')
      expect(chunks.join('')).toBe('one')
      expect(asked()).toBe(`${place('a-project-1')}/gemini-2.5-flash:streamGenerateContent?alt=sse`)
      const { data, usage } = await of.embeddings.create({ model: 'vertex/gemini-embedding-001', input: 'hello' })
      expect([data[0]!.embedding, usage.prompt_tokens]).toEqual([[0.5, 0.25], 3])
      expect(asked()).toBe(`${place('a-project-1')}/gemini-embedding-001:predict`)
    })

    it('goes to another project where the key, or the model’s full name, says so', async () => {
      stage.upstream.answer(vertex)
      await chat(at('named'))
      expect(asked()).toBe(`${place('another-project')}/gemini-2.5-flash:generateContent`)
      const full = `${place('a-third-one').slice('/v1/'.length)}/gemini-2.5-flash`
      for (const key of ['of-a-project', 'odd']) {
        await chat(at(key), `vertex/${full}`)
        expect(asked()).toBe(`/v1/${full}:generateContent`)
      }
    })

    it('goes to the project of the account that a caller brings', async () => {
      stage.upstream.answer(vertex)
      const headers = { 'sallyport-provider-key': accountOf('brought-along'), 'sallyport-provider-settings': 'location=europe-west4' }
      await chat(client(headers))
      expect(asked()).toBe(`${place('brought-along')}/gemini-2.5-flash:generateContent`)
    })

    it('goes to the project of a successor, where its account says one and the key before had none', async () => {
      stage.upstream.answer(vertex)
      const key = await keepKey(stage.owner, { provider: 'vertex', name: 'turned', secret: account, settings })
      await expect(chat(at('turned'))).rejects.toMatchObject({ status: 400, param: 'model' })
      const params = { ...stage.owner.place, provider_key: key }
      const turned = await stage.owner.client.call('providerKeyRotate', { params, body: { secret: accountOf('turned-to') } })
      expect(turned.key.settings).toEqual({ ...settings, project: 'turned-to' })
      const path = () => chat(at('turned')).then(asked, ({ status }: { status: number }) => status)
      await expect.poll(path).toBe(`${place('turned-to')}/gemini-2.5-flash:generateContent`)
    })

    it('is refused where no project is known, or none that is one, and where no key is kept', async () => {
      stage.upstream.answer(vertex)
      const before = stage.upstream.seen.length
      await expect(chat(at('odd'))).rejects.toMatchObject({ status: 400, param: 'model' })
      await expect(chat(at('nowhere'))).rejects.toMatchObject({ status: 400, code: 'provider_key_required' })
      expect(stage.upstream.seen.length).toBe(before)
    })
  })

  it('is refused in Google’s words where the account’s key is not taken, and asks no more for a moment', async () => {
    stage.upstream.answer(serve)
    await keep('dead')
    answer = { status: 400, livesS: 0 }
    const before = sold
    // The key that is the same text under another name: what was bought for it is remembered until something changes.
    const status = async () => {
      const response = await stage.call(path, { method: 'POST', headers: name('dead'), body: '{}' })
      return [response.status, ((await response.json().catch(() => ({}))) as { error?: { status?: string } }).error?.status]
    }
    await expect.poll(status).toEqual([403, 'PERMISSION_DENIED'])
    expect(await status()).toEqual([403, 'PERMISSION_DENIED'])
    expect(sold - before).toBeLessThanOrEqual(2)
    answer = { status: 200, livesS: 3_600 }
    expect(stage.gateway.output()).not.toContain('PRIVATE KEY')
  })
})
