import { describe, expect, it } from 'vitest'
import { createDpopNonces, generateProofKey, resolveProvider, Secret, systemClock } from '@sallyport/core'
import type { DpopTokens, Injection } from '@sallyport/core'
import { routeOut } from './routes-out.ts'

const policy = { allowedPorts: [443], insecureAllowOrigins: [] }
const tokens: DpopTokens = {
  accessToken: new Secret('fake-access'),
  refreshToken: null,
  tokenType: 'dpop',
  dpopKey: generateProofKey(),
  expiresAt: null,
  scopes: [],
  extra: new Secret('{}'),
}

function route() {
  const nonces = createDpopNonces()
  return { nonces, out: routeOut(resolveProvider('github')!, policy, { nonces, clock: systemClock }) }
}

function claimsOf(injections: readonly Injection[]): Record<string, unknown> {
  const proof = injections.find(({ name }) => name === 'dpop')!.value.reveal()
  return JSON.parse(Buffer.from(proof.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
}

const CHALLENGE = { 'www-authenticate': 'DPoP error="use_dpop_nonce", algs="ES256"', 'dpop-nonce': 'n-2' }

describe('a call with a token that is bound to a key', () => {
  it('S74 carries the token as DPoP and a proof of this method and URL, without its query', () => {
    const { parts } = route().out.prove(tokens, 'GET', '/user/repos?page=2')
    expect(parts.inject[0]!.value.reveal()).toBe('DPoP fake-access')
    expect(claimsOf(parts.inject)).toMatchObject({ htm: 'GET', htu: 'https://api.github.com/user/repos' })
  })

  it('takes the nonce of a refusal, once, and remembers it for the next call', () => {
    const { out, nonces } = route()
    nonces.put('https://api.github.com', 'n-1')
    const { parts, wantedNonce } = out.prove(tokens, 'GET', '/user')
    expect(claimsOf(parts.inject)['nonce']).toBe('n-1')
    expect(claimsOf(parts.again!(401, CHALLENGE)!)['nonce']).toBe('n-2')
    expect(claimsOf(out.prove(tokens, 'GET', '/user').parts.inject)['nonce']).toBe('n-2')
    parts.again!(200, {})
    expect(wantedNonce()).toBe(false)
  })

  it('tells a refusal for want of a nonce from a refusal of the token', () => {
    const { out } = route()
    const [proof, token] = [out.prove(tokens, 'POST', '/user'), out.prove(tokens, 'POST', '/user')]
    proof.parts.again!(401, CHALLENGE)
    expect(token.parts.again!(401, { 'www-authenticate': 'DPoP error="invalid_token"', 'dpop-nonce': 'n-3' })).toBeUndefined()
    expect([proof.wantedNonce(), token.wantedNonce()]).toEqual([true, false])
  })

  it('is not made again with the nonce that was just refused, nor for another status', () => {
    const { out, nonces } = route()
    nonces.put('https://api.github.com', 'n-2')
    const { parts } = out.prove(tokens, 'GET', '/user')
    expect(parts.again!(401, CHALLENGE)).toBeUndefined()
    expect(parts.again!(403, { ...CHALLENGE, 'dpop-nonce': 'n-4' })).toBeUndefined()
  })
})
