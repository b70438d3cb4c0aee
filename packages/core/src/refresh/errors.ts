/** Owns the failures a caller of `fresh` may meet, and the next step that each names. Refuses a provider's own words. */
import { SallyportError } from '../kernel/index.ts'
import type { RefreshTrouble } from '../tokens/index.ts'

/**
 * - `reconnect_required`: the grant is over (`trouble` says how); the person must connect again.
 * - `client_misconfigured`: the provider rejects our client; someone must correct the integration.
 * - `provider_unavailable`: the provider was not reached or failed, and nothing was spent.
 * - `provider_rate_limited`: the provider told us to wait.
 * - `provider_answer_malformed`: the provider's answer could not be read.
 * - `refresh_outcome_unknown`: a call was made, and what became of it is being found out.
 * - `refresh_pending`: a refresh is under way, and the caller's patience ended first.
 * - `credential_absent`: there is no such credential.
 * A store that can't be asked is TokenError `store_unavailable`.
 */
export type RefreshErrorCode =
  | 'reconnect_required'
  | 'client_misconfigured'
  | 'provider_unavailable'
  | 'provider_rate_limited'
  | 'provider_answer_malformed'
  | 'refresh_outcome_unknown'
  | 'refresh_pending'
  | 'credential_absent'

/** Why there is no fresh token. What can be used meanwhile was given instead, so this is the end of what can be had now. */
export class RefreshError extends SallyportError<RefreshErrorCode> {
  /** What is wrong with the credential; null when nothing is known to be. */
  readonly trouble: RefreshTrouble | null
  /** When asking again makes sense; null when it never does by itself, or nobody knows. */
  readonly retryAfterMs: number | null

  constructor(code: RefreshErrorCode, trouble: RefreshTrouble | null = null, retryAfterMs: number | null = null) {
    super(code, trouble === null ? code : `${code} (${trouble})`, { publicDetail: DETAIL[code] })
    this.trouble = trouble
    this.retryAfterMs = retryAfterMs === null ? null : Math.max(0, Math.ceil(retryAfterMs))
  }
}

const DETAIL: Readonly<Record<RefreshErrorCode, string>> = {
  reconnect_required: 'The provider no longer accepts this connection. The account must be connected again.',
  client_misconfigured:
    'The provider rejects this integration. Its client id or secret must be corrected; the connection then works again by itself.',
  provider_unavailable: 'The provider can not renew the credential now. Try again later; nothing was lost.',
  provider_rate_limited: 'The provider limits how often credentials are renewed. Try again later.',
  provider_answer_malformed: 'The provider gave an answer that can not be read as a credential. It will be asked again.',
  refresh_outcome_unknown: 'The renewal of the credential was interrupted. What became of it is being found out; try again later.',
  refresh_pending: 'The credential is being renewed. Try again in a moment.',
  credential_absent: 'There is no such credential.',
}

/** What a caller whose token has died of a trouble is told. */
export const TROUBLE_CODES = {
  revoked: 'reconnect_required',
  grant_expired: 'reconnect_required',
  no_refresh_token: 'reconnect_required',
  token_lost: 'reconnect_required',
  client_misconfigured: 'client_misconfigured',
  provider_down: 'provider_unavailable',
  rate_limited: 'provider_rate_limited',
  malformed: 'provider_answer_malformed',
  outcome_unknown: 'refresh_outcome_unknown',
} as const satisfies Readonly<Record<RefreshTrouble, RefreshErrorCode>>

/** The failure that a trouble means for a caller whose token has died. */
export function failureOf(trouble: RefreshTrouble, retryAfterMs: number | null): RefreshError {
  return new RefreshError(TROUBLE_CODES[trouble], trouble, TROUBLE_CODES[trouble] === 'reconnect_required' ? null : retryAfterMs)
}

/** The failure of a grant that is over. */
export function overFailure(trouble: RefreshTrouble | null): RefreshError {
  return new RefreshError('reconnect_required', trouble)
}
