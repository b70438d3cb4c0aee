import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { TenantTx } from '../db/index.ts'
import { requireRoom } from './room.ts'
import type { Room } from './room.ts'

/** An organization that makes one after the other; how often it was counted meanwhile. */
function trial(room: Room, there: number) {
  const tx = { org: newId('org') } as TenantTx
  const state = { there, counted: 0 }
  const count = (): Promise<number> => {
    state.counted += 1
    return Promise.resolve(state.there)
  }
  const make = async (): Promise<boolean> => {
    try {
      await requireRoom(tx, room, 'connections', count)
    } catch {
      return false
    }
    state.there += 1
    return true
  }
  return { state, make }
}

const roomFor = (connections: number): Room => ({ connections, integrations: 1, members: 1, projects: 1, providerKeys: 1 })

describe('the room of an organization', () => {
  it('is held to the last of few, which are counted each time', async () => {
    const { state, make } = trial(roomFor(500), 498)
    expect([await make(), await make(), await make(), await make()]).toEqual([true, true, false, false])
    expect(state).toEqual({ there: 500, counted: 4 })
    state.there -= 1
    expect(await make()).toBe(true)
  })

  it('D-14 of many is not counted for each of them, and passed by a thousandth at most', async () => {
    const { state, make } = trial(roomFor(100_000), 20_000)
    while (await make());
    expect(state.there).toBeGreaterThanOrEqual(100_000)
    expect(state.there).toBeLessThanOrEqual(100_100)
    expect(state.counted).toBeLessThan(100)
    const before = state.counted
    for (let n = 0; n < 1_000; n++) expect(await make()).toBe(false)
    expect(state.counted - before).toBeLessThan(10)
  })

  it('is each organization’s own', async () => {
    const room = roomFor(2_000)
    const [full, other] = [trial(room, 2_000), trial(room, 10)]
    expect([await full.make(), await other.make(), await full.make(), await other.make()]).toEqual([false, true, false, true])
  })
})
