/** Traffic to model providers: their keys. */
export { createProviderKeys } from './provider-keys.ts'
export type { ProviderKeys, ProviderKeysOptions, Successor, WantedKey } from './provider-keys.ts'
export { createKeptKeys, DEFAULT_KEY_NAME } from './kept-keys.ts'
export type { KeptKeys, KeptKeysOptions, KnownKeys } from './kept-keys.ts'
