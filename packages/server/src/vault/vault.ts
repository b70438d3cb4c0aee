/**
 * Owns the organizations' data keys and all sealing under them. Refuses to hand a key out: callers give a place and a value, or a place
 * and an envelope.
 */
import {
  CryptoError,
  ed25519Signer,
  envelopeKeyId,
  generateKeyBytes,
  hmacKey,
  isUuid,
  newId,
  open,
  openHeld,
  reseal,
  rewrapDataKey,
  rewrapUnder,
  seal,
  sealingKey,
  unwrapDataKey,
  unwrapUnder,
  wrapDataKey,
  wrappingKeyId,
} from '@sallyport/core'
import type {
  Clock,
  DataKeyId,
  Ed25519Signer,
  KeyObject,
  Logger,
  Metrics,
  OrgId,
  RootKeys,
  SealingKey,
  SealPlace,
  Secret,
} from '@sallyport/core'
import { dataKeyFind, dataKeyFindCurrent, dataKeyInsert, dataKeyRetire } from '../db/index.ts'
import type { Database, DataKey, TenantTx } from '../db/index.ts'
import { DataKeyCache } from './data-key-cache.ts'
import { checkRootKeys, isProven } from './root-keys.ts'
import { SealAlarm } from './seal-alarm.ts'
import { systemSecretPlace } from './sealed-columns.ts'
import type { TenantPlace } from './sealed-columns.ts'
import { VaultError } from './vault-error.ts'

/** 32 random bytes each, made once per installation and never changed. */
export type SystemSecretName =
  | 'key_pepper'
  | 'cursor_key'
  | 'refresh_fingerprint'
  | 'dpop_nonce'
  | 'idempotency_key'
  | 'provider_key_fingerprint'

export interface Vault {
  /** Seals under the organization's current data key. Its first use makes that key, in the same transaction. */
  seal(tx: TenantTx, place: TenantPlace, value: Secret): Promise<Buffer>
  /** What seals at `place` from now on, without waiting and without a database: for what must be kept when that is gone. */
  sealer(tx: TenantTx, place: TenantPlace): Promise<(value: Secret) => Buffer>
  /**
   * Opens an envelope of `org`. Takes a connection of its own when the key is not in memory: inside a transaction use `openIn`.
   * @throws VaultError `data_key_missing` or `root_key_missing`; CryptoError as `open` of core; KeySourceError; DatabaseError.
   */
  open(org: OrgId, place: TenantPlace, envelope: Uint8Array): Promise<Secret>
  /** `open` inside a transaction, where a key that this transaction made is seen too. */
  openIn(tx: TenantTx, place: TenantPlace, envelope: Uint8Array): Promise<Secret>
  /** `open` without waiting, for envelopes that are held: undefined when the key is not in memory. @throws CryptoError. */
  openCached(org: OrgId, place: TenantPlace, envelope: Uint8Array): Secret | undefined
  /**
   * What `envelope` of the transaction's organization holds, sealed under the data key `under` instead.
   * @throws as `openIn`.
   */
  reseal(tx: TenantTx, place: TenantPlace, envelope: Uint8Array, under: DataKeyId): Promise<Buffer>
  /** Retires the current data key and makes the next, in this transaction. Undefined, and nothing done, when `retire` isn't current any more. */
  renew(tx: TenantTx, retire: DataKeyId): Promise<DataKeyId | undefined>
  /** Unwraps a data key, and keeps nothing of it. @throws VaultError `root_key_missing`; CryptoError; KeySourceError. */
  prove(org: OrgId, key: DataKey): Promise<void>
  /** A data key's row under the primary root key; undefined when it is. @throws VaultError `root_key_missing`; CryptoError; KeySourceError. */
  rewrapped(org: OrgId, key: DataKey): Promise<{ readonly rootKeyId: string; readonly wrapped: Buffer } | undefined>
  /** A stored secret of the installation under the primary root key; undefined when it is. Throws as `rewrapped`. */
  rewrappedSystemSecret(name: string, sealed: Buffer): Promise<Buffer | undefined>
  /** The root keys in use here, the primary's id first. */
  readonly rootKeyIds: readonly string[]
  /** A secret of the installation as an HMAC key. Made on first use; of several makers, all use the one stored. */
  systemSecret(name: SystemSecretName): Promise<KeyObject>
  /** The key `id` by which the installation signs checkpoints of audit logs. Its seed is made on first use and sealed like the other secrets. */
  auditSigner(id: string): Promise<Ed25519Signer>
  /** See root-keys.ts. Before the first use of anything else here. */
  checkRootKeys(): Promise<void>
  /** Whether what the database knows of the root key `id` is proven by the bytes in use here; true when it knows nothing. */
  provesRootKey(id: string): Promise<boolean>
  /** Proves other root keys as at a start, then wraps and unwraps with those. Throws as `checkRootKeys`; the former ones stay then. */
  useRootKeys(keys: RootKeys): Promise<void>
  /** Forgets every key and stops hearing of changes. */
  close(): void
}

