/**
 * What asking for fresh tokens costs when they are fresh, the case of every call: microseconds of CPU for each `fresh`, one after another and a hundred at a
 * time, beside the store's `read` alone. `known` is a store that answers at once from memory, so what is left is the engine's own share; `sealed` is
 * the store in memory, which opens the tokens for each reading. Exit code 1 when anything but reads reached a store, never for a figure.
 *
 *   node bench/refresh.ts [rounds]        100,000 when absent; some seconds
 */
import { createLogger, createMemoryLeases, createMemoryStore, createRefresher, Secret } from '@sallyport/core'
import type { CredentialStore, Refresher } from '@sallyport/core'

const rounds = Number(process.argv[2] ?? 100_000)
const ref = { scope: 'a-provider', id: 'a-user' }
const logger = createLogger({ level: 'silent', format: 'json' })

/** Tells of every method but `read` that is called. */
function watched(store: CredentialStore, called: Set<string>): CredentialStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member === 'function' && name !== 'read' && name !== 'onChange') called.add(String(name))
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

function over(store: CredentialStore): Refresher {
  const endpoint = (): Promise<never> => Promise.reject(new Error('nothing is to be renewed here'))
  return createRefresher({ store, leases: createMemoryLeases(), endpoint, logger, node: 'bench' })
}

async function microseconds(work: () => Promise<unknown>, atOnce: number): Promise<number> {
  for (let i = 0; i < rounds / 10; i++) await work()
  const before = process.cpuUsage()
  for (let i = 0; i < rounds; i += atOnce) await (atOnce === 1 ? work() : Promise.all(Array.from({ length: atOnce }, work)))
  const { user, system } = process.cpuUsage(before)
  return Math.round(((user + system) * 100) / rounds) / 100
}

const sealed = createMemoryStore()
const tokens = { accessToken: new Secret('a'.repeat(200)), refreshToken: new Secret('r'.repeat(200)) } as const
const lives = { tokenType: 'bearer', expiresAt: Date.now() + 3_600_000, scopes: ['read'], extra: new Secret('{}') } as const
await sealed.connect(ref, { ...tokens, ...lives })
const state = await sealed.read(ref)
const known: CredentialStore = { ...sealed, read: async () => state }
const called = new Set<string>()

const figures: Record<string, Record<string, number>> = {}
for (const [name, store] of Object.entries({ known, sealed })) {
  const refresher = over(watched(store, called))
  figures[name] = {
    read: await microseconds(() => store.read(ref), 1),
    fresh: await microseconds(() => refresher.fresh(ref), 1),
    fresh_of_a_hundred: await microseconds(() => refresher.fresh(ref), 100),
  }
  refresher.close()
}
console.log(JSON.stringify({ rounds, microseconds: figures, other_methods_called: [...called] }, null, 2))
process.exitCode = called.size === 0 ? 0 : 1
