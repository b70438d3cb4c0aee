/** Whether a proof convinces: ours to others, others' to us. The published example of the standard is the first judge. */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { generateProofKey, openProofKey, proofKeyThumbprint, sha256 } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import { judgeDpopProof, makeDpopProof } from './index.ts'
import type { ExpectedProof, JudgedProof } from './index.ts'

const NOW = 1_800_000_000_000
const IAT = NOW / 1000
const URL_CALLED = 'https://gate.example/proxy/github/user'
const token = 'a-gateway-key-of-a-test'
const ath = sha256(token).toString('base64url')

/** RFC 9449 figure 12: a request to a protected resource. */
const RFC = {
  proof:
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
  token: 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU',
  thumbprint: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
  url: 'https://resource.example.org/protectedresource',
  now: 1_562_262_618_000,
}

/** A caller with a key of its own, whose proofs may differ from right ones in one thing. */
async function caller(alg = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  const thumbprint = await calculateJwkThumbprint(jwk)
  const right = { jti: 'proof-1', htm: 'GET', htu: URL_CALLED, iat: IAT, ath }
  return {
    thumbprint,
    jwk,
    privateJwk: await exportJWK(privateKey),
    prove: (claims: object = {}, header: object = {}) =>
      new SignJWT({ ...right, ...claims }).setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header }).sign(privateKey),
  }
}

function judge(proof: string, thumbprint: string, more: Partial<ExpectedProof> = {}): Promise<JudgedProof> {
  return judgeDpopProof(proof, { thumbprint, method: 'GET', url: URL_CALLED, token, now: NOW, ...more })
}

describe('a proof that a caller sends', () => {
  it('is taken in the example of RFC 9449', async () => {
    const { proof, ...expected } = RFC
    await expect(judgeDpopProof(proof, { method: 'GET', ...expected })).resolves.toEqual({ id: 'e1j3V_bKic8-LAEB', madeAt: RFC.now })
  })

  it.each(['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'])('is taken when signed by %s', async (alg) => {
    const { prove, thumbprint } = await caller(alg)
    await expect(judge(await prove(), thumbprint)).resolves.toEqual({ id: 'proof-1', madeAt: NOW })
  })

  it('is taken for the same URL in another spelling, and without its query', async () => {
    const { prove, thumbprint } = await caller()
    const htu = 'HTTPS://Gate.Example:443/proxy/./github/%75ser'
    await expect(judge(await prove({ htu }), thumbprint, { url: `${URL_CALLED}?page=2` })).resolves.toMatchObject({ id: 'proof-1' })
  })

  it('by another key is refused before its signature is looked at', async () => {
    const [own, other] = [await caller(), await caller()]
    const proof = await other.prove()
    await expect(judge(`${proof.slice(0, -4)}AAAA`, own.thumbprint)).rejects.toMatchObject({ code: 'proof_key_mismatch' })
  })

  it.each([
    ['another method', { htm: 'POST' }, 'proof_request_mismatch'],
    ['the method in another case', { htm: 'get' }, 'proof_request_mismatch'],
    ['another path', { htu: `${URL_CALLED}s` }, 'proof_request_mismatch'],
    ['another host', { htu: URL_CALLED.replace('gate', 'evil') }, 'proof_request_mismatch'],
    ['plain http', { htu: URL_CALLED.replace('https', 'http') }, 'proof_request_mismatch'],
    ['a user in the URL', { htu: URL_CALLED.replace('gate', 'user@gate') }, 'proof_request_mismatch'],
    ['no URL', { htu: 7 }, 'proof_request_mismatch'],
    ['another token', { ath: sha256('another').toString('base64url') }, 'proof_invalid'],
    ['no token', { ath: undefined }, 'proof_invalid'],
    ['no id', { jti: '' }, 'proof_invalid'],
    ['an endless id', { jti: 'x'.repeat(257) }, 'proof_invalid'],
    ['a time that is no number', { iat: String(IAT) }, 'proof_invalid'],
    ['an old time', { iat: IAT - 61 }, 'proof_expired'],
    ['a time ahead', { iat: IAT + 31 }, 'proof_expired'],
  ])('with %s is refused', async (_what, claims, code) => {
    const { prove, thumbprint } = await caller()
    await expect(judge(await prove(claims), thumbprint)).rejects.toMatchObject({ code })
  })

  it('is good to the end of its minute, and as far ahead as clocks differ', async () => {
    const { prove, thumbprint } = await caller()
    for (const iat of [IAT - 60, IAT + 30, IAT - 0.5]) await expect(judge(await prove({ iat }), thumbprint)).resolves.toBeDefined()
  })

  it.each([
    ['another type', { typ: 'JWT' }],
    ['no type', { typ: undefined }],
    ['no key', { jwk: undefined }],
    ['a key that is a text', { jwk: 'x' }],
    ['an empty key', { jwk: {} }],
  ])('with %s in its header is refused', async (_what, header) => {
    const { prove, thumbprint } = await caller()
    await expect(judge(await prove({}, header), thumbprint)).rejects.toMatchObject({ code: 'proof_invalid' })
  })

  it('that shows its private key is refused', async () => {
    const { prove, thumbprint, privateJwk } = await caller()
    await expect(judge(await prove({}, { jwk: privateJwk }), thumbprint)).rejects.toMatchObject({ code: 'proof_invalid' })
  })

  it('J-01 J-02 without a signature, or with a MAC under the public key, is refused', async () => {
    const { jwk, thumbprint } = await caller()
    const claims = part({ jti: 'a', htm: 'GET', htu: URL_CALLED, iat: IAT, ath })
    const unsigned = ['none', 'None', 'NONE'].map((alg) => `${part({ typ: 'dpop+jwt', alg, jwk })}.${claims}.`)
    const key = new TextEncoder().encode(JSON.stringify(jwk).padEnd(64))
    const mac = await new SignJWT({}).setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk }).sign(key)
    for (const proof of [...unsigned, mac]) await expect(judge(proof, thumbprint)).rejects.toMatchObject({ code: 'proof_invalid' })
  })

  it('whose signature or claims were changed is refused', async () => {
    const { prove, thumbprint } = await caller()
    const [header, claims, signature] = (await prove()).split('.') as [string, string, string]
    const changed = part({ jti: 'b', htm: 'GET', htu: URL_CALLED, iat: IAT, ath })
    for (const proof of [`${header}.${changed}.${signature}`, `${header}.${claims}.${'A'.repeat(86)}`, `${header}.${claims}.`]) {
      await expect(judge(proof, thumbprint)).rejects.toMatchObject({ code: 'proof_invalid' })
    }
  })

  it.each(['', 'x', 'a.b', 'a.b.c', 'a.b.c.d.e', '....', 'A'.repeat(5000)])('that is no signed token is refused: %.12s', async (proof) => {
    const { thumbprint } = await caller()
    await expect(judge(proof, thumbprint)).rejects.toMatchObject({ code: 'proof_invalid' })
  })

  it('must carry a nonce that is good, where one is asked for', async () => {
    const { prove, thumbprint } = await caller()
    const nonceIsGood = (nonce: string): boolean => nonce === 'good'
    for (const claims of [{}, { nonce: 'over' }, { nonce: 7 }]) {
      await expect(judge(await prove(claims), thumbprint, { nonceIsGood })).rejects.toMatchObject({ code: 'proof_nonce_required' })
    }
    await expect(judge(await prove({ nonce: 'good' }), thumbprint, { nonceIsGood })).resolves.toBeDefined()
  })

  it('is never quoted by its refusal', async () => {
    const { prove, thumbprint } = await caller()
    const proof = await prove({ htm: 'canary-3c1d', jti: 'canary-3c1d' })
    const refusal: unknown = await judge(proof, thumbprint).catch((error: unknown) => error)
    expect(JSON.stringify(refusal) + String((refusal as Error).stack)).not.toMatch(/canary|eyJ/u)
  })
})

