import { describe, expect, it } from 'vitest'
import { Pieces } from './pieces.ts'

describe('a body in pieces', () => {
  it('is what came, in order, whatever becomes of the pieces', () => {
    const [pieces, piece] = [new Pieces(), Buffer.from('a')]
    for (const letter of 'some text, letter by letter') {
      piece.write(letter)
      pieces.add(piece)
    }
    pieces.add(Buffer.alloc(5_000, '.'))
    pieces.add(Buffer.alloc(0))
    expect(pieces.whole().toString()).toBe(`some text, letter by letter${'.'.repeat(5_000)}`)
    expect(pieces.length).toBe(5_027)
  })

  it.each([1, 7, 4_096, 100_000])('takes less than twice its length, in pieces of %i bytes', (size) => {
    const pieces = new Pieces()
    for (let sent = 0; sent < 300_000; sent += size) {
      pieces.add(new Uint8Array(size))
      expect(pieces.taken).toBeLessThan(Math.max(2 * pieces.length, 1_025))
    }
  })

  it('of nothing is empty and takes nothing', () => {
    const pieces = new Pieces()
    expect([pieces.whole().length, pieces.length, pieces.taken]).toEqual([0, 0, 0])
  })
})
