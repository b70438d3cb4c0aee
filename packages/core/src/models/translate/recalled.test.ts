import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { recalled } from './recalled.ts'
import { translationFor } from './translation-for.ts'
import type { Asked, ModelOperation } from './translation.ts'

const stamps = { seconds: () => 1_800_000_000, id: () => 'same' }
const madeFor = (id: string, operation: ModelOperation) =>
  translationFor(
    listModelProviders().find((one) => one.id === id)!,
    { operation, stamps, settings: {} },
  )

const LONG = 'x'.repeat(100_000)
const chat: Asked = {
  model: 'm',
  stream: true,
  stream_options: { include_usage: true, more: LONG },
  messages: [{ role: 'user', content: LONG }],
  tools: [{ type: 'function', function: { name: 'f', description: LONG } }],
}
const response: Asked = {
  model: 'm',
  stream: true,
  input: LONG,
  instructions: 'be short',
  max_output_tokens: 9,
  metadata: { a: 'b' },
  parallel_tool_calls: false,
  reasoning: { effort: 'low' },
  temperature: 0.5,
  text: { format: { type: 'text' } },
  tool_choice: 'none',
  tools: [{ type: 'function', name: 'f', parameters: {} }],
  top_p: 0.5,
  user: 'u',
}
const message = (event: object): Buffer => Buffer.from(`data: ${JSON.stringify(event)}\n\n`)
const events = [
  message({ type: 'message_start', message: { id: 'm', model: 'm', usage: { input_tokens: 1 } } }),
  message({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  message({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hello' } }),
  message({ type: 'content_block_stop', index: 0 }),
  message({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } }),
  message({ type: 'message_stop' }),
]
const whole = {
  id: 'm',
  model: 'm',
  type: 'message',
  role: 'assistant',
  content: [{ type: 'text', text: 'hello' }],
  stop_reason: 'end_turn',
}

describe('what of a request its answer is made from', () => {
  it.each([
    ['anthropic', 'chat', chat],
    ['anthropic', 'responses', response],
  ] as const)('at %s, for %s, makes the same answer, without the prompt', (id, operation, asked) => {
    const translation = madeFor(id, operation)
    const left = recalled(asked, { operation, translation })
    const streamed = (of: Asked): object[] => {
      const stream = translation.stream(of)
      return [...events.flatMap((event) => stream.push(event)), ...stream.end()]
    }
    expect(streamed(left)).toEqual(streamed(asked))
    expect(streamed(asked).length).toBeGreaterThan(2)
    expect(translation.answer(200, whole, left)).toEqual(translation.answer(200, whole, asked))
    expect(JSON.stringify(left).length).toBeLessThan(1_000)
  })

  it('is nothing but the model where no word of the answer is changed', () => {
    expect(recalled(chat, { operation: 'chat', translation: madeFor('openai', 'chat') })).toEqual({ model: 'm', stream: true })
    expect(recalled(response, { operation: 'responses', translation: madeFor('openai', 'responses') })).toEqual({
      model: 'm',
      stream: true,
    })
  })

  it('is all of it for vectors, which are counted against it', () => {
    const asked = { model: 'm', input: ['a', 'b'] }
    const translation = madeFor('gemini', 'embeddings')
    expect(recalled(asked, { operation: 'embeddings', translation })).toEqual(asked)
  })
})
