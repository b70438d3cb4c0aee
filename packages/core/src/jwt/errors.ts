import { SallyportError } from '../kernel/index.ts'

/**
 * - `jwt_malformed`: no compact JWS, or one whose parts can't be read, or with a critical header.
 * - `jwt_algorithm`: signed in a way that is not on the list, or not signed.
 * - `jwt_type`: another kind of token.
 * - `jwt_key_unknown`: no key of the issuer's fits.
 * - `jwt_signature`: the signature is wrong.
 * - `jwt_issuer`, `jwt_audience`: by another issuer, for another audience.
 * - `jwt_expired`: past its end, or older than it may be.
 * - `jwt_claims`: a required claim is missing, malformed, or says that the token is of the future.
 * - `jwt_keys_unavailable`: the issuer's keys can't be had, and none that may still be used are remembered. Worth another try.
 */
export type JwtErrorCode =
  | 'jwt_malformed'
  | 'jwt_algorithm'
  | 'jwt_type'
  | 'jwt_key_unknown'
  | 'jwt_signature'
  | 'jwt_issuer'
  | 'jwt_audience'
  | 'jwt_expired'
  | 'jwt_claims'
  | 'jwt_keys_unavailable'

/** Never carries anything of the token. */
export class JwtError extends SallyportError<JwtErrorCode> {}
