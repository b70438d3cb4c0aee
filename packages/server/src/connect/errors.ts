/** Owns the failures of connecting an account, in public terms: each carries the one sentence that its reader needs. */
import { OAuthError, SallyportError } from '@sallyport/core'

export type ConnectErrorCode =
  | 'bad_request'
  | 'conflict'
  | 'connect_browser_mismatch'
  | 'connect_denied'
  | 'connect_exchange_failed'
  | 'connect_issuer_mismatch'
  | 'connect_session_invalid'
  | 'connect_state_invalid'
  | 'connect_user_mismatch'
  | 'cross_site_refused'
  | 'forbidden'
  | 'integration_not_configured'
  | 'not_found'
  | 'overloaded'
  | 'refresh_token_held'
  | 'return_to_refused'

const DETAIL: Readonly<Record<ConnectErrorCode, string>> = {
  bad_request: 'The form could not be read.',
  conflict: 'The connect session is not in a state that allows this.',
  connect_browser_mismatch: 'This sign-in was begun in another browser or session. Start again from the application, in this browser.',
  connect_denied: 'The provider reports that access was not given. Nothing was connected.',
  connect_exchange_failed: 'The provider did not complete the sign-in. Nothing was connected. Try again.',
  connect_issuer_mismatch: 'The answer did not come from the expected provider. Nothing was connected. Start again from the application.',
  connect_session_invalid: 'This connect link is unknown, used or expired. Ask the application for a new one.',
  connect_state_invalid: 'This answer does not belong to a sign-in that is under way. Start again from the application.',
  connect_user_mismatch: 'The account or user that came back is not the one this connect session is for. Nothing was connected.',
  cross_site_refused: 'The form was not sent from its own page. Open the connect link again.',
  forbidden: 'The code is wrong.',
  integration_not_configured:
    'The provider rejects this integration, or it names a provider that is not available here. Its owner must correct it.',
  not_found: 'There is nothing here, or nothing that this caller may see.',
  overloaded: 'Too many connect sessions are open in this environment. Complete some, or wait until they expire.',
  refresh_token_held:
    'The provider gave a refresh token that another connection holds. Nothing was connected: use that connection, or disconnect it first.',
  return_to_refused: "return_to must be an absolute URL whose origin is one of the project's return_origins.",
}

export class ConnectError extends SallyportError<ConnectErrorCode> {
  override readonly name = 'ConnectError'

  constructor(code: ConnectErrorCode, message: string, options: { readonly cause?: unknown; readonly publicDetail?: string } = {}) {
    super(code, message, { publicDetail: DETAIL[code], ...options })
  }
}

/** An OAuth failure in this folder's terms; anything else as it is. */
export function connectError(error: unknown): unknown {
  if (!(error instanceof OAuthError)) return error
  const code = error.code === 'provider_misconfigured' ? 'integration_not_configured' : error.code
  return new ConnectError(code, error.message, { cause: error })
}
