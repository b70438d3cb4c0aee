import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { translationFor } from './translation-for.ts'

const at = (id: string, settings = {}) =>
  translationFor(
    listModelProviders().find((one) => one.id === id)!,
    { operation: 'embeddings', settings },
  )
const gemini = at('gemini')
const vertex = at('vertex', { project: 'p-1', location: 'us-central1' })
const asked = { model: 'embed-1', input: ['a', 'b'], dimensions: 2, user: 'u' }

describe('embeddings in Google’s words', () => {
  it('are asked of Gemini’s API in one batch', () => {
    const one = (text: string) => ({ model: 'models/embed-1', content: { parts: [{ text }] }, outputDimensionality: 2 })
    expect(gemini.request(asked)).toEqual({
      path: '/v1beta/models/embed-1:batchEmbedContents',
      headers: {},
      body: { requests: [one('a'), one('b')] },
    })
    expect(gemini.request({ model: 'embed-1', input: 'a' }).body).toEqual({
      requests: [{ model: 'models/embed-1', content: { parts: [{ text: 'a' }] } }],
    })
  })

  it('are asked of Vertex AI as predictions', () => {
    expect(vertex.request(asked)).toEqual({
      path: '/v1/projects/p-1/locations/us-central1/publishers/google/models/embed-1:predict',
      headers: {},
      body: { instances: [{ content: 'a' }, { content: 'b' }], parameters: { outputDimensionality: 2 } },
    })
  })

  it('come back as OpenAI’s, as numbers and in base64', () => {
    const answer = { embeddings: [{ values: [1, -0.5] }, { values: [0, 2] }], usageMetadata: { promptTokenCount: 3 } }
    expect(gemini.answer(200, answer, asked)).toEqual({
      status: 200,
      body: {
        object: 'list',
        model: 'embed-1',
        data: [
          { object: 'embedding', index: 0, embedding: [1, -0.5] },
          { object: 'embedding', index: 1, embedding: [0, 2] },
        ],
        usage: { prompt_tokens: 3, total_tokens: 3 },
      },
    })
    const predictions = answer.embeddings.map(({ values }) => ({ embeddings: { values, statistics: { token_count: 2 } } }))
    const { body } = vertex.answer(200, { predictions }, { ...asked, encoding_format: 'base64' })
    expect(body).toMatchObject({ data: [{ embedding: 'AACAPwAAAL8=' }, { embedding: 'AAAAAAAAAEA=' }], usage: { total_tokens: 4 } })
  })

  it.each([
    ['tokens', { input: [1, 2] }, 'input[0]', 'invalid_value'],
    ['nothing', { input: [] }, 'input', 'invalid_value'],
    ['a field of another API', { input: 'a', task: 'x' }, 'task', 'unsupported_parameter'],
  ])('are refused of %s', (_what, more, param, reason) => {
    expect(() => gemini.request({ model: 'm', ...more })).toThrow(expect.objectContaining({ param, reason }))
  })

  it('that are not as many as asked for, or no numbers, are the provider’s failure', () => {
    for (const answer of [{}, { embeddings: [{ values: [1] }] }, { embeddings: [{ values: [1] }, { values: ['x'] }] }])
      expect(gemini.answer(200, answer, asked)).toMatchObject({ status: 502 })
    expect(gemini.answer(429, { error: { code: 429, message: 'slow' } }, asked)).toMatchObject({
      status: 429,
      body: { error: { message: 'slow' } },
    })
    expect([...gemini.stream(asked).push(new TextEncoder().encode('data: {}\n\n'))]).toMatchObject([
      { error: { code: 'upstream_invalid' } },
    ])
  })

  it('are refused of a provider that has none', () => {
    expect(() => at('anthropic')).toThrow(expect.objectContaining({ param: 'model', reason: 'unsupported_value' }))
  })
})
