import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { SecretMask } from './mask.ts'

function run(secrets: string[], chunks: (string | Buffer)[]): { text: string; pieces: Buffer[] } {
  const mask = new SecretMask(secrets.map((secret) => new Secret(secret)))
  const pieces: Buffer[] = []
  for (const chunk of chunks) mask.write(Buffer.from(chunk), (piece) => pieces.push(piece))
  mask.flush((piece) => pieces.push(piece))
  return { text: Buffer.concat(pieces).toString(), pieces }
}

describe('SecretMask', () => {
  it('hides a secret cut at every place', () => {
    const secret = 'fake-token-0123456789'
    for (let cut = 0; cut <= secret.length; cut++) {
      expect(run([secret], [`a ${secret.slice(0, cut)}`, `${secret.slice(cut)} b`]).text).toBe(`a ${'*'.repeat(secret.length)} b`)
    }
  })

  it('hides a secret that arrives byte by byte', () => {
    const secret = 'fake-token-0123456789'
    expect(run([secret], `x${secret}y${secret}`.split('')).text).toBe(`x${'*'.repeat(21)}y${'*'.repeat(21)}`)
  })

  it('hides overlapping occurrences and secrets inside secrets wholly', () => {
    expect(run(['abababab'], ['ababab', 'ababab']).text).toBe('*'.repeat(12))
    expect(run(['0123456789', 'xx0123456789yy'], ['xx01234', '56789yy 0123456789']).text).toBe(`${'*'.repeat(14)} ${'*'.repeat(10)}`)
    expect(run(['xx0123456789yy', '0123456789'], ['xx0123456789', 'zz']).text).toBe(`xx${'*'.repeat(10)}zz`)
  })

  it('passes a chunk without a match on uncopied, all of it at once', () => {
    const mask = new SecretMask([new Secret('fake-token-0123456789')])
    const chunk = Buffer.from('data: nothing here\n\n')
    const pieces: Buffer[] = []
    mask.write(chunk, (piece) => pieces.push(piece))
    expect(pieces.length).toBe(1)
    expect(pieces[0]!.buffer === chunk.buffer && pieces[0]!.byteOffset === chunk.byteOffset && pieces[0]!.length === chunk.length).toBe(
      true,
    )
  })

  it('holds back only the tail that may still become a secret', () => {
    const mask = new SecretMask([new Secret('fake-token-0123456789')])
    const seen: string[] = []
    mask.write(Buffer.from('some text fake-tok'), (piece) => seen.push(piece.toString()))
    expect(seen).toEqual(['some text '])
    mask.write(Buffer.from('yo'), (piece) => seen.push(piece.toString()))
    expect(seen.join('')).toBe('some text fake-tokyo')
  })

  it('never changes the source of a chunk', () => {
    const chunk = Buffer.from('fake-token-0123456789')
    run(['fake-token-0123456789'], [chunk])
    expect(chunk.toString()).toBe('fake-token-0123456789')
  })

  it('masks texts apart from the stream', () => {
    const mask = new SecretMask([new Secret('fake-token-0123456789')])
    expect(mask.text('Bearer fake-token-0123456789, fake-token-0123456789')).toBe(`Bearer ${'*'.repeat(21)}, ${'*'.repeat(21)}`)
    expect(mask.text('caf\u00e9')).toBe('caf\u00e9')
  })

  it('L-02 hides a secret with letters beyond ASCII as UTF-8 and as the Latin-1 in which a header sends it', () => {
    const secret = 'fake-t\u00f6ken-0123456789'
    const mask = new SecretMask([new Secret(secret)])
    for (const bytes of [Buffer.from(secret), Buffer.from(secret, 'latin1')]) {
      const pieces: Buffer[] = []
      for (const half of [bytes.subarray(0, 9), bytes.subarray(9)]) mask.write(half, (piece) => pieces.push(piece))
      mask.flush((piece) => pieces.push(piece))
      expect(Buffer.concat(pieces).toString('latin1')).toBe('*'.repeat(bytes.length))
      expect(mask.text(bytes.toString('latin1'))).toBe('*'.repeat(bytes.length))
    }
  })

  it('is idle without a secret long enough to be told from chance', () => {
    expect(new SecretMask([]).idle).toBe(true)
    expect(new SecretMask([new Secret(''), new Secret('short')]).idle).toBe(true)
    expect(run(['short'], ['a short text']).text).toBe('a short text')
  })
})
