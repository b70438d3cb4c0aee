/** The store in memory does what stores do; the others are measured against it. */
import { randomBytes, randomUUID } from 'node:crypto'
import { CredentialMemory, createMemoryLeases, createMemoryStates, createMemoryStore } from '../../src/index.ts'
import type { StateMemory } from '../../src/index.ts'
import {
  connectStatesSuite,
  credentialStoreSuite,
  endedGrantsSuite,
  leaseKeeperSuite,
  sealedStoreSuite,
} from '../../../testkit/src/suites/index.ts'
import type { SealedStoreUnderTest } from '../../../testkit/src/suites/index.ts'

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

connectStatesSuite('memory', async () => {
  const memory: StateMemory = new Map()
  return {
    open: async (encryption) => createMemoryStates({ memory, encryption }),
    dump: async () => Buffer.concat([...memory].flatMap(([name, { sealed }]) => [Buffer.from(name), sealed ?? Buffer.of()])),
    close: async () => undefined,
  }
})

const sealed = async (): Promise<SealedStoreUnderTest> => {
  const memories = new Map<string, CredentialMemory>()
  return {
    async open(name, encryption) {
      const memory = memories.get(name) ?? new CredentialMemory()
      memories.set(name, memory)
      return createMemoryStore({ memory, encryption })
    },
    close: async () => undefined,
  }
}
sealedStoreSuite('memory', sealed)
endedGrantsSuite('memory', sealed)

leaseKeeperSuite(
  'memory',
  async () => {
    const held = new Map<string, object>()
    return { open: async () => createMemoryLeases(held), failures: {}, close: async () => undefined }
  },
  { failures: [], dies: false, stalls: false },
)
