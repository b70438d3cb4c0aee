/** Cohere's own API through a whole gateway, with plain requests: its client is not among those that the suite has. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { setVendorStage } from './model-vendors.ts'
import type { VendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

let stage: VendorStage
beforeAll(async () => {
  stage = await setVendorStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
})
afterAll(() => stage?.close())

const HELLO = { role: 'user', content: 'hello' }
const TOOL = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
}

function post(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${stage.gateway.url}/llm/cohere${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}
const chat = (more: object, headers: Record<string, string> = {}) =>
  post('/v2/chat', { model: stage.upstream.models.chat[0], messages: [HELLO], ...more }, headers)

interface Said {
  readonly message: { readonly content?: readonly { readonly text: string }[]; readonly tool_calls?: readonly { readonly id: string }[] }
  readonly finish_reason: string
}

/** The data of a stream's events, in order. */
async function eventsOf(response: Response): Promise<{ readonly type: string; readonly delta?: Record<string, unknown> }[]> {
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: '))
  return lines.map((line) => JSON.parse(line.slice('data: '.length)) as { type: string })
}

/** What was written down of the call of this answer, once it is. */
async function usageOf(response: Response) {
  const request = response.headers.get('sallyport-request-id')
  const row = async () => {
    const { data } = await stage.owner.client.call('usageRecordList', { params: stage.owner.place, query: { limit: 200 } })
    return data.find((one) => one.request === request)
  }
  await expect.poll(row).toBeDefined()
  return row()
}

describe('Cohere’s own chat', () => {
  it('answers in its words, with its count of tokens, which is written down', async () => {
    const response = await chat({})
    expect(await response.json()).toMatchObject({
      message: { role: 'assistant', content: [{ type: 'text', text: 'The sandbox heard: hello' }] },
      finish_reason: 'COMPLETE',
      usage: { billed_units: { input_tokens: 1, output_tokens: 4 } },
    })
    expect(await usageOf(response)).toMatchObject({ provider: 'cohere', source: 'measured', input_tokens: 1, output_tokens: 4 })
  })

  it('streams its events as they are, and their count of tokens is written down', async () => {
    const response = await chat({ stream: true })
    const events = await eventsOf(response)
    expect(events.map(({ type }) => type)).toEqual([
      'message-start',
      'content-start',
      ...Array.from({ length: 4 }, () => 'content-delta'),
      'content-end',
      'message-end',
    ])
    expect(await usageOf(response)).toMatchObject({ source: 'measured', input_tokens: 1, output_tokens: 4 })
  })

  it('asks for its tool, whole and streamed, and tells what came of it', async () => {
    const asked = (await (await chat({ tools: [TOOL] })).json()) as Said
    expect(asked).toMatchObject({ finish_reason: 'TOOL_CALL', message: { tool_calls: [{ function: { name: 'weather' } }] } })
    const result = { role: 'tool', tool_call_id: asked.message.tool_calls![0]!.id, content: 'sunny' }
    const told = (await (await chat({ tools: [TOOL], messages: [HELLO, asked.message, result] })).json()) as Said
    expect(told.message.content![0]!.text).toBe('The tool said: sunny')
    const types = (await eventsOf(await chat({ tools: [TOOL], stream: true }))).map(({ type }) => type)
    expect(types.filter((type) => type.startsWith('tool-call'))).toEqual([
      'tool-call-start',
      'tool-call-delta',
      'tool-call-delta',
      'tool-call-end',
    ])
  })

  it('is shown a picture', async () => {
    const content = [
      { type: 'text', text: 'look' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
    ]
    const said = (await (await chat({ messages: [{ role: 'user', content }] })).json()) as Said
    expect(said.message.content![0]!.text).toContain('image/png')
  })
})

describe('Cohere’s other calls', () => {
  it('embed', async () => {
    const [model] = stage.upstream.models.embedding
    const response = await post('/v2/embed', { model, input_type: 'search_query', texts: ['hello'], embedding_types: ['float'] })
    const { embeddings } = (await response.json()) as { embeddings: { float: number[][] } }
    expect(embeddings.float[0]).toHaveLength(8)
    expect(await usageOf(response)).toMatchObject({ provider: 'cohere', input_tokens: 1 })
  })

  it('list the models', async () => {
    const response = await fetch(`${stage.gateway.url}/llm/cohere/v1/models`, { headers: { authorization: `Bearer ${stage.key}` } })
    expect(await response.json()).toMatchObject({ models: [{ name: 'sandbox-large' }, { name: 'sandbox-small' }] })
  })
})

describe('what is refused there', () => {
  it('by Cohere is in its words, as its own', async () => {
    const response = await chat({ max_completion_tokens: 1 })
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([422, 'provider'])
    expect(await response.json()).toMatchObject({ message: expect.stringContaining('max_completion_tokens') })
  })

  it('by the gateway is in its words too', async () => {
    const response = await chat({}, { 'sallyport-provider-key-name': 'nobody' })
    expect([response.status, response.headers.get('sallyport-error-source')]).toEqual([400, 'gateway'])
    expect(await response.json()).toMatchObject({ id: expect.any(String), message: expect.any(String), code: 'provider_key_required' })
  })
})
