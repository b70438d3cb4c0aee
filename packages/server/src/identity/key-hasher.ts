/**
 * Owns the slow hash of key secrets. Refuses parameters other than the one set below: 19 MiB, two passes, one lane (OWASP's minimum for
 * argon2id, RFC 9106). About 10 ms of one core; it runs on libuv's threads, never on the event loop.
 */
import { hash, verify } from '@node-rs/argon2'
import type { Secret } from '@sallyport/core'

export interface KeyHasher {
  /** A PHC string (`$argon2id$v=19$m=19456,t=2,p=1$...`) with a fresh salt. */
  hash(secret: Secret): Promise<string>
  /** Whether `stored` was made from `secret`. False, too, for text that is no hash. */
  verify(stored: string, secret: Secret): Promise<boolean>
}

/** The library declares its algorithms as a `const enum`, which erasable syntax can't read: 2 is Argon2id. */
const ARGON2ID = 2
const PARAMETERS = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 } as const

const PHC_ARGON2ID = /^\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/

export const argon2idHasher: KeyHasher = {
  hash: (secret) => hash(secret.reveal(), PARAMETERS),
  verify: async (stored, secret) => PHC_ARGON2ID.test(stored) && verify(stored, secret.reveal()),
}
