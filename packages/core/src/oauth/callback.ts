/**
 * Owns the judgement of what a browser brought back (RFC 6749 section 4.1.2, RFC 9207, RFC 9700 section 4.4). Refuses any parameter given
 * twice, answers of other flows, and answers of other servers, before a code is looked at.
 */
import { validateAuthResponse } from 'oauth4webapi'
import { Secret } from '../kernel/index.ts'
import { oauthFailure, providerFailure } from './errors.ts'
import type { AuthorizationServer } from './server.ts'

/** A query longer than this is nobody's answer. Characters. */
const MAX_QUERY = 8192
const STATE = /^[\w-]{43}$/u

/** A judged answer: it carries a code, and the library's mark that it was judged. Opaque to everything but the exchange. */
export interface AuthorizationAnswer {
  readonly parameters: URLSearchParams
}

/**
 * The one `state` of a callback's raw query (without `?`), in the form we make them. What can't be a state of ours needs no look-up.
 * @throws OAuthError `connect_state_invalid`
 */
export function callbackState(query: string): Secret {
  const [state, ...others] = query.length > MAX_QUERY ? [] : new URLSearchParams(query).getAll('state')
  if (state === undefined || others.length > 0 || !STATE.test(state)) {
    throw oauthFailure('connect_state_invalid', 'the callback has no single well-formed state')
  }
  return new Secret(state)
}

/**
 * Judges the rest, in this order: repeated parameters, the issuer, the provider's `error`, the code. Call it after the state was consumed:
 * whatever is wrong here, the state is spent.
 * @throws OAuthError `connect_state_invalid`, `connect_issuer_mismatch`, or what the provider's `error` means.
 */
export function judgeAnswer(server: AuthorizationServer, query: string, state: Secret): AuthorizationAnswer {
  const parameters = new URLSearchParams(query)
  refuseRepeated(parameters)
  judgeIssuer(server, parameters.get('iss'))
  const error = parameters.get('error')
  if (error !== null) throw providerFailure(error)
  const code = parameters.get('code') ?? ''
  if (code === '' || code.length > 4096) throw oauthFailure('connect_state_invalid', 'the callback has neither a code nor an error')
  return { parameters: judgedByLibrary(server, parameters, state) }
}

function refuseRepeated(parameters: URLSearchParams): void {
  const names = [...parameters.keys()]
  if (new Set(names).size === names.length) return
  // A repeated `iss` is a mix-up attempt until proven otherwise (battery O-07); any other repetition is a malformed answer.
  const code = parameters.getAll('iss').length > 1 ? 'connect_issuer_mismatch' : 'connect_state_invalid'
  throw oauthFailure(code, 'the callback repeats a parameter')
}

function judgeIssuer(server: AuthorizationServer, iss: string | null): void {
  if (iss === null && server.responseIssuer === 'checked') return
  if (iss === server.issuer) return
  throw oauthFailure('connect_issuer_mismatch', iss === null ? 'the callback names no issuer' : 'the callback names another issuer')
}

/** The library marks the parameters it accepts, and exchanges no others. Its errors quote parameters, so they stay behind. */
function judgedByLibrary(server: AuthorizationServer, parameters: URLSearchParams, state: Secret): URLSearchParams {
  const metadata = { issuer: server.issuer, authorization_response_iss_parameter_supported: server.responseIssuer === 'required' }
  try {
    return validateAuthResponse(metadata, { client_id: 'judged-without-client' }, parameters, state.reveal())
  } catch {
    throw oauthFailure('connect_state_invalid', 'the callback is not an answer of the code flow')
  }
}
