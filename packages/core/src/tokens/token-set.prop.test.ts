import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { hasCode, Secret } from '../kernel/index.ts'
import { readTokenSet } from './token-set.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`token-set.prop seed ${seed}`)

/** The sealed form, said once more in another way: what this takes is read, and nothing else. */
const sealedForm = z.strictObject({
  v: z.literal(1),
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).nullable(),
  token_type: z.literal('bearer'),
  expires_at: z.int().nullable(),
  scopes: z.array(z.string()),
  extra: z.record(z.string(), z.unknown()),
})

const name = fc.constantFrom('v', 'access_token', 'extra', 'scopes', '__proto__', 'constructor', 'toString', 'length', 'id_token')
const extra = fc.dictionary(fc.oneof(name, fc.string()), fc.jsonValue())
const right = {
  v: fc.constant(1),
  access_token: fc.string({ minLength: 1 }),
  refresh_token: fc.option(fc.string({ minLength: 1 })),
  token_type: fc.constant('bearer'),
  expires_at: fc.option(fc.integer()),
  scopes: fc.array(fc.string()),
  extra,
}
const member = fc.constantFrom(...Object.keys(right))
const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(0, 1, 1.5, 2 ** 53, -(2 ** 53), 1e300, -0, '', '1', 'bearer', 'Bearer', null, true, [], [''], [null], [[]], {}),
)

/** Texts of the right form, with members changed, missing and added. JSON alone can spell a member named __proto__. */
const texts = fc
  .tuple(
    fc.record(right),
    fc.array(fc.tuple(member, odd), { maxLength: 2 }),
    fc.array(member, { maxLength: 1 }),
    fc.array(fc.tuple(name, odd), { maxLength: 1 }),
  )
  .chain(([form, changes, missing, added]) => {
    const members = new Map<string, unknown>([...Object.entries(form), ...changes, ...added])
    const untouched = fc.constant(Object.entries(form))
    const touched = fc.shuffledSubarray(
      [...members].filter(([key]) => !missing.includes(key)),
      {
        minLength: [...members].filter(([key]) => !missing.includes(key)).length,
      },
    )
    return fc.oneof(untouched, touched)
  })
  .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`)

it('a sealed text is read exactly when its form is the known one, and as what it says', () => {
  let read = 0
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: texts }, { weight: 1, arbitrary: fc.json() }), (text) => {
      const form = sealedForm.safeParse(JSON.parse(text))
      if (!form.success) {
        expect(() => readTokenSet(new Secret(text))).toThrow(expect.toSatisfy((error) => hasCode(error, 'credential_malformed')) as Error)
        return
      }
      read += 1
      const tokens = readTokenSet(new Secret(text))
      expect({
        v: 1,
        access_token: tokens.accessToken.reveal(),
        refresh_token: tokens.refreshToken?.reveal() ?? null,
        token_type: tokens.tokenType,
        expires_at: tokens.expiresAt,
        scopes: tokens.scopes,
        extra: JSON.parse(tokens.extra.reveal()) as unknown,
      }).toEqual(form.data)
      expect(tokens.extra.reveal()).toBe(JSON.stringify(form.data.extra))
    }),
    { seed, numRuns: 2000 },
  )
  expect(read).toBeGreaterThan(200)
})
