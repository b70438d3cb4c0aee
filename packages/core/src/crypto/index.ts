/**
 * Ciphers, hashes and randomness: the only folder that reaches for them. What decides a nonce (`sealWith`) and what takes an
 * envelope apart stay inside.
 */
export { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
export type { KeyObject } from 'node:crypto'
export * from './errors.ts'
export * from './random.ts'
export { derivedHmacKey } from './derived-key.ts'
export * from './digest.ts'
export * from './ed25519.ts'
export { EXAMPLE_KEY_HEX } from './weakness.ts'
export { generateKeyBytes, sealingKey } from './sealing-key.ts'
export type { SealingKey } from './sealing-key.ts'
export { envelopeKeyId, open, openBytes, openHeld, placeFrame, reseal, seal } from './envelope.ts'
export type { FindKey, SealPlace } from './envelope.ts'
export * from './keyring.ts'
export * from './root-keys.ts'
export { parseWrapped, serialiseWrapped, wrappingKeyId } from './wrapped-form.ts'
export type { WrappedForm } from './wrapped-form.ts'
export * from './gateway-key.ts'
export * from './oauth1-mac.ts'
export * from './proof-key.ts'
export { createTextIndex } from './text-index.ts'
