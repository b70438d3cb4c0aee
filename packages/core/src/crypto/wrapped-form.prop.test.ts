import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseWrapped, serialiseWrapped, wrappingKeyId } from './wrapped-form.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`wrapped-form.prop seed ${seed}`)

const ids = fc.stringMatching(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/)

it('the wrapped form has one spelling: what parses serialises to the same bytes', () => {
  fc.assert(
    fc.property(ids, fc.uint8Array({ minLength: 1, maxLength: 300 }), (keyId, ciphertext) => {
      const wrapped = serialiseWrapped({ keyId, ciphertext })
      const parsed = parseWrapped(wrapped)
      expect([parsed.keyId, Buffer.from(parsed.ciphertext).equals(ciphertext), wrappingKeyId(wrapped)]).toEqual([keyId, true, keyId])
      expect(serialiseWrapped(parsed).equals(wrapped)).toBe(true)
    }),
    { seed },
  )
})
