/** Owns the credential store on PostgreSQL, and the leases that go with it. For the gateway's own tables see the server. */
import { readEncryption } from '../encryption.ts'
import type { EncryptionConfig } from '../encryption.ts'
import { ChangeListeners } from '../listeners.ts'
import { RenewedLeases } from '../leases/renewed-leases.ts'
import type { RenewedLeaseOptions } from '../leases/renewed-leases.ts'
import { createSealedStore } from '../sealed-store.ts'
import type { SealedCredentialStore } from '../sealed-store.ts'
import type { LeaseKeeper, StoreDurability } from '../../tokens/index.ts'
import { AdvisoryLeases } from './advisory-leases.ts'
import type { AdvisoryLeaseOptions } from './advisory-leases.ts'
import { postgresConfig } from './connection.ts'
import type { PostgresAddress } from './connection.ts'
import { openPostgres, PostgresChanges } from './database.ts'
import type { PostgresDatabase, PostgresOptions } from './database.ts'
import { postgresRecords } from './postgres-records.ts'
import { DROP_LEASE, RENEW_LEASE, SETTINGS, TAKE_LEASE } from './statements.ts'

/** A server, and the keys that tokens are sealed under. */
export interface PostgresStoreOptions extends PostgresAddress, PostgresOptions {
  readonly encryption: EncryptionConfig
}

/**
 * Connects when it is first asked for something, and again whenever it has to. Makes its tables (schema `sallyport_tokens`) unless they are
 * there. @throws TokenError `store_misconfigured`, CryptoError `key_invalid`
 */
export function createPostgresStore({ encryption, url, ca, insecurePlaintext, ...options }: PostgresStoreOptions): SealedCredentialStore {
  const keys = readEncryption(encryption)
  const config = postgresConfig({
    url,
    ...(ca === undefined ? {} : { ca }),
    ...(insecurePlaintext === undefined ? {} : { insecurePlaintext }),
  })
  const database = openPostgres(config, options)
  const listeners = new ChangeListeners()
  const changes = new PostgresChanges(config, (ref) => listeners.tell(ref))
  let durability = UNREACHED
  const records = postgresRecords({
    database,
    listeners,
    durability: () => durability,
    prepare: async () => void (durability = await promised(database)),
    listen: () => options.sessions !== false && changes.start(),
    async close() {
      changes.stop()
      listeners.clear()
      await database.close()
    },
  })
  return createSealedStore(records, keys)
}

/** Leases as advisory locks; as rows with an end where `sessions` is false. @throws TokenError `store_misconfigured` */
export function createPostgresLeases(options: PostgresAddress & PostgresOptions & AdvisoryLeaseOptions & RenewedLeaseOptions): LeaseKeeper {
  const config = postgresConfig(options)
  if (options.sessions !== false) return new AdvisoryLeases(config, options)
  const database = openPostgres(config, { answerMs: 2_000, ...options, poolSize: 2 })
  return new RenewedLeases(
    {
      take: async (key, holder, ttlMs) => (await database.query(TAKE_LEASE, [key, holder, ttlMs])).length > 0,
      renew: async (key, holder, ttlMs) => (await database.query(RENEW_LEASE, [key, holder, ttlMs])).length > 0,
      drop: async (key, holder) => void (await database.query(DROP_LEASE, [key, holder])),
      close: () => database.close(),
    },
    options,
  )
}

const FAILOVER =
  'What a standby had not received when the server was lost for good is lost with it; the server decides whether a commit waits for one.'
const BACKUP = 'A backup brings back tokens that providers may have replaced since: each is probed once.'
const UNREACHED: StoreDurability = { kind: 'none', limits: ['The server was not reached yet, so nothing is known of its settings.'] }

async function promised(database: PostgresDatabase): Promise<StoreDurability> {
  const [row] = await database.query<{ fsync: string; full_page_writes: string; synchronous_commit: string }>(SETTINGS)
  const { fsync, full_page_writes, synchronous_commit } = row!
  const limits = [
    ...(fsync === 'on' ? [] : ['fsync is off: a crash of the machine may lose or damage everything.']),
    ...(full_page_writes === 'on' ? [] : ['full_page_writes is off: a crash of the machine may damage everything.']),
    ...(synchronous_commit === 'off' ? ['synchronous_commit is off: the last moments before a crash are lost.'] : []),
  ]
  return { kind: limits.length === 0 ? 'durable' : fsync === 'on' ? 'configured' : 'none', limits: [...limits, FAILOVER, BACKUP] }
}