describe('a proof of ours', () => {
  it('is one to others, names the request without its query, and is another each time', async () => {
    const text = generateProofKey()
    const key = openProofKey(text)
    const request = { method: 'POST', url: `${URL_CALLED}?a=b#c`, now: NOW + 999, accessToken: new Secret(token), nonce: 'n-1' }
    const [proof, another] = [makeDpopProof(key, request), makeDpopProof(key, request)]
    const { payload, protectedHeader } = await jwtVerify(proof, key.publicKey, { typ: 'dpop+jwt', algorithms: ['ES256'] })
    expect(payload).toMatchObject({ htm: 'POST', htu: URL_CALLED, iat: IAT, ath, nonce: 'n-1' })
    expect(protectedHeader['jwk']).toEqual(key.publicKey)
    expect(await calculateJwkThumbprint(key.publicKey)).toBe(proofKeyThumbprint(key.publicKey))
    expect(another).not.toBe(proof)
    await expect(judge(proof, proofKeyThumbprint(key.publicKey), { method: 'POST' })).resolves.toBeDefined()
  })

  it('never holds the private key', () => {
    const text = generateProofKey()
    const { d } = JSON.parse(text.reveal()) as { d: string }
    const proof = makeDpopProof(openProofKey(text), { method: 'GET', url: URL_CALLED, now: NOW })
    expect(Buffer.from(proof.split('.')[0]!, 'base64url').toString()).not.toContain(d)
  })

  it.each(['', 'null', '{}', '{"kty":"EC"}', '{"crv":"P-256","kty":"EC","x":"x","y":"y","d":"canary-9e"}'])(
    'is made with a P-256 key or not at all: %s',
    (text) => {
      const refusal = caught(() => openProofKey(new Secret(text)))
      expect(refusal).toMatchObject({ code: 'key_invalid' })
      expect(String((refusal as Error).stack)).not.toContain('canary')
    },
  )

  it('is refused a key whose point is not on the curve', () => {
    const members = { ...(JSON.parse(generateProofKey().reveal()) as Record<string, string>), x: 'A'.repeat(43) }
    expect(caught(() => openProofKey(new Secret(JSON.stringify(members))))).toMatchObject({ code: 'key_invalid' })
  })
})

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function caught(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}
