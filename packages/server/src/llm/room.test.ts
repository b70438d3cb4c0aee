import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import { createRoom } from './room.ts'

/** As much as `owner` gets in pieces of this size. */
function filled(room: ReturnType<typeof createRoom>, owner: ReturnType<typeof newId<'org'>>, bytes: number): number {
  let held = 0
  while (room.enter(owner, bytes)) held += bytes
  return held
}

describe('the room for what is held in memory', () => {
  const LARGEST = 10
  const [one, two, three] = [newId('org'), newId('org'), newId('org')]

  it.each([1, 3, LARGEST])('is for one organization alone a half, in pieces of %i, and a second always gets its largest', (piece) => {
    const room = createRoom(12 * LARGEST)
    expect(filled(room, one, piece)).toBeLessThanOrEqual(6 * LARGEST)
    expect(filled(room, one, 1)).toBeLessThan(piece)
    expect(room.enter(two, LARGEST)).toBe(true)
    expect(room.enter(three, LARGEST)).toBe(true)
  })

  it('that has place for two of the largest is not one organization’s, however it comes by it', () => {
    for (const first of [1, LARGEST / 2, LARGEST]) {
      const room = createRoom(2 * LARGEST)
      room.enter(one, first)
      filled(room, one, LARGEST)
      filled(room, one, 1)
      expect(room.enter(two, LARGEST)).toBe(true)
    }
  })

  it('is given back, and is another’s then', () => {
    const room = createRoom(4)
    expect([room.enter(one, 4), room.enter(two, 1)]).toEqual([true, false])
    room.leave(one, 4)
    expect([room.enter(two, 4), room.enter(one, 1)]).toEqual([true, false])
  })
})
