/** Signed tokens of others: verified, never made. The only folder that knows the library behind it. */
export { createKeySets } from './key-sets.ts'
export type { FindVerificationKey, KeySetOptions, KeySets, KeySetTimes } from './key-sets.ts'
export { JwtError } from './errors.ts'
export type { JwtErrorCode } from './errors.ts'
export { verifyJwt } from './verify.ts'
export type { JwtAlgorithm, JwtPolicy, VerifiedJwt } from './verify.ts'
