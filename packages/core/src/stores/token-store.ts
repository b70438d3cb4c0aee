/**
 * Owns making a token store of an application's configuration: store, leases, sign-ins under way and cache that go together. Refuses memory in production, and
 * a store without encryption.
 */
import { derivedHmacKey } from '../crypto/index.ts'
import type { KeyObject } from '../crypto/index.ts'
import type { Secret } from '../kernel/index.ts'
import type { AnswerStore } from '../pipeline/index.ts'
import type { ConnectStates, LeaseKeeper } from '../tokens/index.ts'
import { misconfigured } from './address.ts'
import { readEncryption } from './encryption.ts'
import type { EncryptionConfig } from './encryption.ts'
import { createMemoryLeases, createMemoryStates, createMemoryStore } from './memory/index.ts'
import { createPostgresLeases, createPostgresStates, createPostgresStore } from './postgres/index.ts'
import { withReadCache } from './read-cache.ts'
import type { ReadCacheOptions } from './read-cache.ts'
import { createRedisLeases, createRedisStates, createRedisStore, RedisAnswerStore } from './redis/index.ts'
import type { RedisAddress } from './redis/index.ts'
import type { SealedCredentialStore } from './sealed-store.ts'

/** `tokenStore` as configuration files have it. */
export interface TokenStoreConfig {
  readonly backend: 'memory' | 'redis' | 'postgres'
  /** Where it is; for memory there is none. */
  readonly url?: string | Secret
  /** Required but for memory, whose tokens end with the process as the key does that is made for them. */
  readonly encryption?: EncryptionConfig
  /** PEM of the authorities to trust, in place of the system's. */
  readonly ca?: string
  readonly insecurePlaintext?: boolean
  readonly insecureNoPassword?: boolean
  /** Postgres: false behind a pooler that hands sessions out by the transaction. */
  readonly sessions?: boolean
  readonly cache?: ReadCacheOptions
}

/** A token store with all that goes with it: leases, states, and the place for answers that it could not save. */
export interface OpenTokenStore {
  /** Serves tokens that live from memory while the server is away. */
  readonly store: SealedCredentialStore
  readonly leases: LeaseKeeper
  readonly states: ConnectStates
  close(): Promise<void>
}

/** Answers of providers that processes share, and the key that hides from the server which answer is whose. */
export interface SharedAnswers {
  readonly store: AnswerStore
  readonly key: KeyObject
  close(): Promise<void>
}

/** On the server of a token store of the kind `redis`, sealed under its keys, `maxBytes` of them at most. @throws as `openTokenStore`; `store_misconfigured` for other kinds. */
export function openSharedAnswers(
  { backend, url, encryption, ca, insecurePlaintext, insecureNoPassword }: TokenStoreConfig,
  maxBytes: number,
): SharedAnswers {
  if (backend !== 'redis' || url === undefined || encryption === undefined)
    throw misconfigured('answers are shared by a token store of the kind "redis" alone')
  const keys = readEncryption(encryption)
  const given = { ca, insecurePlaintext, insecureNoPassword }
  const address = { url, ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as typeof given) }
  const store = new RedisAnswerStore(address as RedisAddress, { keys, maxBytesPerScope: maxBytes })
  return { store, key: derivedHmacKey(keys.primary, 'answers'), close: () => store.close() }
}

/** Connects when it is first asked for something. @throws TokenError `store_misconfigured`, CryptoError `key_invalid` */
export function openTokenStore(config: TokenStoreConfig, { production }: { readonly production: boolean }): OpenTokenStore {
  const { store, leases, states } = config.backend === 'memory' ? inMemory(config, production) : onServer(config)
  return {
    store,
    leases,
    states,
    async close() {
      // Leases first: what is begun under one that is gone is not begun.
      await leases.close()
      await states.close()
      await store.close()
    },
  }
}

type Parts = Omit<OpenTokenStore, 'close'>

function inMemory({ url, encryption }: TokenStoreConfig, production: boolean): Parts {
  if (production)
    throw misconfigured('a token store in memory is for development: every user would have to connect again after each restart')
  if (url !== undefined) throw misconfigured('a token store in memory has no url')
  const sealing = encryption === undefined ? {} : { encryption }
  return { store: createMemoryStore(sealing), leases: createMemoryLeases(), states: createMemoryStates(sealing) }
}

function onServer({ backend, url, encryption, cache, sessions, insecureNoPassword, ...address }: TokenStoreConfig): Parts {
  if (url === undefined) throw misconfigured(`a token store of the kind "${backend}" needs a url`)
  if (encryption === undefined) throw misconfigured('a token store needs "encryption": tokens are never kept unencrypted')
  const at = { url, ...address }
  if (backend === 'redis') {
    const options = { ...at, ...(insecureNoPassword === undefined ? {} : { insecureNoPassword }) }
    const sealing = { ...options, encryption }
    return {
      store: withReadCache(createRedisStore(sealing), cache),
      leases: createRedisLeases(options),
      states: createRedisStates(sealing),
    }
  }
  if (backend !== 'postgres') throw misconfigured('the backend of a token store is "memory", "redis" or "postgres"')
  const options = { ...at, ...(sessions === undefined ? {} : { sessions }) }
  const sealing = { ...options, encryption }
  return {
    store: withReadCache(createPostgresStore(sealing), cache),
    leases: createPostgresLeases(options),
    states: createPostgresStates(sealing),
  }
}
