/** Owns the failures of an authorization and the reading of a provider's `error`. Refuses to carry a provider's own text. */
import { SallyportError } from '../kernel/index.ts'
import type { SallyportErrorOptions } from '../kernel/index.ts'

/**
 * - `connect_state_invalid`: the callback is not the one answer to a request of ours (missing or repeated parameters, wrong state).
 * - `connect_issuer_mismatch`: the answer names another authorization server, or none where one must be named (RFC 9207).
 * - `connect_denied`: the person, or the provider on their behalf, said no.
 * - `connect_exchange_failed`: the provider gave no usable token, or did not say whose it is.
 * - `provider_misconfigured`: the provider rejects our client or our request; someone must correct the integration.
 */
export type OAuthErrorCode =
  | 'connect_state_invalid'
  | 'connect_issuer_mismatch'
  | 'connect_denied'
  | 'connect_exchange_failed'
  | 'provider_misconfigured'

/** A failure of an authorization, with the one sentence that its reader needs. */
export class OAuthError extends SallyportError<OAuthErrorCode> {
  /** The provider's `error`, when it is one that standards name; never its description. */
  readonly providerError: string | undefined

  constructor(
    code: OAuthErrorCode,
    message: string,
    options: SallyportErrorOptions & { readonly providerError?: string | undefined } = {},
  ) {
    super(code, message, options)
    this.providerError = options.providerError
  }
}

/** What each known `error` means here. RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core 3.1.2.6, and words of GitHub's and Microsoft's own. */
const MEANING: Readonly<Record<string, OAuthErrorCode>> = {
  access_denied: 'connect_denied',
  consent_required: 'connect_denied',
  interaction_required: 'connect_denied',
  login_required: 'connect_denied',
  account_selection_required: 'connect_denied',
  authorization_declined: 'connect_denied',
  invalid_client: 'provider_misconfigured',
  unauthorized_client: 'provider_misconfigured',
  unsupported_response_type: 'provider_misconfigured',
  unsupported_grant_type: 'provider_misconfigured',
  invalid_scope: 'provider_misconfigured',
  redirect_uri_mismatch: 'provider_misconfigured',
  incorrect_client_credentials: 'provider_misconfigured',
  application_suspended: 'provider_misconfigured',
  device_flow_disabled: 'provider_misconfigured',
  invalid_resource: 'provider_misconfigured',
  invalid_request: 'connect_exchange_failed',
  invalid_grant: 'connect_exchange_failed',
  bad_verification_code: 'connect_exchange_failed',
  incorrect_device_code: 'connect_exchange_failed',
  server_error: 'connect_exchange_failed',
  temporarily_unavailable: 'connect_exchange_failed',
}

const DETAIL: Readonly<Record<OAuthErrorCode, string>> = {
  connect_state_invalid: 'This answer does not belong to a sign-in that is under way. Start again from the application.',
  connect_issuer_mismatch: 'The answer did not come from the expected provider. Nothing was exchanged. Start again from the application.',
  connect_denied: 'The provider reports that access was not given. Nothing was connected.',
  connect_exchange_failed: 'The provider did not complete the sign-in. Nothing was connected. Try again.',
  provider_misconfigured: 'The provider rejects this integration. Its client id, secret, scopes or redirect URI must be corrected.',
}

/** The error for a provider's `error` value, from the authorization answer or from the token endpoint. Unknown values are not repeated. */
export function providerFailure(error: unknown): OAuthError {
  const known = typeof error === 'string' && Object.hasOwn(MEANING, error) ? error : undefined
  const code = known === undefined ? 'connect_exchange_failed' : MEANING[known]!
  return oauthFailure(code, `the provider answered ${known ?? 'an error that no standard names'}`, { providerError: known })
}

/** An error with the sentence that its code always shows. */
export function oauthFailure(
  code: OAuthErrorCode,
  message: string,
  options: { readonly cause?: unknown; readonly providerError?: string | undefined } = {},
): OAuthError {
  return new OAuthError(code, message, { ...options, publicDetail: DETAIL[code] })
}
