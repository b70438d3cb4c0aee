/** Owns the credential store on Redis, and the leases and the spill that go with it. */
import { readEncryption } from '../encryption.ts'
import type { EncryptionConfig } from '../encryption.ts'
import { RenewedLeases } from '../leases/renewed-leases.ts'
import type { RenewedLeaseOptions } from '../leases/renewed-leases.ts'
import { ChangeListeners } from '../listeners.ts'
import { once } from '../once.ts'
import { createSealedStore } from '../sealed-store.ts'
import type { SealedCredentialStore } from '../sealed-store.ts'
import type { CredentialRef, LeaseKeeper } from '../../tokens/index.ts'
import { RedisLink, redisOptions } from './connection.ts'
import type { RedisAddress } from './connection.ts'
import { readDurability, UNREACHED } from './durability.ts'
import { redisRecords } from './redis-records.ts'
import { DROP_LEASE, RENEW_LEASE } from './scripts.ts'

/** A server, and the keys that tokens are sealed under. */
export interface RedisStoreOptions extends RedisAddress {
  readonly encryption: EncryptionConfig
}

const CHANNEL = 'sallyport:credential'

/**
 * Connects when it is first asked for something, and again whenever it has to.
 * @throws TokenError `store_misconfigured`, CryptoError `key_invalid`
 */
export function createRedisStore({ encryption, ...address }: RedisStoreOptions): SealedCredentialStore {
  const keys = readEncryption(encryption)
  const options = redisOptions(address)
  const [link, subscription] = [new RedisLink(options), new RedisLink(options)]
  let durability = UNREACHED
  const listeners = new ChangeListeners()
  const listen = once(() =>
    subscription.subscribe(
      CHANNEL,
      (message) => listeners.tell(readChange(message)),
      () => listeners.tell('unknown'),
    ),
  )
  const records = redisRecords({
    link,
    listeners,
    durability: () => durability,
    prepare: async () => void (durability = await readDurability(link)),
    // It fails where the driver is missing, which is told to whoever asks the store for something.
    listen: () => void listen().catch(() => undefined),
    async close() {
      listeners.clear()
      await Promise.all([link.close(), subscription.close()])
    },
  })
  return createSealedStore(records, keys)
}

/** Leases as keys that expire, under the name that `leaseKey` gives. @throws TokenError `store_misconfigured` */
export function createRedisLeases(options: RedisAddress & RenewedLeaseOptions): LeaseKeeper {
  const link = new RedisLink(redisOptions(options))
  return new RenewedLeases(
    {
      take: async (key, holder, ttlMs) => (await link.ask<Buffer | null>('SET', key, holder, 'NX', 'PX', ttlMs)) !== null,
      renew: async (key, holder, ttlMs) => (await link.run<number>(RENEW_LEASE, key, holder, ttlMs)) === 1,
      drop: async (key, holder) => void (await link.run(DROP_LEASE, key, holder)),
      close: () => link.close(),
    },
    options,
  )
}

/** Anybody on the server may publish, so the text is judged. */
function readChange(message: string): CredentialRef | 'unknown' {
  try {
    const parsed: unknown = JSON.parse(message)
    if (!Array.isArray(parsed) || parsed.length !== 2) return 'unknown'
    const [scope, id]: unknown[] = parsed
    return typeof scope === 'string' && typeof id === 'string' ? { scope, id } : 'unknown'
  } catch {
    return 'unknown'
  }
}
