import { describe, expect, it } from 'vitest'
import { hasCode, Secret } from '../kernel/index.ts'
import { callbackState, judgeAnswer } from './callback.ts'
import type { AuthorizationServer } from './server.ts'

const state = 'S'.repeat(43)
const checked: AuthorizationServer = {
  issuer: 'https://issuer.example',
  responseIssuer: 'checked',
  authorizationEndpoint: 'https://issuer.example/authorize',
  tokenEndpoint: 'https://issuer.example/token',
  tokenAuth: 'client_secret_post',
  scopeSeparator: ' ',
  authorizationParams: {},
  tokenQuirks: [],
}
const required: AuthorizationServer = { ...checked, responseIssuer: 'required' }
const right = 'iss=https%3A%2F%2Fissuer.example'

describe('the state of a callback', () => {
  it('is read when there is exactly one of our form', () => {
    expect(callbackState(`code=c&state=${state}`).reveal()).toBe(state)
  })

  it.each([
    '',
    'code=c',
    'state=',
    'state=short',
    `state=${state}x`,
    `state=${state}&state=${state}`,
    `state=${state.slice(1)}%0A`,
    `a=${'x'.repeat(9000)}&state=${state}`,
  ])('O-01 is refused without a look-up: %#', (query) => {
    expect(codeOf(() => callbackState(query))).toBe('connect_state_invalid')
  })
})

describe('an authorization answer', () => {
  it('with one code, one state and the right issuer is taken', () => {
    expect(judgeAnswer(required, `code=c&state=${state}&${right}`, new Secret(state)).parameters.get('code')).toBe('c')
  })

  it.each([
    ['O-07 without the advertised issuer', required, `code=c&state=${state}`, 'connect_issuer_mismatch'],
    ['O-07 with another issuer', required, `code=c&state=${state}&iss=https%3A%2F%2Fother.example`, 'connect_issuer_mismatch'],
    ['O-07 with the issuer twice', required, `code=c&state=${state}&${right}&${right}`, 'connect_issuer_mismatch'],
    ['O-07 with a trailing slash on the issuer', required, `code=c&state=${state}&${right}%2F`, 'connect_issuer_mismatch'],
    ['O-07 with an empty issuer', required, `code=c&state=${state}&iss=`, 'connect_issuer_mismatch'],
    [
      'O-07 with another issuer where none is advertised',
      checked,
      `code=c&state=${state}&iss=https%3A%2F%2Fother.example`,
      'connect_issuer_mismatch',
    ],
    [
      'O-07 with an error of another issuer',
      required,
      `error=access_denied&state=${state}&iss=https%3A%2F%2Fother.example`,
      'connect_issuer_mismatch',
    ],
    ['with two codes', checked, `code=c&code=d&state=${state}`, 'connect_state_invalid'],
    ['with neither code nor error', checked, `state=${state}`, 'connect_state_invalid'],
    ['with an empty code', checked, `code=&state=${state}`, 'connect_state_invalid'],
    ['with a code beyond any size', checked, `code=${'c'.repeat(4097)}&state=${state}`, 'connect_state_invalid'],
    ['O-01 with another state than was consumed', checked, `code=c&state=${'T'.repeat(43)}`, 'connect_state_invalid'],
    ['of the implicit flow', checked, `code=c&id_token=x&state=${state}`, 'connect_state_invalid'],
    ['O-20 that was denied', checked, `error=access_denied&error_description=%3Cscript%3E&state=${state}`, 'connect_denied'],
    ['that is an error beside a code', checked, `error=access_denied&code=c&state=${state}`, 'connect_denied'],
    ['that says the request was wrong', checked, `error=invalid_scope&state=${state}`, 'provider_misconfigured'],
    ['with an error nobody knows', checked, `error=%3Cb%3Eboom&state=${state}`, 'connect_exchange_failed'],
    ['with an error named like a property', checked, `error=__proto__&state=${state}`, 'connect_exchange_failed'],
  ])('is refused %s', (_what, server, query, code) => {
    expect(codeOf(() => judgeAnswer(server, query, new Secret(state)))).toBe(code)
  })

  it('O-20 carries nothing of what the provider wrote', () => {
    const failure = thrownBy(() =>
      judgeAnswer(checked, `error=%3Cb%3Eboom&error_description=%3Cscript%3E&state=${state}`, new Secret(state)),
    )
    const { message, publicDetail, providerError } = failure as { message: string; publicDetail: string; providerError: unknown }
    expect(message + publicDetail).not.toMatch(/<|boom|script/u)
    expect(providerError).toBeUndefined()
  })

  it('without an issuer is taken where none is advertised', () => {
    expect(judgeAnswer(checked, `code=c&state=${state}&scope=a%20b`, new Secret(state)).parameters.get('code')).toBe('c')
  })
})

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

function codeOf(work: () => unknown): string | undefined {
  const failure = thrownBy(work)
  const codes = ['connect_state_invalid', 'connect_issuer_mismatch', 'connect_denied', 'connect_exchange_failed', 'provider_misconfigured']
  return codes.find((code) => hasCode(failure, code))
}
