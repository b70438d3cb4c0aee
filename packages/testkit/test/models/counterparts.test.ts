/** The suite of the vendors' clients, held against vendors themselves: one that was made elsewhere, and ours. */
import { LLMock } from '@copilotkit/aimock'
import { startModelUpstream } from '@sallyport/testkit'
import type { ModelAddress } from '@sallyport/testkit'
import { HELLO, modelChatSuite, modelClientsSuite } from '../../src/suites/index.ts'
import type { ModelsUnderTest } from '../../src/suites/index.ts'

modelClientsSuite('vendors of our own', async () => {
  const upstream = await startModelUpstream()
  const [chat, embedding] = [upstream.models.chat[0]!, upstream.models.embedding[0]!]
  return {
    upstream,
    addressOf: (vendor) => ({
      base: upstream.base(vendor),
      key: upstream.key,
      chat,
      embedding,
      ...(vendor === 'bedrock' && { aws: upstream.aws }),
    }),
    nowhere: (vendor) => ({
      base: `${upstream.base(vendor)}/nowhere`,
      key: upstream.key,
      chat,
      embedding,
      ...(vendor === 'bedrock' && { aws: upstream.aws }),
    }),
    wrongKeyStatus: { openai: 401, anthropic: 401, gemini: 400, bedrock: 403 },
    close: () => upstream.close(),
  }
})

const startMock = async (): Promise<ModelsUnderTest> => {
  const key = 'not-a-real-mock-key'
  const mock = new LLMock({ port: 0, chunkSize: 8, auth: { apiKeys: [key] } })
  const usage = { prompt_tokens: HELLO.input, completion_tokens: HELLO.output, input_tokens: HELLO.input, output_tokens: HELLO.output }
  mock.on({ userMessage: 'weather', hasToolResult: true }, { content: 'The tool said: sunny' })
  mock.on({ userMessage: 'weather' }, { toolCalls: [{ name: 'weather', arguments: '{"city":"sandbox"}' }] })
  mock.onMessage('look', { content: 'I was shown: image/png.' })
  mock.onMessage('hello', { content: HELLO.text, usage })
  mock.onEmbedding('hello', { embedding: [0.5, -0.5, 0.25, 0, 0, 0, 0, 0] })
  await mock.start()
  const address: ModelAddress = { base: mock.url, key, chat: 'gpt-4o', embedding: 'text-embedding-3-small', geminiVersion: 'v1beta' }
  return { addressOf: () => address, close: () => mock.stop() }
}

// What it lacks is written down in decision 16.
modelChatSuite('a mock made elsewhere', startMock, { tools: ['ai over @ai-sdk/google'], embeddings: ['@google/genai'] })
