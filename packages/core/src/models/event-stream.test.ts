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

  it('refuses what holds other lines than those of events, after a hundred of them and at once', () => {
    const refused = expect.objectContaining({ code: 'event_malformed' })
    for (const line of ['a\n', '{"error":"no stream"}\n', 'retry: soon\n', '<p>\r\n', 'a\n\n']) {
      const stream = eventStream()
      let taken = 0
      expect(() => {
        for (; taken < 1_000; taken++) stream.push(bytes(line))
      }).toThrow(refused)
      expect(taken).toBe(100)
      expect(() => stream.push(bytes('data: x\n\n'))).toThrow(refused)
      expect(() => eventStream().push(bytes(line.repeat(32 * 1024)))).toThrow(refused)
    }
  })

  it('takes a field of a peer’s own in each event, for as long as the stream is', () => {
    const stream = eventStream()
    for (let events = 0; events < 1_000; events++) expect(stream.push(bytes('at: 7\ndata: x\n\n'))).toHaveLength(1)
    const two = eventStream()
    expect(() => {
      for (let events = 0; events < 1_000; events++) two.push(bytes('at: 7\nin: 8\ndata: x\n\n'))
    }).toThrow(expect.objectContaining({ code: 'event_malformed' }))
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
