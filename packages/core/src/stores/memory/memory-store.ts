/** Owns the credential store in memory. For development and tests, and says so. */
import { systemClock } from '../../kernel/index.ts'
import type { Clock } from '../../kernel/index.ts'
import { ephemeralKeys, readEncryption } from '../encryption.ts'
import type { EncryptionConfig } from '../encryption.ts'
import { createSealedStore } from '../sealed-store.ts'
import type { SealedCredentialStore } from '../sealed-store.ts'
import { CredentialMemory, memoryRecords } from './memory-records.ts'

/** A store whose tokens end with the process. */
export interface MemoryStoreOptions {
  /** A random key that ends with the process, as the tokens do, when left out. */
  readonly encryption?: EncryptionConfig
  /** Shared by stores that stand for several processes; they need the same `encryption`. */
  readonly memory?: CredentialMemory
  /** The store's clock. */
  readonly clock?: Clock
}

/** @throws CryptoError `key_invalid` */
export function createMemoryStore(options: MemoryStoreOptions = {}): SealedCredentialStore {
  const keys = options.encryption === undefined ? ephemeralKeys() : readEncryption(options.encryption)
  return createSealedStore(memoryRecords(options.memory ?? new CredentialMemory(), options.clock ?? systemClock), keys)
}
