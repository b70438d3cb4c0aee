import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ManualClock, Secret } from '../kernel/index.ts'
import { TokenError } from '../tokens/index.ts'
import type { CredentialRef, CredentialStore, TokenSet } from '../tokens/index.ts'
import { CredentialMemory, createMemoryStore } from './memory/index.ts'
import { withReadCache } from './read-cache.ts'

const ref = { scope: 'a-provider', id: 'a-user' }
const HOUR = 3_600_000

/** A store that can be away, another process's store on the same records, and a cache before the first. */
function world(options: { maxEntries?: number; maxAgeMs?: number } = {}) {
  const clock = new ManualClock()
  const [memory, encryption] = [new CredentialMemory(), { key: 'ab'.repeat(31) + 'cd' }]
  const other = createMemoryStore({ memory, encryption, clock })
  const inner = createMemoryStore({ memory, encryption, clock })
  let away = false
  /** What the store has answered waits here before it is heard. */
  let delayed: Promise<void> = Promise.resolve()
  const failing = new Proxy<CredentialStore>(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function' || name === 'onChange' || name === 'close') return member
      return async (...args: unknown[]): Promise<unknown> => {
        if (away) throw new TokenError('store_unavailable', 'away')
        const answer: unknown = await (member as (...args: unknown[]) => Promise<unknown>).apply(target, args)
        await delayed
        return answer
      }
    },
  })
  const tokens = (name: string, livesMs: number | null = HOUR): TokenSet => ({
    accessToken: new Secret(`access-${name}`),
    refreshToken: new Secret(`refresh-${name}`),
    tokenType: 'bearer',
    expiresAt: livesMs === null ? null : clock.now() + livesMs,
    scopes: [],
    extra: new Secret('{}'),
  })
  const store = withReadCache(failing, { clock, ...options })
  const access = async (of: CredentialRef = ref): Promise<string | undefined> => (await store.read(of))?.head.tokens.accessToken.reveal()
  return {
    clock,
    other,
    store,
    tokens,
    access,
    goAway: (now: boolean) => void (away = now),
    delay: (until: Promise<void>) => void (delayed = until),
  }
}

const unavailable = { code: 'store_unavailable' }

describe('a read cache before a token store', () => {
  it('F-11 serves a token that lives while the store is away, and says where it comes from', async () => {
    const { store, tokens, clock, goAway } = world()
    await store.connect(ref, tokens('1'))
    const fresh = (await store.read(ref))!
    expect(fresh.stale).toBeUndefined()
    goAway(true)
    clock.advance(5_000)
    const state = (await store.read(ref))!
    expect(state).toMatchObject({ stale: true, generation: fresh.generation, readAt: fresh.readAt + 5_000 })
    expect(state.head.tokens.accessToken.reveal()).toBe('access-1')
    expect(state.head.tokens.refreshToken?.reveal()).toBe('refresh-1')
  })

  it('F-11 begins nothing while the store is away', async () => {
    const { store, tokens, goAway } = world()
    const { generation, seq } = await store.connect(ref, tokens('1'))
    await store.read(ref)
    goAway(true)
    const from = { generation, headSeq: seq, parentSeq: seq, replaces: null }
    await expect(store.begin(ref, from, { node: 'n', attempt: 1 })).rejects.toMatchObject(unavailable)
    expect((await store.read(ref))?.stale).toBe(true)
  })

  it('asks the store first whenever it is there', async () => {
    const { store, other, tokens, access } = world()
    await store.connect(ref, tokens('1'))
    expect(await access()).toBe('access-1')
    await other.connect(ref, tokens('2'))
    expect(await access()).toBe('access-2')
  })

  it('serves no token that has expired, by the clock that went further', async () => {
    for (const pass of ['advance', 'step'] as const) {
      const { store, tokens, clock, access, goAway } = world()
      await store.connect(ref, tokens('1', 60_000))
      await access()
      goAway(true)
      clock[pass](59_000)
      expect(await access()).toBe('access-1')
      clock[pass](1_000)
      await expect(store.read(ref)).rejects.toMatchObject(unavailable)
    }
  })

  it('serves nothing that is older than it may be, nor what was never read', async () => {
    const { store, tokens, clock, access, goAway } = world({ maxAgeMs: 10_000 })
    await store.connect(ref, tokens('1', null))
    await access()
    goAway(true)
    clock.advance(10_000)
    expect(await access()).toBe('access-1')
    clock.advance(1)
    await expect(store.read(ref)).rejects.toMatchObject(unavailable)
    await expect(store.read({ scope: 's', id: 'never' })).rejects.toMatchObject(unavailable)
  })

  it('V-06 forgets what another process changes, and what this one does, also when it is not known to be written', async () => {
    const { store, other, tokens, access, goAway } = world()
    const { generation } = await store.connect(ref, tokens('1'))
    await access()
    await other.end(ref, { generation }, 'revoked', 'revoked')
    goAway(true)
    await expect(store.read(ref)).rejects.toMatchObject(unavailable)
    goAway(false)
    const again = await store.connect(ref, tokens('2'))
    await access()
    goAway(true)
    await expect(store.end(ref, { generation: again.generation }, 'revoked', 'revoked')).rejects.toMatchObject(unavailable)
    await expect(store.read(ref)).rejects.toMatchObject(unavailable)
  })

  it('serves no credential that is not active', async () => {
    const { store, other, tokens, access, goAway } = world()
    const { generation } = await store.connect(ref, tokens('1'))
    await other.end(ref, { generation }, 'reconnect_required', 'grant_expired')
    await access()
    goAway(true)
    await expect(store.read(ref)).rejects.toMatchObject(unavailable)
  })

  it('keeps no reading that was under way when its credential changed', async () => {
    const { store, other, tokens, access, goAway, delay } = world()
    const { generation } = await store.connect(ref, tokens('1'))
    await access({ scope: 's', id: 'another, so that changes are listened to' })
    const heard = Promise.withResolvers<void>()
    delay(heard.promise)
    const reading = access()
    await other.end(ref, { generation }, 'revoked', 'revoked')
    heard.resolve()
    expect(await reading).toBe('access-1')
    goAway(true)
    await expect(store.read(ref)).rejects.toMatchObject(unavailable)
  })

  it('keeps so many and no more, the least recently read goes first', async () => {
    const { store, tokens, access, goAway } = world({ maxEntries: 2 })
    const refs = ['a', 'b', 'c'].map((id) => ({ scope: 's', id }))
    for (const one of refs) await store.connect(one, tokens(one.id))
    for (const at of [0, 1, 0, 2]) await access(refs[at])
    goAway(true)
    expect(await access(refs[0])).toBe('access-a')
    expect(await access(refs[2])).toBe('access-c')
    await expect(store.read(refs[1]!)).rejects.toMatchObject(unavailable)
  })

  it('holds tokens sealed', async () => {
    const { store, tokens, access } = world()
    await store.connect(ref, tokens('canary'))
    await access()
    expect(inspect(store, { depth: 20, showHidden: true })).not.toContain('canary')
  })
})
