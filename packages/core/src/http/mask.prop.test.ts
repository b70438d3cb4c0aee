import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { SecretMask } from './mask.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`mask.prop seed ${seed}`)

/** The meaning, on the whole: every byte of every occurrence, overlapping ones too, is a star. */
function maskWhole(body: Buffer, secrets: readonly string[]): Buffer {
  const masked = Buffer.from(body)
  for (const secret of secrets) {
    for (let at = 0; at + secret.length <= body.length; at++) {
      if (body.toString('latin1', at, at + secret.length) === secret) masked.fill('*', at, at + secret.length)
    }
  }
  return masked
}

// Two letters make partial and overlapping matches the rule rather than a miracle.
const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 8, maxLength: 14 })

describe('SecretMask', () => {
  it('gives the same bytes however the body is cut', () => {
    fc.assert(
      fc.property(
        fc.array(letters, { minLength: 1, maxLength: 3 }),
        fc.array(fc.oneof(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 }), letters), { maxLength: 12 }),
        fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 20 }),
        (secrets, parts, cuts) => {
          const body = Buffer.from([...parts, secrets[0]!, ...parts].join(''))
          const mask = new SecretMask(secrets.map((secret) => new Secret(secret)))
          const out: Buffer[] = []
          let at = 0
          for (let i = 0; at < body.length; i++) {
            const next = at + (cuts[i % cuts.length]! || 1)
            mask.write(body.subarray(at, next), (piece) => out.push(piece))
            at = next
          }
          mask.flush((piece) => out.push(piece))
          expect(Buffer.concat(out).toString()).toBe(maskWhole(body, secrets).toString())
        },
      ),
      { seed, numRuns: 5_000 },
    )
  })

  it('gives as many bytes as it takes, of any value', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 20 }),
        fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 10 }),
        (_noise, chunks) => {
          const mask = new SecretMask([new Secret('fake-token-0123456789')])
          let given = 0
          for (const chunk of chunks) mask.write(Buffer.from(chunk), (piece) => (given += piece.length))
          mask.flush((piece) => (given += piece.length))
          expect(given).toBe(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
        },
      ),
      { seed, numRuns: 500 },
    )
  })
})
