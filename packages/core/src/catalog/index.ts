/** Providers as data. */
export { checkedRecord, listProviders, resolveProvider } from './catalog.ts'
export type { ProviderOverlay } from './catalog.ts'
export * from './errors.ts'
export type { Provider } from './schema.ts'
