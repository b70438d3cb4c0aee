/** The end of connections: here at once, at their providers as soon as those listen. */
export { containmentId } from './containment.ts'
export { createRevocationService } from './service.ts'
export type { Disconnected, ProviderRevocation, RevocationService, RevocationServiceOptions } from './service.ts'
export { createBulkRevocations } from './bulk.ts'
export type { BulkOptions, BulkRevocations } from './bulk.ts'
export { endConnections, queueOrphan, takeBackPending } from './ending.ts'
export type { Ended, Ending } from './ending.ts'
export type { Erasure } from './erasure.ts'