export interface VaultOptions {
  readonly database: Database
  readonly keyring: RootKeys
  readonly clock: Clock
  readonly logger: Logger
  /** Counts seals that are broken; nothing when absent. */
  readonly metrics?: Metrics
  /**
   * Asked when something is wrapped under a root key that isn't in use here: another node may have been given it already. Resolves when the
   * source of root keys was read again, or when it was not worth it; never rejects. `useRootKeys` was called before, if there was news.
   */
  readonly rereadRootKeys?: () => Promise<void>
}

const MAX_ORGANIZATIONS = 10_000
/** Bounds what a lost connection can hide, and how long keys outlive a database that is away. */
const MAX_AGE_MS = 600_000

export function createVault(options: VaultOptions): Vault {
  return new DatabaseVault(options)
}

class DatabaseVault implements Vault {
  readonly #database: Database
  #keyring: RootKeys
  readonly #logger: Logger
  readonly #reread: () => Promise<void>
  readonly #alarm: SealAlarm
  readonly #cache: DataKeyCache
  readonly #stopListening: () => void
  /** Keys whose rows are not committed yet, by the transaction that made them: no other may seal under them. */
  readonly #made = new WeakMap<TenantTx, SealingKey>()
  readonly #reading = new Map<string, Promise<SealingKey>>()
  readonly #systemSecrets = new Map<SystemSecretName, Promise<KeyObject>>()
  readonly #auditSigners = new Map<string, Promise<Ed25519Signer>>()

  constructor({ database, keyring, clock, logger, metrics, rereadRootKeys = () => Promise.resolve() }: VaultOptions) {
    this.#database = database
    this.#keyring = keyring
    this.#logger = logger
    this.#reread = rereadRootKeys
    this.#alarm = new SealAlarm({ database, clock, logger, metrics })
    this.#cache = new DataKeyCache(clock, MAX_ORGANIZATIONS, MAX_AGE_MS)
    this.#stopListening = database.onChange((change) => this.#cache.forget(change))
  }

