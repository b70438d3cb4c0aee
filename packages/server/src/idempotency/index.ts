/** Creations that are asked for again. */
export { IdempotencyError } from './idempotency-error.ts'
export type { IdempotencyErrorCode } from './idempotency-error.ts'
export { createIdempotency, requireSameRequest } from './once.ts'
export type { AskedCreation, CreationHashes, Idempotency, IdempotencyOptions } from './once.ts'
