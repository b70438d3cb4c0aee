import { describe, expect, it } from 'vitest'
import { Secret } from '../../kernel/index.ts'
import { leaseKey } from '../../tokens/index.ts'
import type { TokenSet } from '../../tokens/index.ts'
import { createMemoryLeases } from './memory-leases.ts'
import { createMemoryStore } from './memory-store.ts'

const ref = { scope: 'a-provider', id: 'a-user' }

function tokens(name: string): TokenSet {
  return {
    accessToken: new Secret(`access-${name}`),
    refreshToken: new Secret(`refresh-${name}`),
    tokenType: 'bearer',
    expiresAt: null,
    scopes: [],
    extra: new Secret('{}'),
  }
}

describe('a token store in memory', () => {
  it('says that it is for development', () => {
    const { durability } = createMemoryStore()
    expect(durability.kind).toBe('none')
    expect(durability.limits[0]).toMatch(/Development only/)
  })

  it('takes a refresh through from intent to head', async () => {
    const store = createMemoryStore()
    const { generation, seq } = await store.connect(ref, tokens('1'))
    const from = { generation, headSeq: seq, parentSeq: seq, replaces: null }
    const begun = await store.begin(ref, from, { node: 'n', attempt: 1 })
    expect(begun?.parent.tokens.refreshToken?.reveal()).toBe('refresh-1')
    expect(await store.begin(ref, from, { node: 'n', attempt: 1 })).toBeUndefined()
    expect(await store.save(ref, { intent: begun!.intent.id, generation, parentSeq: seq, tokens: tokens('2') })).toBe('head')
    const state = await store.read(ref)
    expect(state).toMatchObject({ status: 'active', intent: null, failure: null, head: { parentSeq: seq } })
    expect(state!.head.tokens.accessToken.reveal()).toBe('access-2')
  })

  it('gives a lease to one holder at a time', async () => {
    const held = new Map<string, object>()
    const [one, other] = [createMemoryLeases(held), createMemoryLeases(held)]
    const lease = await one.take(leaseKey(ref))
    expect(await other.take(leaseKey(ref))).toBeUndefined()
    expect(await lease!.prove()).toBe(true)
    await lease!.release()
    const next = await other.take(leaseKey(ref))
    await lease!.release()
    expect(await next!.prove()).toBe(true)
    expect(await lease!.prove()).toBe(false)
  })
})
