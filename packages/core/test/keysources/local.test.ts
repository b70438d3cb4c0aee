import { keyWrapperSuite } from '../../../testkit/src/suites/index.ts'
import { generateKeyBytes, RootKeyring } from '../../src/crypto/index.ts'
import { Secret } from '../../src/kernel/index.ts'

keyWrapperSuite(
  'of the configuration',
  async () => {
    const [own, other] = ['k1', 'k2'].map((id) => RootKeyring.parse(new Secret(`${id}:${generateKeyBytes().toString('hex')}`)).primary)
    return { wrapper: own!, other: other!, failures: {}, hiccups: {}, refusals: {}, close: async () => undefined }
  },
  { failures: [], hiccups: [], refusals: [], careless: false },
)
