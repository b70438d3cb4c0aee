import { describe, expect, it } from 'vitest'
import { createLogger, newId } from '@sallyport/core'
import type { KeyId } from '@sallyport/core'
import { DatabaseError } from '../db/index.ts'
import { createKeyUses } from './key-uses.ts'

type Written = readonly { readonly key: KeyId; readonly ageS: number }[]

function uses({ maxKeys = 10 }: { maxKeys?: number } = {}) {
  let now = 0
  const batches: Written[] = []
  const log: string[] = []
  const state = { away: false, during: (): void => undefined }
  const made = createKeyUses({
    lookups: {
      keyUseNote: async (keys) => {
        if (state.away) throw new DatabaseError('database_unavailable', 'away')
        batches.push(keys)
        state.during()
        return keys.length
      },
    },
    clock: { monotonic: () => now },
    logger: createLogger({ level: 'warn', format: 'json', write: (line) => void log.push(line) }),
    maxKeys,
  })
  return { made, batches, log, state, pass: (ms: number) => void (now += ms) }
}

const [a, b, c] = [newId('key'), newId('key'), newId('key')]

describe('the uses of keys', () => {
  it('are one entry a key however often it is used, with the age of the last', async () => {
    const { made, batches, pass } = uses()
    for (let n = 0; n < 1000; n++) made.note(a)
    made.note(b)
    pass(5_000)
    made.note(a)
    await made.flush()
    expect(batches).toEqual([
      [
        { key: a, ageS: 0 },
        { key: b, ageS: 5 },
      ],
    ])
    await made.flush()
    expect(batches).toHaveLength(1)
    await made.close()
  })

  it('are written in batches, and when the gateway ends', async () => {
    const { made, batches } = uses({ maxKeys: 5_000 })
    for (let n = 0; n < 2_500; n++) made.note(newId('key'))
    await made.close()
    expect(batches.map(({ length }) => length)).toEqual([1_000, 1_000, 500])
  })

  it('are held up to a bound, the oldest lost first', async () => {
    const { made, batches } = uses({ maxKeys: 2 })
    for (const key of [a, b, c]) made.note(key)
    await made.close()
    expect(batches.flat().map(({ key }) => key)).toEqual([b, c])
  })

  it('wait while the database is away, which is told once', async () => {
    const { made, batches, log, state, pass } = uses()
    state.away = true
    made.note(a)
    await made.flush()
    await made.flush()
    expect(log).toHaveLength(1)
    state.away = false
    pass(60_000)
    await made.close()
    expect(batches).toEqual([[{ key: a, ageS: 60 }]])
  })

  it('made while others are written are not lost', async () => {
    const { made, batches, state, pass } = uses()
    state.during = () => {
      state.during = () => undefined
      pass(1)
      made.note(a)
    }
    made.note(a)
    await made.flush()
    await made.close()
    expect(batches).toHaveLength(2)
  })
})
