/**
 * Owns answers of providers that are kept in Redis. Refuses to write one unsealed, to name there whose it is, to keep any without an end, and to
 * let one scope have more than its share.
 */
import { frame, openBytes, seal, sha256 } from '../../crypto/index.ts'
import type { RootKeyring, SealPlace } from '../../crypto/index.ts'
import { systemClock } from '../../kernel/index.ts'
import type { AnswerStore } from '../../pipeline/index.ts'
import { RedisLink, redisOptions } from './connection.ts'
import type { RedisAddress } from './connection.ts'

export interface RedisAnswerOptions {
  readonly keys: RootKeyring
  /** Of one scope, 1 or more; 10,000 when absent. Those that were put first go first. */
  readonly maxEntriesPerScope?: number
}

/** A scope's list outlives its last answer by no more than this. */
const LIST_LIFE_MS = 7 * 24 * 3_600_000

/**
 * Sealed to scope and key: moved elsewhere, it does not open. Everything rejects with TokenError `store_unavailable` while there is no server,
 * and `get` with CryptoError for what does not open.
 */
export class RedisAnswerStore implements AnswerStore {
  readonly #link: RedisLink
  readonly #keys: RootKeyring
  readonly #most: number

  /** @throws TokenError `store_misconfigured`, RangeError */
  constructor(address: RedisAddress, { keys, maxEntriesPerScope = 10_000 }: RedisAnswerOptions) {
    if (!(maxEntriesPerScope >= 1)) throw new RangeError('a scope has room for one answer at least')
    this.#link = new RedisLink(redisOptions(address))
    this.#keys = keys
    this.#most = maxEntriesPerScope
  }

  async get(scope: string, key: string): Promise<Uint8Array | undefined> {
    const sealed = await this.#link.ask<Buffer | null>('GET', nameOf(scope, key))
    return sealed === null ? undefined : openBytes((id) => this.#keys.get(id), placeOf(scope, key), sealed)
  }

  /** A process that ends in between leaves an answer that is not counted, and ends with its life. */
  async put(scope: string, key: string, bytes: Uint8Array, lifeMs: number): Promise<void> {
    const [name, list] = [nameOf(scope, key), listOf(scope)]
    await this.#link.ask('SET', name, seal(this.#keys.primary, placeOf(scope, key), bytes), 'PX', Math.max(1, Math.floor(lifeMs)))
    await this.#link.ask('ZADD', list, systemClock.now(), name)
    await this.#link.ask('PEXPIRE', list, LIST_LIFE_MS)
    const over = (await this.#link.ask<number>('ZCARD', list)) - this.#most
    const popped = over > 0 ? await this.#link.ask<Buffer[]>('ZPOPMIN', list, over) : []
    for (let at = 0; at < popped.length; at += 2) await this.#link.ask('DEL', popped[at]!)
  }

  async delete(scope: string, key: string): Promise<void> {
    await this.#link.ask('DEL', nameOf(scope, key))
    await this.#link.ask('ZREM', listOf(scope), nameOf(scope, key))
  }

  async close(): Promise<void> {
    await this.#link.close()
  }
}

function nameOf(scope: string, key: string): string {
  return `sallyport:answer:${sha256(frame([scope, key])).toString('base64url')}`
}

function listOf(scope: string): string {
  return `sallyport:answers:${sha256(scope).toString('base64url')}`
}

function placeOf(scope: string, key: string): SealPlace {
  return { purpose: 'answer', org: '', table: 'answer', column: 'bytes', record: frame([scope, key]).toString('base64url'), seq: 0n }
}
