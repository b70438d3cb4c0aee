/** Where credentials are kept when no gateway keeps them, and who may refresh one now. */
export * from './memory/index.ts'
export * from './postgres/index.ts'
export * from './redis/index.ts'
export { RenewedLeases } from './leases/renewed-leases.ts'
export type { LeaseRows, RenewedLeaseOptions } from './leases/renewed-leases.ts'
export { readEncryption, TOKEN_CIPHER, UNNAMED_KEY_ID } from './encryption.ts'
export type { EncryptionConfig, KeyText } from './encryption.ts'
export type { Rewrappable, SealedCredentialStore } from './sealed-store.ts'
