/** From where and by whom a gateway key may be used: addresses, DPoP proofs, client certificates. */
export { BindingError } from './binding-error.ts'
export type { BindingErrorCode } from './binding-error.ts'
export { createKeyGuard } from './key-guard.ts'
export type { KeyGuard, KeyGuardOptions, Presented } from './key-guard.ts'
export { createNonces } from './nonces.ts'
export type { CertificateHeader } from './client-certificate.ts'
export type { Nonces } from './nonces.ts'
