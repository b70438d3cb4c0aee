import { describe, expect, it } from 'vitest'
import { eventStream } from './event-stream.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('eventStream', () => {
  it('keeps an event that was cut off to itself', () => {
    const stream = eventStream()
    expect(stream.push(bytes('data: whole\n\ndata: cut'))).toEqual([{ event: undefined, data: 'whole' }])
    expect(stream.push(bytes(' off\n'))).toEqual([])
  })

  it('passes over comments, fields it does not know and events without data', () => {
    expect(eventStream().push(bytes(': keepalive\n\nretry: soon\nid: 7\nextra: 1\nevent: empty\n\ndata: x\n\n'))).toEqual([
      { event: undefined, data: 'x' },
    ])
  })

  it.each([
    ['a line that never ends', ['data: ', ...Array.from({ length: 40 }, () => 'abcdefgh')]],
    ['lines without end', ['event: x\n', ...Array.from({ length: 40 }, () => 'data: abcdefgh\n')]],
    ['one piece', [`data: ${'x'.repeat(101)}\n\n`]],
  ])('refuses an event above its limit in %s, and all that follows', (_what, pieces) => {
    const stream = eventStream({ maxEventChars: 100 })
    const refused = expect.objectContaining({ code: 'event_too_large' })
    expect(() => pieces.forEach((piece) => stream.push(bytes(piece)))).toThrow(refused)
    expect(() => stream.push(bytes('\n\ndata: x\n\n'))).toThrow(refused)
  })

  it('takes an event of just its limit, however it is cut', () => {
    for (const size of [1, 7, 300]) {
      const stream = eventStream({ maxEventChars: 100 })
      const body = bytes(`data: ${'x'.repeat(100)}\n\n`)
      const found = []
      for (let at = 0; at < body.length; at += size) found.push(...stream.push(body.subarray(at, at + size)))
      expect(found).toEqual([{ event: undefined, data: 'x'.repeat(100) }])
    }
  })
})
