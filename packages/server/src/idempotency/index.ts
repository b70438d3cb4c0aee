/** Creations that are asked for again. */
export { IdempotencyError } from './idempotency-error.ts'
export type { IdempotencyErrorCode } from './idempotency-error.ts'
export { createIdempotency } from './once.ts'
export type { AskedCreation, Idempotency, IdempotencyOptions } from './once.ts'