  async seal(tx: TenantTx, place: TenantPlace, value: Secret): Promise<Buffer> {
    return seal(await this.#currentKey(tx), { ...place, org: tx.org }, value)
  }

  async sealer(tx: TenantTx, place: TenantPlace): Promise<(value: Secret) => Buffer> {
    const key = await this.#currentKey(tx)
    return (value) => seal(key, { ...place, org: tx.org }, value)
  }

  async open(org: OrgId, place: TenantPlace, envelope: Uint8Array): Promise<Secret> {
    return this.#openWith(await this.#key(org, dataKeyIdOf(envelope)), org, place, envelope)
  }

  async openIn(tx: TenantTx, place: TenantPlace, envelope: Uint8Array): Promise<Secret> {
    return this.#openWith(await this.#keyIn(tx, dataKeyIdOf(envelope)), tx.org, place, envelope)
  }

  async reseal(tx: TenantTx, place: TenantPlace, envelope: Uint8Array, under: DataKeyId): Promise<Buffer> {
    const [from, to] = [await this.#keyIn(tx, dataKeyIdOf(envelope)), await this.#keyIn(tx, under)]
    return reseal((id) => (id === from.id ? from : undefined), { ...place, org: tx.org }, envelope, to)
  }

  async renew(tx: TenantTx, retire: DataKeyId): Promise<DataKeyId | undefined> {
    if (!(await dataKeyRetire(tx, retire))) return undefined
    return (await this.#makeKey(tx)).id as DataKeyId
  }

  async prove(org: OrgId, key: DataKey): Promise<void> {
    await this.#unwrapPatiently(org, key)
  }

  async rewrapped(org: OrgId, key: DataKey): Promise<{ rootKeyId: string; wrapped: Buffer } | undefined> {
    await this.#awaitRootKey(key.wrapped)
    const wrapped = await rewrapDataKey(this.#keyring, key.wrapped, { org, dataKeyId: key.id })
    return wrapped && { rootKeyId: wrappingKeyId(wrapped), wrapped }
  }

  async rewrappedSystemSecret(name: string, sealed: Buffer): Promise<Buffer | undefined> {
    await this.#awaitRootKey(sealed)
    return rewrapUnder(this.#keyring, sealed, systemSecretPlace(name))
  }

  get rootKeyIds(): readonly string[] {
    return this.#keyring.ids
  }

  openCached(org: OrgId, place: TenantPlace, envelope: Uint8Array): Secret | undefined {
    return this.#watched(org, place, () => openHeld((id) => this.#cache.get(org, id), { ...place, org }, envelope))
  }

  systemSecret(name: SystemSecretName): Promise<KeyObject> {
    return remembered(this.#systemSecrets, name, () => this.#readSystemSecret(name, hmacKey), { keep: true })
  }

  auditSigner(id: string): Promise<Ed25519Signer> {
    return remembered(this.#auditSigners, id, () => this.#readSystemSecret(`audit_signing_key/${id}`, ed25519Signer), { keep: true })
  }

  checkRootKeys(): Promise<void> {
    return checkRootKeys({ database: this.#database, logger: this.#logger }, this.#keyring)
  }

  provesRootKey(id: string): Promise<boolean> {
    return isProven({ database: this.#database }, this.#keyring, id)
  }

  async useRootKeys(keys: RootKeys): Promise<void> {
    await checkRootKeys({ database: this.#database, logger: this.#logger }, keys)
    this.#keyring = keys
  }

  close(): void {
    this.#stopListening()
    this.#cache.forget('unknown')
    this.#systemSecrets.clear()
    this.#auditSigners.clear()
  }

  #openWith(key: SealingKey, org: OrgId, place: TenantPlace, envelope: Uint8Array): Secret {
    return this.#watched(org, place, () => open((id) => (id === key.id ? key : undefined), { ...place, org }, envelope))
  }

  /** Whoever asked is refused as before; that a seal is broken is told of beside it. */
  #watched<T>(org: OrgId, place: TenantPlace, opening: () => T): T {
    try {
      return opening()
    } catch (error) {
      if (error instanceof CryptoError) this.#alarm.raise(org, place, error.code)
      throw error
    }
  }

  async #currentKey(tx: TenantTx): Promise<SealingKey> {
    const known = this.#made.get(tx) ?? this.#cache.current(tx.org)
    if (known !== undefined) return known
    const mark = this.#cache.mark()
    const row = await dataKeyFindCurrent(tx)
    if (row === undefined) return this.#makeKey(tx)
    const key = await this.#unwrap(tx.org, row)
    this.#cache.keep(mark, tx.org, key, { current: true })
    return key
  }

  /** The insert waits for another transaction that makes the same organization's key: then that one's is used. */
  async #makeKey(tx: TenantTx): Promise<SealingKey> {
    const id = newId('dk')
    const { primary } = this.#keyring
    const bytes = generateKeyBytes()
    try {
      const wrapped = await wrapDataKey(primary, bytes, { org: tx.org, dataKeyId: id })
      if (!(await dataKeyInsert(tx, { id, rootKeyId: primary.id, wrapped }))) return await this.#currentKey(tx)
      const key = sealingKey(id, bytes)
      this.#made.set(tx, key)
      this.#logger.info('Made a data key', { org: tx.org, dataKey: id, rootKey: primary.id })
      return key
    } finally {
      bytes.fill(0)
    }
  }

  /** In a transaction, where a key that it made is seen too. */
  async #keyIn(tx: TenantTx, id: DataKeyId): Promise<SealingKey> {
    const made = this.#made.get(tx)
    const known = made?.id === id ? made : this.#cache.get(tx.org, id)
    if (known !== undefined) return known
    const mark = this.#cache.mark()
    const row = await dataKeyFind(tx, id)
    const key = await this.#unwrap(tx.org, row)
    this.#cache.keep(mark, tx.org, key, { current: row?.status === 'current' })
    return key
  }

  async #key(org: OrgId, id: DataKeyId): Promise<SealingKey> {
    return this.#cache.get(org, id) ?? remembered(this.#reading, `${org}/${id}`, () => this.#readKey(org, id), { keep: false })
  }

  async #readKey(org: OrgId, id: DataKeyId): Promise<SealingKey> {
    const mark = this.#cache.mark()
    const row = await this.#database.withTenant(org, (tx) => dataKeyFind(tx, id))
    const key = await this.#unwrapPatiently(org, row)
    this.#cache.keep(mark, org, key, { current: row?.status === 'current' })
    return key
  }

  /** For use inside a transaction: what it lacks is fetched for the next one, since fetching takes a connection of its own. */
  async #unwrap(org: OrgId, row: DataKey | undefined): Promise<SealingKey> {
    if (row === undefined) throw dataKeyMissing()
    if (!this.#hasRootKey(row.wrapped)) void this.#reread()
    this.#requireRootKey(row.wrapped)
    return unwrapDataKey(this.#keyring, row.wrapped, { org, dataKeyId: row.id })
  }

  async #unwrapPatiently(org: OrgId, row: DataKey | undefined): Promise<SealingKey> {
    if (row !== undefined) await this.#awaitRootKey(row.wrapped)
    return this.#unwrap(org, row)
  }

  /** Outside transactions: reads the source of root keys again before it gives up. */
  async #awaitRootKey(wrapped: Buffer): Promise<void> {
    if (!this.#hasRootKey(wrapped)) await this.#reread()
    this.#requireRootKey(wrapped)
  }

  #hasRootKey(wrapped: Buffer): boolean {
    return this.#keyring.get(wrappingKeyId(wrapped)) !== undefined
  }

  #requireRootKey(wrapped: Buffer): void {
    if (this.#hasRootKey(wrapped)) return
    const id = wrappingKeyId(wrapped)
    throw new VaultError('root_key_missing', `a data key is wrapped under root key "${id}", which is not configured`)
  }

  /** Its 32 bytes as what they are used as. They are random: any of them is a key of either kind. */
  async #readSystemSecret<Key>(name: string, keyOf: (bytes: Uint8Array) => Key): Promise<Key> {
    const { system } = this.#database
    const place = systemSecretPlace(name)
    const sealed = (await system.secretGet(name)) ?? (await system.secretPutIfAbsent(name, await this.#newSystemSecret(place)))
    await this.#awaitRootKey(sealed)
    const bytes = await unwrapUnder(this.#keyring, sealed, place)
    try {
      return keyOf(bytes)
    } finally {
      bytes.fill(0)
    }
  }

  async #newSystemSecret(place: SealPlace): Promise<Buffer> {
    const bytes = generateKeyBytes()
    try {
      return await this.#keyring.primary.wrap(bytes, place)
    } finally {
      bytes.fill(0)
    }
  }
}

/** Data keys are named by UUIDs; any other name in an envelope is of no key of ours. */
function dataKeyIdOf(envelope: Uint8Array): DataKeyId {
  const id = envelopeKeyId(envelope)
  if (!isUuid(id)) throw dataKeyMissing()
  return id as string as DataKeyId
}

function dataKeyMissing(): VaultError {
  return new VaultError('data_key_missing', "the organization doesn't have the data key that this was sealed under")
}

/** One run of `make` per key at a time; set before the first await. Failures are never kept. `keep`: a success is kept too. */
function remembered<Key, Value>(
  runs: Map<Key, Promise<Value>>,
  key: Key,
  make: () => Promise<Value>,
  { keep }: { keep: boolean },
): Promise<Value> {
  const running = runs.get(key)
  if (running !== undefined) return running
  const drop = (): void => void (runs.get(key) === run && runs.delete(key))
  const run: Promise<Value> = make()
  runs.set(key, run)
  run.then(keep ? () => undefined : drop, drop)
  return run
}
