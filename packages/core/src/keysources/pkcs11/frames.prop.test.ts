import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frameOf, FrameReader } from './frames.ts'
import type { FrameKind } from './frames.ts'

const kinds = fc.constantFrom<FrameKind[]>(
  'open',
  'encrypt',
  'decrypt',
  'close',
  'done',
  'unavailable',
  'refused',
  'pin_refused',
  'decrypt_failed',
)
const frames = fc.array(fc.record({ kind: kinds, parts: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }) }), { maxLength: 5 })

describe('what is said to a device process', () => {
  it('arrives as it was said, however it is cut up on the way, and leaves no bytes behind', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (said, cuts) => {
        const bytes = Buffer.concat(said.map(({ kind, parts }) => frameOf(kind, ...parts)))
        const reader = new FrameReader()
        const heard = []
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const chunk = bytes.subarray(at, at + cuts[turn % cuts.length]!)
          heard.push(...reader.read(chunk))
          expect(chunk.every((byte) => byte === 0)).toBe(true)
          at += chunk.length
        }
        expect(heard).toEqual(said.map(({ kind, parts }) => ({ kind, parts: parts.map((part) => Buffer.from(part)) })))
      }),
    )
  })

  it('is a frame or an error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          new FrameReader().read(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
    )
  })

  it('is never longer than 64 KiB', () => {
    expect(() => frameOf('encrypt', Buffer.alloc(65_536))).toThrow(RangeError)
    expect(() => new FrameReader().read(Buffer.from('7fffffff', 'hex'))).toThrow(RangeError)
  })
})
