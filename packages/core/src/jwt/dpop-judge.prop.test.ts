import fc from 'fast-check'
import { expect, it } from 'vitest'
import { generateProofKey, openProofKey, proofKeyThumbprint } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import { DpopProofError, judgeDpopProof, makeDpopProof } from './index.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`dpop-judge.prop seed ${seed}`)

const NOW = 1_800_000_000_000
const url = 'https://gate.example/x'
const key = openProofKey(generateProofKey())
const thumbprint = proofKeyThumbprint(key.publicKey)
const part = (value: unknown): string => Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
const judge = (proof: string): Promise<unknown> => judgeDpopProof(proof, { thumbprint, method: 'GET', url, token: 't', now: NOW })

const odd = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>({}, [], null, '', 0, { kty: {} }, { kty: 'EC', crv: 'P-256', x: 1, y: [] }))
const header = fc.record({
  typ: fc.oneof({ weight: 4, arbitrary: fc.constant('dpop+jwt') }, odd),
  alg: fc.oneof({ weight: 4, arbitrary: fc.constantFrom('ES256', 'EdDSA', 'RS256', 'none', 'HS256') }, odd),
  jwk: fc.oneof({ weight: 3, arbitrary: fc.constant<unknown>(key.publicKey) }, odd),
})

it('no text but a proof of the key is taken, and every other is refused as one', async () => {
  const texts = fc.oneof(
    fc.string(),
    fc.tuple(header, odd, fc.base64String()).map(([head, claims, signature]) => `${part(head)}.${part(claims)}.${signature}`),
    fc.tuple(odd, odd).map(([head, claims]) => `${part(head)}.${part(claims)}.AA`),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      await expect(judge(text)).rejects.toBeInstanceOf(DpopProofError)
    }),
    { seed, numRuns: 1000 },
  )
})

it('J-02 no signed claims make the judge fail otherwise than by a refusal', async () => {
  const claims = fc.record({ jti: odd, htm: odd, htu: odd, iat: odd, ath: odd, nonce: odd }, { requiredKeys: [] })
  await fc.assert(
    fc.asyncProperty(fc.oneof(claims, odd), async (given) => {
      const input = `${part({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicKey })}.${part(given)}`
      await expect(judge(`${input}.${key.sign(input)}`)).rejects.toBeInstanceOf(DpopProofError)
    }),
    { seed, numRuns: 300 },
  )
})

it('no proof is taken with one character changed, but for those that decode to the same bytes: it is the same proof then', async () => {
  const proof = makeDpopProof(key, { method: 'GET', url, now: NOW, accessToken: new Secret('t') })
  const judged = await judge(proof)
  await fc.assert(
    fc.asyncProperty(fc.nat(proof.length - 1), fc.constantFrom(...'ABCXYZabcxyz0189-_.='.split('')), async (at, character) => {
      fc.pre(proof[at] !== character)
      const outcome: unknown = await judge(proof.slice(0, at) + character + proof.slice(at + 1)).catch((error: unknown) => error)
      if (!(outcome instanceof DpopProofError)) expect(outcome).toEqual(judged)
    }),
    { seed, numRuns: 300, examples: ['A', 'B', 'Q', 'w'].map((character) => [proof.length - 1, character] as [number, string]) },
  )
})
