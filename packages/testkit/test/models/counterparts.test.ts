/** The suite of the vendors' clients, held against vendors themselves: one that was made elsewhere, and ours. */
import { MOCK_LACKS, startModelMock, startModelUpstream } from '@sallyport/testkit'
import { modelChatSuite, modelClientsSuite } from '../../src/suites/index.ts'

modelClientsSuite('vendors of our own', async () => {
  const upstream = await startModelUpstream()
  const [chat, embedding] = [upstream.models.chat[0]!, upstream.models.embedding[0]!]
  const shown = (vendor: string): object => ({
    ...(vendor === 'bedrock' && { aws: upstream.aws }),
    ...(vendor === 'vertex' && { accessToken: upstream.key }),
  })
  return {
    upstream,
    addressOf: (vendor) => ({ base: upstream.base(vendor), key: upstream.key, chat, embedding, ...shown(vendor) }),
    nowhere: (vendor) => ({ base: `${upstream.base(vendor)}/nowhere`, key: upstream.key, chat, embedding, ...shown(vendor) }),
    wrongKeyStatus: (vendor) => ({ gemini: 400, bedrock: 403 })[vendor as string] ?? 401,
    awsNames: { wrongKey: 'UnrecognizedClientException', nowhere: 'UnknownOperationException' },
    close: () => upstream.close(),
  }
})

modelChatSuite(
  'a mock made elsewhere',
  async () => {
    const mock = await startModelMock()
    return { addressOf: () => mock, close: () => mock.close() }
  },
  { ...MOCK_LACKS, vendors: ['azure-openai', 'cohere', 'vertex'] },
)
