import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { authorizationRequest, codeChallenge } from './authorize.ts'
import { OAuthError } from './errors.ts'
import type { AuthorizationServer } from './server.ts'

const server: AuthorizationServer = {
  issuer: 'https://issuer.example',
  responseIssuer: 'checked',
  authorizationEndpoint: 'https://issuer.example/authorize?tenant=a',
  tokenEndpoint: 'https://issuer.example/token',
  tokenAuth: 'client_secret_post',
  scopeSeparator: ' ',
  authorizationParams: { prompt: 'consent' },
  tokenQuirks: [],
}
const asked = { server, clientId: 'client', redirectUri: 'https://gate.example/oauth/cb/abc', scopes: ['repo', 'user'] }

describe('an authorization request', () => {
  it('O-14 always carries an S256 challenge of its own verifier', () => {
    const request = authorizationRequest(asked)
    const parameters = new URL(request.url).searchParams
    expect(parameters.get('code_challenge_method')).toBe('S256')
    expect(parameters.get('code_challenge')).toBe(createHash('sha256').update(request.verifier.reveal()).digest('base64url'))
    expect(request.url).not.toContain(request.verifier.reveal())
  })

  it('says everything once, with the exact redirect URI', () => {
    const parameters = new URL(authorizationRequest(asked).url).searchParams
    expect([...parameters.keys()].sort()).toEqual(
      [
        'client_id',
        'code_challenge',
        'code_challenge_method',
        'prompt',
        'redirect_uri',
        'response_type',
        'scope',
        'state',
        'tenant',
      ].sort(),
    )
    expect(Object.fromEntries(parameters)).toMatchObject({
      client_id: 'client',
      prompt: 'consent',
      redirect_uri: 'https://gate.example/oauth/cb/abc',
      response_type: 'code',
      scope: 'repo user',
      tenant: 'a',
    })
  })

  it('never repeats a state or a verifier', () => {
    const requests = Array.from({ length: 200 }, () => authorizationRequest(asked))
    const texts = requests.flatMap(({ state, verifier }) => [state.reveal(), verifier.reveal()])
    expect(new Set(texts).size).toBe(400)
    expect(texts.every((text) => /^[\w-]{43}$/u.test(text))).toBe(true)
  })

  it.each([
    'state',
    'code_challenge',
    'code_challenge_method',
    'redirect_uri',
    'response_type',
    'client_id',
    'scope',
    'request',
    'request_uri',
    'response_mode',
    'State',
  ])('O-05 refuses %s from options, from the record and from the endpoint', (name) => {
    const attempts = [
      { ...asked, extra: { [name]: 'mine' } },
      { ...asked, server: { ...server, authorizationParams: { [name]: 'mine' } } },
      { ...asked, server: { ...server, authorizationEndpoint: `https://issuer.example/authorize?${name}=mine` } },
    ]
    for (const attempt of attempts) expect(() => authorizationRequest(attempt)).toThrow(OAuthError)
  })

  it('takes parameters of the provider', () => {
    expect(new URL(authorizationRequest({ ...asked, extra: { login_hint: 'a@b' } }).url).searchParams.get('login_hint')).toBe('a@b')
  })

  it('makes the challenge of RFC 7636 appendix B', () => {
    expect(codeChallenge('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
  })
})
