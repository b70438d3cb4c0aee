import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { callbackState, judgeAnswer } from './callback.ts'
import { OAuthError } from './errors.ts'
import type { AuthorizationServer } from './server.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`callback.prop seed ${seed}`)

const state = 'S'.repeat(43)
const server: AuthorizationServer = {
  issuer: 'https://issuer.example',
  responseIssuer: 'required',
  authorizationEndpoint: 'https://issuer.example/authorize',
  tokenEndpoint: 'https://issuer.example/token',
  tokenAuth: 'client_secret_post',
  scopeSeparator: ' ',
  authorizationParams: {},
  tokenQuirks: [],
}

const name = fc.constantFrom('code', 'state', 'iss', 'error', 'error_description', 'response', 'id_token', 'token', 'scope')
const value = fc.oneof(fc.constantFrom('c', state, server.issuer, 'https://other.example', 'access_denied', ''), fc.string())
const query = fc.array(fc.tuple(name, value), { maxLength: 7 }).map((pairs) => new URLSearchParams(pairs).toString())

it('O-07 whatever is accepted has one code, one state and the right issuer, and everything else is a typed error', () => {
  fc.assert(
    fc.property(fc.oneof(query, fc.string()), (text) => {
      try {
        const parameters = judgeAnswer(server, text, callbackState(text)).parameters
        expect([parameters.getAll('code').length, parameters.getAll('state'), parameters.getAll('iss')]).toEqual([
          1,
          [state],
          [server.issuer],
        ])
      } catch (error) {
        if (!(error instanceof OAuthError)) throw error
      }
    }),
    { seed, numRuns: 5_000, examples: [[`code=c&state=${state}&iss=https%3A%2F%2Fissuer.example`]] },
  )
  expect(() => judgeAnswer(server, `code=c&state=${state}&iss=${server.issuer}`, new Secret(state))).not.toThrow()
})
