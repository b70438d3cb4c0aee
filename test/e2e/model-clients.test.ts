/** The vendors' own clients through a whole gateway: the same suite that they pass at the vendors. */
import { afterAll, inject } from 'vitest'
import { MOCK_LACKS, startModelMock } from '@sallyport/testkit'
import { modelChatSuite, modelClientsSuite } from '../../packages/testkit/src/suites/index.ts'
import { keepKey } from './model-stage.ts'
import { setVendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

const mock = await startModelMock()
afterAll(() => mock.close())
const { base } = mock
const stage = setVendorStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) }, {}, [
  { id: 'mock-openai', base },
  { id: 'mock-anthropic', base, dialect: 'anthropic', injection: { name: 'x-api-key', template: '{token}' } },
  { id: 'mock-gemini', base, dialect: 'gemini', injection: { name: 'x-goog-api-key', template: '{token}' } },
])
afterAll(async () => (await stage).close())
/** One gateway for all of them. */
const stays = async (): Promise<void> => undefined

modelClientsSuite('through the gateway', async () => {
  const { gateway, upstream, addressOf } = await stage
  return {
    upstream,
    addressOf,
    nowhere: (vendor) => ({ ...addressOf(vendor), base: `${gateway.url}/llm/nowhere` }),
    wrongKeyStatus: () => 401,
    // Whoever asks for a provider that nobody knows is answered in OpenAI's words.
    awsNames: { wrongKey: 'AccessDeniedException', nowhere: 'Unknown' },
    close: stays,
  }
})

modelChatSuite(
  'a mock made elsewhere, through the gateway',
  async () => {
    const { owner, addressOf } = await stage
    for (const vendor of ['openai', 'anthropic', 'gemini']) await keepKey(owner, { provider: `mock-${vendor}`, secret: mock.key })
    return {
      addressOf: (vendor) => ({ ...mock, ...addressOf(`mock-${vendor}`), chat: mock.chat, embedding: mock.embedding }),
      close: stays,
    }
  },
  { ...MOCK_LACKS, vendors: ['bedrock', 'azure-openai', 'cohere', 'vertex'] },
)
