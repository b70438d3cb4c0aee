import { SallyportError } from '../kernel/index.ts'

/**
 * - `credential_malformed`: what was sealed as a credential does not read as one (never a caller's fault).
 * - `store_unavailable`: the token store can't be reached or doesn't answer in time; whether a write happened is unknown.
 * - `store_misconfigured`: the store's address or options are refused; `message` says which, and quotes nothing of them.
 */
export type TokenErrorCode = 'credential_malformed' | 'store_unavailable' | 'store_misconfigured'

/** A failure of a token store or a lease. */
export class TokenError extends SallyportError<TokenErrorCode> {}
