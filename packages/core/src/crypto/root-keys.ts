/**
 * Owns the port of root keys: something named that wraps 32-byte keys, be its bytes here (RootKeyring) or held by a service that never gives
 * them out; and the wrapping of data keys through it. Refuses to try: a wrapped form names its root key, and that one is asked.
 */
import type { DataKeyId, OrgId } from '../kernel/index.ts'
import type { SealPlace } from './envelope.ts'
import { CryptoError } from './errors.ts'
import { sealingKey } from './sealing-key.ts'
import type { SealingKey } from './sealing-key.ts'
import { wrappingKeyId } from './wrapped-form.ts'

/** One root key. What it wraps is bound to the place: at another it doesn't unwrap. */
export interface KeyWrapper {
  /** Stands in what it wraps, in the clear. */
  readonly id: string
  /** The stored form of a few secret bytes (at most 1024). They are left as they are; wiping them is the caller's. */
  wrap(bytes: Uint8Array, place: SealPlace): Promise<Buffer>
  /**
   * The bytes, in memory of their own; wiping them is the caller's.
   * @throws CryptoError as `open` does; KeySourceError when whoever holds the key can't be asked.
   */
  unwrap(wrapped: Uint8Array, place: SealPlace): Promise<Buffer>
}

/** The root keys of an installation: one that wraps, and every one that unwraps. */
export interface RootKeys {
  readonly primary: KeyWrapper
  /** Every id, the primary's first. */
  readonly ids: readonly string[]
  get(id: string): KeyWrapper | undefined
}

/** Which data key, of whom. Bound to the wrapped bytes: in another organization's row they don't unwrap. */
export interface DataKeyPlace {
  readonly org: OrgId
  readonly dataKeyId: DataKeyId
}

/** Single keys as a set; the first is primary. @throws CryptoError `key_invalid` when two of them use one id. */
export function rootKeysOf(first: KeyWrapper, ...others: readonly KeyWrapper[]): RootKeys {
  const single = (key: KeyWrapper): RootKeys => ({ primary: key, ids: [key.id], get: (id) => (id === key.id ? key : undefined) })
  return joinRootKeys(single(first), ...others.map(single))
}

/**
 * Several sets as one, in order: the first one's primary is the primary.
 * @throws CryptoError `key_invalid` when two of them use one id.
 */
export function joinRootKeys(first: RootKeys, ...others: readonly RootKeys[]): RootKeys {
  const ids = [first, ...others].flatMap((keys) => keys.ids)
  const doubled = ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `two root keys are called ${id}`)
  if (doubled.length > 0) throw new CryptoError('key_invalid', `root keys refused: ${doubled.join('; ')}`, doubled)
  const byId = new Map([first, ...others].flatMap((keys) => keys.ids.map((id) => [id, keys] as const)))
  return { primary: first.primary, ids, get: (id) => byId.get(id)?.get(id) }
}

/** Bytes from under the root key that the wrapped form names. @throws CryptoError `key_unknown`, and as that key's `unwrap`. */
export async function unwrapUnder(keys: RootKeys, wrapped: Uint8Array, place: SealPlace): Promise<Buffer> {
  const id = wrappingKeyId(wrapped)
  const key = keys.get(id)
  if (key === undefined) throw new CryptoError('key_unknown', `no root key with id ${id}`)
  return key.unwrap(wrapped, place)
}

/**
 * A data key's 32 bytes under a root key. The bytes are left as they are; wiping them is the caller's.
 * @throws CryptoError `key_invalid` for bytes that `unwrapDataKey` would refuse, before they can be stored; else as `wrap`.
 */
export async function wrapDataKey(key: KeyWrapper, bytes: Uint8Array, place: DataKeyPlace): Promise<Buffer> {
  sealingKey(place.dataKeyId, bytes)
  return key.wrap(bytes, wrapPlace(place))
}

/**
 * The data key, named by its id. Also unwraps under a key that is no longer primary.
 * @throws CryptoError as `unwrapUnder` does, and `key_invalid` when what was wrapped is no key.
 */
export async function unwrapDataKey(keys: RootKeys, wrapped: Uint8Array, place: DataKeyPlace): Promise<SealingKey> {
  const bytes = await unwrapUnder(keys, wrapped, wrapPlace(place))
  try {
    return sealingKey(place.dataKeyId, bytes)
  } finally {
    bytes.fill(0)
  }
}

/**
 * A wrapped data key under the primary root key instead, of whatever key it was under; undefined when it is under the primary already.
 * @throws CryptoError as `unwrapDataKey` does.
 */
export async function rewrapDataKey(keys: RootKeys, wrapped: Uint8Array, place: DataKeyPlace): Promise<Buffer | undefined> {
  return rewrapUnder(keys, wrapped, wrapPlace(place))
}

/** The same for other bytes that are wrapped at `place`. */
export async function rewrapUnder(keys: RootKeys, wrapped: Uint8Array, place: SealPlace): Promise<Buffer | undefined> {
  if (wrappingKeyId(wrapped) === keys.primary.id) return undefined
  const bytes = await unwrapUnder(keys, wrapped, place)
  try {
    return await keys.primary.wrap(bytes, place)
  } finally {
    bytes.fill(0)
  }
}

function wrapPlace({ org, dataKeyId }: DataKeyPlace): SealPlace {
  return { purpose: 'data-key', org, table: 'data_key', column: 'wrapped', record: dataKeyId, seq: 0n }
}
