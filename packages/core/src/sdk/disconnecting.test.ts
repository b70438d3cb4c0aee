import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hasCode, Secret } from '../kernel/index.ts'
import { createLogger, MetricsRegistry } from '../observability/index.ts'
import { ManualTime } from '../pipeline/index.ts'
import { CredentialMemory, createMemoryLeases, createMemoryStore } from '../stores/index.ts'
import { TokenError } from '../tokens/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'
import { Disconnecting } from './disconnecting.ts'
import type { DisconnectingParts } from './disconnecting.ts'
import { SDK_METRICS } from './metrics.ts'

const REF = { scope: 'p', id: 'ada' }
const DAY = 24 * 3_600_000
const tokens = (name: string): TokenSet => ({
  tokenType: 'bearer',
  accessToken: new Secret(`fake-access-${name}`),
  refreshToken: new Secret(`fake-refresh-${name}`),
  expiresAt: null,
  scopes: [],
  extra: new Secret('{}'),
})
const PROVIDER = {
  record: { revocation: { kind: 'rfc7009', endpoint: 'https://p.example/revoke', clientAuth: 'none', reach: 'token' } },
  scheme: { kind: 'authorization_code', server: {}, client: { clientId: 'c', clientSecret: null } },
} as unknown as ConfiguredProvider

/** Processes on one memory, before a provider that answers with the statuses in turn, the last one for ever. */
function trial(statuses: readonly number[], headers: Record<string, string> = {}) {
  const time = new ManualTime()
  const [memory, held, encryption] = [new CredentialMemory(), new Map<string, object>(), { key: randomBytes(32).toString('hex') }]
  const shown: string[] = []
  const ended: unknown[] = []
  const lines: string[] = []
  const metrics = new MetricsRegistry(SDK_METRICS)
  const open = (change: Partial<DisconnectingParts> = {}) => {
    const store = createMemoryStore({ memory, encryption, clock: time })
    const parts: DisconnectingParts = {
      provider: () => PROVIDER,
      providers: () => ['p'],
      store,
      leases: createMemoryLeases(held),
      fetch: async (_url, { body }) => {
        shown.push(new URLSearchParams(body).get('token')!)
        return new Response(null, { status: statuses[Math.min(shown.length, statuses.length) - 1]!, headers })
      },
      clock: time,
      logger: createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line) }),
      metrics,
      forgetAnswers: async () => undefined,
      onEnd: (_ref, revocation) => ended.push(revocation),
      rest: time.pause,
      ...change,
    }
    return { store, disconnecting: new Disconnecting(parts) }
  }
  return { time, open, shown, ended, lines, metrics }
}

function withStore(store: DisconnectingParts['store']) {
  const { open, lines } = trial([200])
  return { lines, store, disconnecting: open({ store }).disconnecting }
}

/** What is begun by now has come to where it waits. */
const settled = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 0))

