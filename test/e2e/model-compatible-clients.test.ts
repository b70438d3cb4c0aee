/** OpenAI's own client, and `ai` as it speaks to OpenAI, with the models of vendors that speak otherwise: the suite that they pass at OpenAI's. */
import { afterAll, inject } from 'vitest'
import { modelClientsSuite } from '../../packages/testkit/src/suites/index.ts'
import { setVendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

const stage = setVendorStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
afterAll(async () => (await stage).close())

/** Clients whose embeddings are asked for; Anthropic makes none, and Bedrock's are not put into OpenAI's words. */
const EMBEDDING = ['openai, chat completions', 'ai over @ai-sdk/openai, chat']
/** Whose own clients would not be OpenAI's words. */
const OTHERS = ['anthropic', 'gemini', 'bedrock', 'azure-openai', 'cohere', 'vertex'] as const
/** One of each way in which a request is put into other words: how clients wait at the rest is no other. */
const PATIENT = ['openai', 'anthropic', 'gemini', 'bedrock']

for (const vendor of ['openai', ...OTHERS]) {
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
        wrongKeyStatus: () => 401,
        awsNames: { wrongKey: '', nowhere: '' },
        close: async () => undefined,
      }
    },
    {
      vendors: OTHERS,
      uploads: true,
      sameAddress: true,
      ...(!PATIENT.includes(vendor) && { patience: true }),
      ...(['anthropic', 'bedrock'].includes(vendor) && { embeddings: EMBEDDING }),
    },
  )
}
