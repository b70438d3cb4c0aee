/** What the vendors of models take, and what they say to the rest; with plain requests, as a client that knows nothing would write them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startModelVendors } from '../src/index.ts'
import type { ModelProvider } from '../src/index.ts'

const KEY = 'not-a-real-key'
let vendors: ModelProvider
beforeAll(async () => {
  vendors = await startModelVendors({ key: KEY })
})
afterAll(() => vendors.close())

const USER = { role: 'user', content: 'hello' }
const CHAT = { model: 'sandbox-large', messages: [USER] }
const MESSAGE = { ...CHAT, max_tokens: 10 }
const CONTENT = { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] }
const GENERATE = '/gemini/v1beta/models/sandbox-large:generateContent'
const DEPLOYED = '/azure-openai/openai/deployments/sandbox-large/chat/completions'
const AT_VERTEX = '/vertex/v1/projects/a-project/locations/us-central1/publishers/google/models'
const GENERATE_AT_VERTEX = `${AT_VERTEX}/sandbox-large:generateContent`

async function ask(path: string, body: unknown, headers: Record<string, string> = {}): Promise<{ status: number; answer: object }> {
  const response = await fetch(vendors.origin + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${KEY}`,
      'api-key': KEY,
      'anthropic-version': '2023-06-01',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, answer: (await response.json()) as object }
}

describe('the vendors of models', () => {
  it.each([
    ['/openai/v1/chat/completions', CHAT],
    ['/openai/v1/responses', { model: 'sandbox-large', input: 'hello' }],
    ['/openai/v1/embeddings', { model: 'sandbox-embedding', input: ['hello', 'you'], encoding_format: 'float' }],
    ['/anthropic/v1/messages', MESSAGE],
    ['/anthropic/v1/messages/count_tokens', CHAT],
    [GENERATE, CONTENT],
    ['/gemini/v1/models/sandbox-large:countTokens', CONTENT],
    [`${DEPLOYED}?api-version=2024-10-21`, { messages: [USER] }],
    ['/azure-openai/openai/v1/responses', { model: 'sandbox-large', input: 'hello' }],
    ['/azure-openai/openai/v1/embeddings?api-version=preview', { model: 'sandbox-embedding', input: 'hello' }],
    ['/cohere/v2/chat', CHAT],
    ['/cohere/v2/embed', { model: 'sandbox-embedding', input_type: 'search_query', texts: ['hello'], embedding_types: ['float'] }],
    ['/cohere/compatibility/v1/chat/completions', { ...CHAT, reasoning_effort: 'none' }],
    ['/cohere/compatibility/v1/embeddings', { model: 'sandbox-embedding', input: 'hello' }],
    [GENERATE_AT_VERTEX, { ...CONTENT, labels: { team: 'one' } }],
    [`${AT_VERTEX}/sandbox-embedding:predict`, { instances: [{ content: 'hello', task_type: 'RETRIEVAL_QUERY' }] }],
  ])('take what their references say: %s', async (path, body) => {
    const first = await ask(path, body)
    expect(first.status).toBe(200)
    // But for ids and the time, the same each time.
    const shown = ({ answer }: typeof first): string => JSON.stringify(answer).replaceAll(/sandbox\d{8}|\d{10}/gu, '')
    expect(shown(await ask(path, body))).toBe(shown(first))
  })

  it.each([
    ['openai', '/openai/v1/chat/completions', 401, { error: { code: 'invalid_api_key' } }],
    ['anthropic', '/anthropic/v1/messages', 401, { type: 'error', error: { type: 'authentication_error' } }],
    ['gemini', GENERATE, 400, { error: { status: 'INVALID_ARGUMENT', details: [{ reason: 'API_KEY_INVALID' }] } }],
    ['azure-openai', `${DEPLOYED}?api-version=2024-10-21`, 401, { error: { code: '401' } }],
    ['cohere', '/cohere/v2/chat', 401, { message: expect.any(String) }],
    ['vertex', GENERATE_AT_VERTEX, 401, { error: { status: 'UNAUTHENTICATED' } }],
  ])('refuse a wrong key in the words of %s, whatever else is wrong', async (_vendor, path, status, answer) => {
    expect(await ask(path, 'no json', { authorization: 'Bearer another-key', 'api-key': 'another-key' })).toMatchObject({ status, answer })
  })

  it.each([
    ['/openai/v1/chat/completions', { ...CHAT, more: 1 }, 400, { error: { code: 'unknown_parameter', param: 'more' } }],
    ['/openai/v1/chat/completions', { ...CHAT, messages: [{ role: 'user' }] }, 400, { error: { param: 'messages.0.content' } }],
    ['/openai/v1/chat/completions', { ...CHAT, model: 'gone' }, 404, { error: { code: 'model_not_found' } }],
    ['/openai/v1/chat/completions', '{"model":', 400, { error: { type: 'invalid_request_error' } }],
    ['/openai/v1/nothing', CHAT, 404, { error: { type: 'invalid_request_error' } }],
    [DEPLOYED, CHAT, 404, { error: { code: '404' } }],
    [`${DEPLOYED}?api-version=latest`, CHAT, 404, { error: { code: '404' } }],
    ['/azure-openai/openai/v1/chat/completions?api-version=2024-10-21', CHAT, 404, { error: { code: '404' } }],
    [`${DEPLOYED.replace('large', 'gone')}?api-version=2024-10-21`, CHAT, 404, { error: { code: 'DeploymentNotFound' } }],
    [`${DEPLOYED}?api-version=2024-10-21`, { ...CHAT, more: 1 }, 400, { error: { param: 'more' } }],
    ['/cohere/v2/chat', { ...CHAT, max_completion_tokens: 1 }, 422, { message: expect.stringContaining('max_completion_tokens') }],
    ['/cohere/v2/chat', { ...CHAT, temperature: 1.5 }, 400, { message: expect.stringContaining('temperature') }],
    ['/cohere/v2/embed', { model: 'sandbox-embedding', texts: ['x'] }, 400, { message: expect.stringContaining('input_type') }],
    ['/cohere/compatibility/v1/chat/completions', { ...CHAT, n: 1 }, 422, { message: expect.stringContaining('n') }],
    ['/cohere/compatibility/v1/chat/completions', { ...CHAT, reasoning_effort: 'low' }, 400, { message: expect.any(String) }],
    ['/cohere/compatibility/v1/embeddings', { model: 'sandbox-embedding', input: 'x', dimensions: 8 }, 422, {}],
    ['/cohere/compatibility/v1/responses', CHAT, 404, {}],
    [GENERATE_AT_VERTEX, { ...CONTENT, more: 1 }, 400, { error: { status: 'INVALID_ARGUMENT' } }],
    [GENERATE_AT_VERTEX.replace('/projects/a-project', ''), CONTENT, 404, { error: { status: 'NOT_FOUND' } }],
    [`${AT_VERTEX}/sandbox-embedding:batchEmbedContents`, { requests: [] }, 404, { error: { status: 'NOT_FOUND' } }],
    ['/anthropic/v1/messages', CHAT, 400, { error: { message: 'max_tokens: Field required' } }],
    ['/anthropic/v1/messages', { ...MESSAGE, n: 2 }, 400, { error: { message: 'n: Extra inputs are not permitted' } }],
    ['/anthropic/v1/messages', { ...MESSAGE, model: 'gone' }, 404, { error: { type: 'not_found_error' } }],
    [GENERATE, { ...CONTENT, max_tokens: 1 }, 400, { error: { status: 'INVALID_ARGUMENT' } }],
    [GENERATE.replace('sandbox-large', 'gone'), CONTENT, 404, { error: { status: 'NOT_FOUND' } }],
  ])('refuse at %s what the vendor refuses: %j', async (path, body, status, answer) => {
    expect(await ask(path, body)).toMatchObject({ status, answer })
  })

  it('end an answer where they are told to, and say so', async () => {
    const text = 'count to 500'
    const { answer } = await ask('/openai/v1/chat/completions', {
      ...CHAT,
      messages: [{ role: 'user', content: text }],
      max_completion_tokens: 3,
    })
    expect(answer).toMatchObject({
      choices: [{ message: { content: '1 2 3' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 3, completion_tokens: 3 },
    })
  })

  it('want a version of the API from whoever speaks to Anthropic', async () => {
    const bare = await fetch(`${vendors.origin}/anthropic/v1/messages`, { method: 'POST', headers: { 'x-api-key': KEY }, body: '{}' })
    expect(bare.status).toBe(400)
  })
})
