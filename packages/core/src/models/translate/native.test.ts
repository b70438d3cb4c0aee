import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { translationFor } from './translation-for.ts'

const at = (id: string) =>
  translationFor(
    listModelProviders().find((one) => one.id === id)!,
    { operation: 'chat' },
  )
const messages = [{ role: 'user', content: 'hello' }]

describe('a request of a provider that takes OpenAI’s', () => {
  it('goes as it is, whatever is in it', () => {
    const asked = { model: 'm', messages, store: false, sharpness: 1, max_completion_tokens: 9 }
    expect(at('openai').request(asked)).toEqual({ path: '/v1/chat/completions', headers: {}, body: asked })
  })

  it('calls its fields as the provider does', () => {
    expect(at('mistral').request({ model: 'm', messages, max_completion_tokens: 9, seed: 7, temperature: 1 }).body).toEqual({
      model: 'm',
      messages,
      max_tokens: 9,
      random_seed: 7,
      temperature: 1,
    })
    expect(at('mistral').request({ model: 'm', messages, max_completion_tokens: 9, max_tokens: 8 }).body).toMatchObject({
      max_completion_tokens: 9,
      max_tokens: 8,
    })
  })

  it('is without what another vendor’s answer carried, where the provider refuses it', () => {
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }
    const back = {
      role: 'assistant',
      content: null,
      reasoning_content: 'hm',
      tool_calls: [{ ...call, extra_content: { google: { thought_signature: 's' } } }],
    }
    const plain = { role: 'assistant', content: null, tool_calls: [call] }
    const others = [{ role: 'user', content: 'x', reasoning_content: 'kept' }, { role: 'assistant', content: 'y' }, null]
    for (const vendor of ['mistral', 'groq'])
      expect(at(vendor).request({ model: 'm', messages: [back, ...others] }).body).toEqual({ model: 'm', messages: [plain, ...others] })
    expect(at('deepseek').request({ model: 'm', messages: [back] }).body).toEqual({ model: 'm', messages: [back] })
  })

  it('is without what the provider refuses, where that asks for nothing, and with it where it asks for something', () => {
    const nothing = { store: false, logprobs: false, user: 'u', service_tier: 'auto', stream_options: { include_usage: true } }
    expect(at('mistral').request({ model: 'm', messages, stream: true, ...nothing }).body).toEqual({ model: 'm', messages, stream: true })
    expect(at('mistral').request({ model: 'm', messages, logprobs: true }).body).toEqual({ model: 'm', messages, logprobs: true })
  })
})

describe('an error of a provider that takes OpenAI’s requests', () => {
  it.each([
    ['cohere', 422, { id: 'x', message: 'no such field' }, 'no such field', null],
    ['xai', 400, { code: 'of-theirs', error: 'no such model' }, 'no such model', null],
    [
      'mistral',
      422,
      { detail: [{ loc: ['body', 'messages', 0], msg: 'Field required', type: 'missing' }, { msg: 'and another' }, 'odd'] },
      'body.messages.0: Field required; and another',
      null,
    ],
    ['mistral', 422, { detail: 'in one sentence' }, 'in one sentence', null],
    ['mistral', 422, { detail: [] }, 'The provider answered with an error of no known form.', null],
    ['cohere', 401, { message: 'invalid api token' }, 'invalid api token', 'invalid_api_key'],
  ])('of %s is said in OpenAI’s form: %i %j', (id, status, body, message, code) => {
    const error = { message, type: expect.any(String), param: null, code }
    expect(at(id).answer(status, body, {})).toEqual({ status, body: { error } })
  })
})
