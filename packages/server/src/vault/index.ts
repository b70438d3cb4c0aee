/** Sealing and opening for tenants, under data keys that root keys wrap. */
export { createVault } from './vault.ts'
export type { SystemSecretName, Vault, VaultOptions } from './vault.ts'
export {
  clientSecretPlace,
  credentialPlace,
  eventSecretPlace,
  idempotentAnswerPlace,
  providerKeyPlace,
  storedContentPlace,
  refreshAnswerPlace,
  revocationPlace,
  SEALED_COLUMNS,
  spilledAnswerPlace,
  verifierPlace,
} from './sealed-columns.ts'
export type { TenantPlace } from './sealed-columns.ts'
export { createKeeper } from './keeper.ts'
export type { ContainmentReport, CountedDataKey, FullRotationReport, Keeper, KeeperOptions, RenewReport } from './keeper.ts'
export type { RewrapReport, RootRotationReport } from './root-rotation.ts'
export type { SweepReport } from './sweep.ts'
export type { KeyFault, KeyVerification } from './verification.ts'
export { isLost, VaultError } from './vault-error.ts'
export type { VaultErrorCode } from './vault-error.ts'
export { createPersonal } from './personal.ts'
export type { Personal, PersonalOptions } from './personal.ts'
export { shredIn } from './shredding.ts'
export type { Losses } from './shredding.ts'
