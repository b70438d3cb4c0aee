/** OpenAI's own client, and `ai` as it speaks to OpenAI, with the models of vendors that speak otherwise: the suite that they pass at OpenAI's. */
import { afterAll, inject } from 'vitest'
import { modelClientsSuite } from '../../packages/testkit/src/suites/index.ts'
import { setVendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

const stage = setVendorStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
afterAll(async () => (await stage).close())

/** Clients whose embeddings are asked for; Anthropic makes none, and Bedrock's are not put into OpenAI's words. */
const EMBEDDING = ['openai, chat completions', 'ai over @ai-sdk/openai, chat']

for (const vendor of ['openai', 'anthropic', 'gemini', 'bedrock']) {
  modelClientsSuite(
    `models of ${vendor}, in OpenAI's words`,
    async () => {
      const { gateway, key, upstream } = await stage
      const of = (provider: string) => ({
        base: gateway.url,
        key,
        chat: `${provider}/${upstream.models.chat[0]!}`,
        embedding: `${provider}/${upstream.models.embedding[0]!}`,
      })
      return {
        upstream,
        addressOf: () => of(vendor),
        nowhere: () => of('nowhere'),
        wrongKeyStatus: { openai: 401, anthropic: 401, gemini: 401, bedrock: 401 },
        awsNames: { wrongKey: '', nowhere: '' },
        close: async () => undefined,
      }
    },
    {
      vendors: ['anthropic', 'gemini', 'bedrock'],
      uploads: true,
      sameAddress: true,
      ...(['anthropic', 'bedrock'].includes(vendor) && { embeddings: EMBEDDING }),
    },
  )
}
