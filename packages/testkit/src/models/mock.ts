/** Owns the mock of model vendors that was made elsewhere, told to say what the sandbox's models say. Decision 16 has what it lacks. */
import { LLMock } from '@copilotkit/aimock'
import { WEATHER } from './clients.ts'

/** What the models of the suite say to `hello`, and the tokens of both. */
export const HELLO = { prompt: 'hello', text: 'The sandbox heard: hello', input: 1, output: 4 }

/** What the mock can't be asked, by the clients that would. */
export const MOCK_LACKS = { tools: ['ai over @ai-sdk/google'], embeddings: ['@google/genai'] } as const

export interface ModelMock {
  /** Of every vendor. */
  readonly base: string
  readonly key: string
  readonly chat: string
  readonly embedding: string
  /** The version of Gemini's API that it knows. */
  readonly geminiVersion: string
  close(): Promise<void>
}

export async function startModelMock(): Promise<ModelMock> {
  const key = 'not-a-real-mock-key-0123456789'
  const mock = new LLMock({ port: 0, chunkSize: 8, auth: { apiKeys: [key] } })
  const usage = { prompt_tokens: HELLO.input, completion_tokens: HELLO.output, input_tokens: HELLO.input, output_tokens: HELLO.output }
  mock.on({ userMessage: 'weather', hasToolResult: true }, { content: `The tool said: ${WEATHER.result}` })
  mock.on({ userMessage: 'weather' }, { toolCalls: [{ name: WEATHER.name, arguments: '{"city":"sandbox"}' }] })
  mock.onMessage('look', { content: 'I was shown: image/png.' })
  mock.onMessage(HELLO.prompt, { content: HELLO.text, usage })
  mock.onEmbedding(HELLO.prompt, { embedding: [0.5, -0.5, 0.25, 0, 0, 0, 0, 0] })
  await mock.start()
  return { base: mock.url, key, chat: 'gpt-4o', embedding: 'text-embedding-3-small', geminiVersion: 'v1beta', close: () => mock.stop() }
}
