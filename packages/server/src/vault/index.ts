/** Sealing and opening for tenants, under data keys that root keys wrap. */
export { createVault } from './vault.ts'
export type { SystemSecretName, Vault, VaultOptions } from './vault.ts'
export { clientSecretPlace, credentialPlace, SEALED_COLUMNS, verifierPlace } from './sealed-columns.ts'
export type { TenantPlace } from './sealed-columns.ts'
export { VaultError } from './vault-error.ts'
export type { VaultErrorCode } from './vault-error.ts'
