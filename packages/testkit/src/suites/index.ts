/** One suite per port. Every implementation runs it; the tests that do are its users. */
export { keySourceSuite } from './key-source.ts'
export type { SourceUnderTest } from './key-source.ts'
export { keyWrapperSuite } from './key-wrapper.ts'
export type { WrapperUnderTest } from './key-wrapper.ts'
export { credentialStoreSuite, someTokens } from './credential-store.ts'
export type { StoreUnderTest, StoreWays } from './credential-store.ts'
export { leaseKeeperSuite } from './lease-keeper.ts'
export type { LeasesUnderTest } from './lease-keeper.ts'
