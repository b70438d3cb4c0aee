import { describe, expect, it } from 'vitest'
import { ManualClock, newId, SallyportError } from '@sallyport/core'
import type { ModelKeyAsk, ModelKeys } from '../db/index.ts'
import { createKeptKeys } from './kept-keys.ts'

const org = newId('org')
const ask: ModelKeyAsk = { org, project: newId('proj'), environment: 'test', provider: 'openai', name: 'default' }
const row = (more: object = {}): ModelKeys => ({
  mode: null,
  kept: { id: newId('pkey'), settings: {}, sealed: Buffer.of(1), endsInS: null, ...more },
})

function trial(read: () => Promise<ModelKeys> = () => Promise.resolve(row())) {
  const clock = new ManualClock()
  const asked: ModelKeyAsk[] = []
  const keys = createKeptKeys({
    read: (wanted) => {
      asked.push(wanted)
      return read()
    },
    clock,
    maxAgeMs: 10_000,
    maxAgeAwayMs: 30_000,
    maxEntries: 2,
  })
  return { keys, clock, asked }
}

describe('what is known of kept keys', () => {
  it('is read once for all who ask at the same time, and given at once afterwards', async () => {
    const { keys, asked } = trial()
    const [first, second] = await Promise.all([keys.of(ask), keys.of(ask)])
    expect(first).toBe(second)
    expect(keys.of(ask)).toBe(first)
    expect(asked).toHaveLength(1)
  })

  it('is no older than its limit, and goes with a change of the organization’s keys or settings', async () => {
    const { keys, clock, asked } = trial()
    await keys.of(ask)
    clock.advance(10_000)
    await keys.of(ask)
    expect(asked).toHaveLength(2)
    for (const change of [{ table: 'provider_key', org, id: 'x' }, { table: 'organization', org, id: org }, 'unknown'] as const) {
      await keys.of(ask)
      const before = asked.length
      keys.heard(change)
      await keys.of(ask)
      expect(asked.length).toBe(before + 1)
    }
    const before = asked.length
    keys.heard({ table: 'provider_key', org: newId('org'), id: 'x' })
    keys.heard({ table: 'connection', org, id: 'x' })
    await keys.of(ask)
    expect(asked.length).toBe(before)
  })

  it('is not what was read before a change and came after it', async () => {
    const slow = Promise.withResolvers<ModelKeys>()
    let first = true
    const { keys } = trial(() => {
      if (!first) return Promise.resolve({ mode: 'vault_only', kept: undefined })
      first = false
      return slow.promise
    })
    const early = keys.of(ask)
    keys.heard('unknown')
    slow.resolve(row())
    await early
    expect(await keys.of(ask)).toMatchObject({ mode: 'vault_only', kept: undefined })
  })

  it('is a key on its way out for as long as its overlap lasts', async () => {
    const { keys, clock, asked } = trial(() => Promise.resolve(row({ endsInS: 3 })))
    await keys.of(ask)
    clock.advance(2_999)
    expect(keys.of(ask)).not.toBeInstanceOf(Promise)
    clock.advance(1)
    await keys.of(ask)
    expect(asked).toHaveLength(2)
  })

  it('stands in for a database that is away until its longest age, and no longer', async () => {
    let away = false
    const { keys, clock } = trial(() =>
      away ? Promise.reject(new SallyportError('database_unavailable', 'away')) : Promise.resolve(row()),
    )
    const known = await keys.of(ask)
    away = true
    clock.advance(29_999)
    expect(await keys.of(ask)).toBe(known)
    clock.advance(1)
    await expect(keys.of(ask)).rejects.toMatchObject({ code: 'database_unavailable' })
  })

  it('is bounded, whatever names callers choose', async () => {
    const { keys, asked } = trial(() => Promise.resolve({ mode: null, kept: undefined }))
    await keys.of(ask)
    for (const name of ['a', 'b', 'c']) await keys.of({ ...ask, name })
    expect(keys.of(ask)).not.toBeInstanceOf(Promise)
    await keys.of({ ...ask, name: 'a' })
    expect(asked).toHaveLength(5)
  })

  it('is refused where the stored mode is none', async () => {
    await expect(trial(() => Promise.resolve({ mode: 'anything', kept: undefined })).keys.of(ask)).rejects.toThrow(TypeError)
    expect(await trial(() => Promise.resolve({ mode: null, kept: undefined })).keys.of(ask)).toMatchObject({ mode: 'either' })
  })
})
