import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { HeldBody } from './held-body.ts'

const bytes = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, at) => at % 251))
const PIECE = 64 * 1024

describe('a body that is held', () => {
  it.each([1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, 5 * PIECE + 7])('of %i bytes goes out as it is, and is gone then', async (length) => {
    const held = new HeldBody(bytes(length))
    expect(await buffer(held.outgoing())).toEqual(bytes(length))
    expect(held.length).toBe(length)
    expect(() => held.bytes).toThrow(TypeError)
  })

  it('is there for as long as nobody reads on, and says once that it is gone', async () => {
    let gone = 0
    const held = new HeldBody(bytes(9 * PIECE)).whenGone(() => void (gone += 1))
    const outgoing = held.outgoing()
    await once(outgoing, 'readable')
    expect(gone).toBe(0)
    expect(held.bytes).toHaveLength(9 * PIECE)
    expect(await buffer(outgoing)).toEqual(bytes(9 * PIECE))
    held.letGo()
    expect(gone).toBe(1)
  })

  it('goes out in pieces of their own, none of which holds the whole', async () => {
    const whole = bytes(3 * PIECE)
    for await (const piece of new HeldBody(whole).outgoing()) expect((piece as Buffer).buffer).not.toBe(whole.buffer)
  })

  it('that was let go of goes nowhere', async () => {
    const held = new HeldBody(bytes(3))
    held.letGo()
    expect(await buffer(held.outgoing())).toHaveLength(0)
  })
})
