import { describe, expect, it } from 'vitest'
import { ManualClock, Secret } from '../kernel/index.ts'
import { createLogger } from '../observability/index.ts'
import { createMemoryLeases, createMemoryStore } from '../stores/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { createRefresher } from './refresher.ts'

const ref = { scope: 'machine', id: 'the application' }

function tokens(text: string, expiresAt: number | null): TokenSet {
  const held = { refreshToken: null, scopes: [], extra: new Secret('{}') }
  return { ...held, tokenType: 'bearer', accessToken: new Secret(text), expiresAt }
}

async function machine(renewsAlone: boolean) {
  const clock = new ManualClock()
  const store = createMemoryStore({ clock })
  let calls = 0
  const open = () =>
    createRefresher({
      store,
      leases: createMemoryLeases(),
      endpoint: async () => ({
        provider: 'machine',
        rotation: { kind: 'none' },
        requestLifetimeMs: 5000,
        refresh: async (_parent, { now }) => ({ kind: 'tokens', tokens: tokens(`token ${++calls}`, now + 3_600_000) }),
      }),
      ...(renewsAlone ? { renewsAlone: ({ scope }) => scope === 'machine' } : {}),
      logger: createLogger({ level: 'silent', format: 'json' }),
      node: 'a node',
      clock,
    })
  await store.connect(ref, tokens('token 0', clock.now() + 3_600_000))
  return { clock, refresher: open(), calls: () => calls, store }
}

describe('a token that the application’s own client renews', () => {
  it('is kept until it is due, then asked for once for all callers, and again after the provider refused it', async () => {
    const { clock, refresher, calls } = await machine(true)
    const read = async (): Promise<string> => (await refresher.fresh(ref)).tokens.accessToken.reveal()
    expect([await read(), calls()]).toEqual(['token 0', 0])
    clock.advance(3_600_000)
    expect(await Promise.all(Array.from({ length: 50 }, read))).toEqual(Array(50).fill('token 1'))
    expect(calls()).toBe(1)
    clock.advance(60_000)
    const { seq } = await refresher.fresh(ref)
    const renewed = await refresher.fresh(ref, { force: { afterSeq: seq } })
    expect([renewed.tokens.accessToken.reveal(), calls()]).toEqual(['token 2', 2])
    refresher.close()
  })

  it('needs the person where nobody said so', async () => {
    const { clock, refresher, calls } = await machine(false)
    clock.advance(3_600_000)
    await expect(refresher.fresh(ref)).rejects.toMatchObject({ code: 'reconnect_required' })
    expect(calls()).toBe(0)
    refresher.close()
  })
})
