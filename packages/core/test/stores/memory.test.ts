/** The store in memory does what stores do; the others are measured against it. */
import { randomBytes, randomUUID } from 'node:crypto'
import { CredentialMemory, createMemoryStore } from '../../src/index.ts'
import { credentialStoreSuite } from '../../../testkit/src/suites/index.ts'

credentialStoreSuite(
  'memory',
  async () => {
    const memory = new CredentialMemory()
    const encryption = { key: randomBytes(32).toString('hex') }
    return {
      open: async () => createMemoryStore({ memory, encryption }),
      ref: async () => ({ scope: 'a-provider', id: randomUUID() }),
      dump: async () =>
        Buffer.concat(
          [...memory.credentials.values()].flatMap(({ versions, unread }) =>
            [...versions.values(), ...unread.values()].map(({ sealed }) => sealed),
          ),
        ),
      failures: {},
      close: async () => undefined,
    }
  },
  { failures: [], survives: true, ownClock: false, namesReturn: true },
)
