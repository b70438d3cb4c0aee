/** Traffic to model providers: their keys. */
export { createProviderKeys } from './provider-keys.ts'
export type { ProviderKeys, ProviderKeysOptions, Successor, WantedKey } from './provider-keys.ts'