describe('tokens that are to be taken back', () => {
  it('V-08 are taken back by a process that finds them, when the one that ended the connection is gone', async () => {
    const { time, open, shown, ended, metrics } = trial([200])
    const gone = open()
    const { generation } = await gone.store.connect(REF, tokens('a'))
    await gone.store.end(REF, { generation }, 'revoked', 'revoked')
    const next = open()
    next.disconnecting.start()
    await expect.poll(() => ended).toEqual([{ kind: 'done' }])
    expect(shown).toEqual(['fake-refresh-a', 'fake-access-a'])
    expect(await next.store.read(REF)).toBeUndefined()
    await time.pass(5_000)
    await expect.poll(() => metrics.render()).toContain('revocations_pending 0')
    await next.disconnecting.close()
  })

  it('V-08 are tried again at distances that double up to an hour, and never sooner than the provider asks', async () => {
    const { time, open, shown } = trial([503])
    const { store, disconnecting } = open()
    await store.connect(REF, tokens('a'))
    expect(await disconnecting.disconnect(REF)).toEqual({ kind: 'pending', reason: 'provider_down' })
    disconnecting.start()
    const tries: number[] = []
    for (let second = 0; second < 4 * 3_600; second += 5) {
      const before = shown.length
      await time.pass(5_000)
      if (shown.length > before) tries.push(second + 5)
    }
    const distances = tries.map((at, i) => at - (tries[i - 1] ?? 0))
    expect(distances.slice(0, 4)).toEqual([5, 5, 10, 20])
    expect(Math.max(...distances)).toBe(3_600)
    await disconnecting.close()
    const limited = trial([429, 200], { 'retry-after': '7200' })
    const other = limited.open()
    await other.store.connect(REF, tokens('a'))
    await other.disconnecting.disconnect(REF)
    expect((await other.store.read(REF))!.failure!.retryAt - limited.time.now()).toBe(7_200_000)
  })

  it('V-08 are asked for once by two processes that look at the same time', async () => {
    const { time, open, shown, ended } = trial([503, 200])
    const [one, other] = [open(), open()]
    await one.store.connect(REF, tokens('a'))
    await one.disconnecting.disconnect(REF)
    for (const { disconnecting } of [one, other]) disconnecting.start()
    await time.pass(5_000)
    await expect.poll(() => ended.length).toBe(1)
    await settled()
    expect(shown).toEqual(['fake-refresh-a', 'fake-refresh-a', 'fake-access-a'])
    await Promise.all([one.disconnecting.close(), other.disconnecting.close()])
  })

  it('V-08 are given up after 30 days, which is told', async () => {
    const { time, open, ended } = trial([503])
    const { store, disconnecting } = open()
    await store.connect(REF, tokens('a'))
    await disconnecting.disconnect(REF)
    await time.pass(31 * DAY)
    disconnecting.start()
    await expect.poll(() => ended).toEqual([{ kind: 'impossible', reason: 'given_up' }])
    expect(await store.read(REF)).toBeUndefined()
    await disconnecting.close()
  })

  it('F-11 wait for a store that is away, and those that do not open hold up no others', async () => {
    const { time, open, ended, lines } = trial([200])
    let away = true
    const { store } = open()
    for (const id of ['broken', 'whole']) {
      const { generation } = await store.connect({ ...REF, id }, tokens(id))
      await store.end({ ...REF, id }, { generation }, 'revoked', 'revoked')
    }
    const failing: DisconnectingParts['store'] = {
      ...store,
      durability: store.durability,
      ended: (scopes, limit) => (away ? Promise.reject(new TokenError('store_unavailable', 'away')) : store.ended(scopes, limit)),
      read: (ref) => (ref.id === 'broken' ? Promise.reject(new Error('does not open')) : store.read(ref)),
    }
    const { disconnecting } = open({ store: failing })
    disconnecting.start()
    await settled()
    await time.pass(5_000)
    await settled()
    expect(lines.filter((line) => line.includes('can not be looked for'))).toHaveLength(1)
    away = false
    await time.pass(5_000)
    await expect.poll(() => ended).toEqual([{ kind: 'done' }])
    expect(await disconnecting.pending()).toBe(1)
    expect(await store.ended(['p'], 10)).toEqual([])
    await disconnecting.close()
  })

  it('are not looked at when their provider is not configured here', async () => {
    const { time, open, shown } = trial([200])
    const { store, disconnecting } = open({ providers: () => ['other'] })
    const { generation } = await store.connect(REF, tokens('a'))
    await store.end(REF, { generation }, 'revoked', 'revoked')
    disconnecting.start()
    await time.pass(60_000)
    await settled()
    expect(shown).toEqual([])
    expect(await disconnecting.pending()).toBe(1)
    await disconnecting.close()
  })

  it('V-08 are taken back beside a new connection of the person, which keeps its own, and not where it has the same', async () => {
    const { open, shown } = trial([503, 200])
    const { store, disconnecting } = open()
    await disconnecting.connect(REF, tokens('a'))
    await disconnecting.disconnect(REF)
    await disconnecting.connect(REF, tokens('b'))
    await disconnecting.close()
    expect(shown).toEqual(['fake-refresh-a', 'fake-refresh-a', 'fake-access-a'])
    expect((await store.read(REF))!.head.tokens.accessToken.reveal()).toBe('fake-access-b')
    const same = trial([503])
    const again = same.open()
    await again.disconnecting.connect(REF, tokens('a'))
    await again.disconnecting.disconnect(REF)
    await again.disconnecting.connect(REF, tokens('a'))
    await again.disconnecting.close()
    expect(same.shown).toHaveLength(1)
    expect(await again.disconnecting.pending()).toBe(0)
  })

  it('keep nobody from connecting anew who has tokens there that no key opens any more', async () => {
    const memory = new CredentialMemory()
    const stored = (id: string) => createMemoryStore({ memory, encryption: { keys: [{ id, key: randomBytes(32).toString('hex') }] } })
    const lost = stored('lost')
    await lost.connect(REF, tokens('a'))
    const { disconnecting, store, lines } = withStore(stored('new'))
    expect(await disconnecting.before(REF)).toBeUndefined()
    await disconnecting.connect(REF, tokens('b'))
    expect((await store.read(REF))!.head.tokens.accessToken.reveal()).toBe('fake-access-b')
    expect(lines.filter((line) => line.includes('do not open'))).toHaveLength(2)
    const away = { ...store, durability: store.durability, read: () => Promise.reject(new TokenError('store_unavailable', 'away')) }
    await expect(withStore(away).disconnecting.connect(REF, tokens('c'))).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('are said to be unavailable when the store is away at the end', async () => {
    const { open } = trial([200])
    const { store } = open()
    const { disconnecting } = open({
      store: { ...store, durability: store.durability, read: () => Promise.reject(new TokenError('store_unavailable', 'away')) },
    })
    expect(hasCode(await disconnecting.disconnect(REF).catch((error: unknown) => error), 'store_unavailable')).toBe(true)
  })
})
