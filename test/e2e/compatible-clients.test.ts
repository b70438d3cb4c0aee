/** Clients of OpenAI's API at `/v1/`, with the models of other vendors behind it: the same suite that they pass at OpenAI itself. */
import { afterAll, inject } from 'vitest'
import { modelChatSuite } from '../../packages/testkit/src/suites/index.ts'
import { setVendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

const stage = setVendorStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
afterAll(async () => (await stage).close())
const others = ['anthropic', 'gemini', 'bedrock'] as const

for (const provider of ['openai', 'anthropic', 'gemini']) {
  modelChatSuite(
    `OpenAI’s words, and a model of ${provider}`,
    async () => {
      const { gateway, upstream, addressOf } = await stage
      const [chat, embedding] = [upstream.models.chat[0]!, upstream.models.embedding[0]!].map((model) => `${provider}/${model}`)
      return {
        addressOf: (vendor) => ({ ...addressOf(vendor), base: gateway.url, chat: chat!, embedding: embedding! }),
        // One gateway for all of them.
        close: async () => undefined,
      }
    },
    {
      vendors: others,
      // Anthropic has none.
      ...(provider === 'anthropic' && { embeddings: ['openai, chat completions', 'ai over @ai-sdk/openai, chat'] }),
    },
  )
}
