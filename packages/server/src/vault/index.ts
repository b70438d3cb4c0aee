/** Sealing and opening for tenants, under data keys that root keys wrap. */
export { createVault } from './vault.ts'
export type { SystemSecretName, TenantPlace, Vault, VaultOptions } from './vault.ts'
export { VaultError } from './vault-error.ts'
export type { VaultErrorCode } from './vault-error.ts'
