import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Multipart } from './multipart.ts'

const BOUNDARY = '----a-boundary'
/** Bytes that look like what ends a part come up often. */
const content = fc
  .array(fc.oneof(fc.constantFrom('\r\n', '--', '\r\n--', '\r\n------a-boundar', '\r\n\r\n'), fc.string({ maxLength: 30 })))
  .map((texts) => Buffer.from(texts.join('')))

function bodyOf(file: Buffer, field: string): Buffer {
  return Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x.bin"\r\nContent-Type: audio/wav\r\n\r\n`),
    file,
    Buffer.from(`\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n${field}\r\n--${BOUNDARY}--\r\n`),
  ])
}

function read(body: Buffer, size: number): Multipart {
  const reader = new Multipart(`multipart/form-data; boundary=${BOUNDARY}`)
  for (let at = 0; at < body.length; at += size) reader.write(body.subarray(at, at + size))
  return reader
}

describe('an upload', () => {
  it('has the same parts however it is cut into chunks', () => {
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 200 }), (file, size) => {
        fc.pre(!file.includes(`\r\n--${BOUNDARY}`))
        const sha256 = createHash('sha256').update(file).digest('hex')
        expect(read(bodyOf(file, 'batch'), size).end()).toMatchObject([
          { name: 'file', filename: 'x.bin', bytes: file.length, sha256, text: '' },
          { name: 'purpose', bytes: 5, text: 'batch' },
        ])
      }),
      { numRuns: 300 },
    )
  })

  it('without its end is none', () => {
    expect(() => read(bodyOf(Buffer.from('x'), 'batch').subarray(0, -6), 10).end()).toThrow('without an end')
    expect(() => new Multipart('multipart/form-data')).toThrow('without a boundary')
  })
})
