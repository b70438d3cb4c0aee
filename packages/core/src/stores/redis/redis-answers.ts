/**
 * Owns answers of providers that are kept in Redis. Refuses to write one unsealed, to name there whose it is, to keep any without an end, and to
 * let one scope have more than its share.
 */
import { frame, openBytes, seal, sha256 } from '../../crypto/index.ts'
import type { RootKeyring, SealPlace } from '../../crypto/index.ts'
import type { AnswerStore } from '../../pipeline/index.ts'
import { RedisLink, redisOptions, script } from './connection.ts'
import type { RedisAddress } from './connection.ts'

export interface RedisAnswerOptions {
  readonly keys: RootKeyring
  /** Of one scope, 1 or more; 10,000 when absent. Those that were put first go first. */
  readonly maxEntriesPerScope?: number
  /** Of one scope; 64 MiB when absent. They lie beside the tokens, for which there must be room. */
  readonly maxBytesPerScope?: number
}

/** A scope's list outlives its last answer by no more than this. */
const LIST_LIFE_MS = 7 * 24 * 3_600_000
/** What an answer costs beside its bytes: its names, and its places in the lists. */
const OVERHEAD = 512

/** The list has when each was put; the one beside it how many bytes each has, and all of them. */
const COUNTING = `
local list, sizes = KEYS[1], KEYS[1] .. ':bytes'
local function forget(name)
  local bytes = tonumber(redis.call('ZSCORE', sizes, name) or 0)
  redis.call('ZREM', sizes, name)
  return tonumber(redis.call('ZINCRBY', sizes, -bytes, 'all'))
end
`
/** 1 name, 2 its bytes, 3 answers and 4 bytes at most, 5 how long the lists live. Those that have to go. By the server's clock, to the microsecond. */
const COUNT_IN = script(`${COUNTING}
forget(ARGV[1])
redis.call('ZADD', sizes, ARGV[2], ARGV[1])
local bytes = tonumber(redis.call('ZINCRBY', sizes, ARGV[2], 'all'))
local clock = redis.call('TIME')
redis.call('ZADD', list, string.format('%.0f', clock[1] * 1000000 + clock[2]), ARGV[1])
redis.call('PEXPIRE', list, ARGV[5])
redis.call('PEXPIRE', sizes, ARGV[5])
local gone = {}
while bytes > tonumber(ARGV[4]) or redis.call('ZCARD', list) > tonumber(ARGV[3]) do
  local oldest = redis.call('ZPOPMIN', list)[1]
  if not oldest then break end
  bytes = forget(oldest)
  table.insert(gone, oldest)
end
return gone`)
/** 1 name. */
const COUNT_OUT = script(`${COUNTING}
redis.call('ZREM', list, ARGV[1])
forget(ARGV[1])
return 1`)

/**
 * Sealed to scope and key: moved elsewhere, it does not open. Everything rejects with TokenError `store_unavailable` while there is no server,
 * and `get` with CryptoError for what does not open.
 */
export class RedisAnswerStore implements AnswerStore {
  readonly #link: RedisLink
  readonly #keys: RootKeyring
  readonly #most: number
  readonly #mostBytes: number

  /** @throws TokenError `store_misconfigured`, RangeError */
  constructor(address: RedisAddress, { keys, maxEntriesPerScope = 10_000, maxBytesPerScope = 64 * 1024 * 1024 }: RedisAnswerOptions) {
    if (!(maxEntriesPerScope >= 1) || !(maxBytesPerScope >= 1)) throw new RangeError('a scope has room for one answer at least')
    this.#link = new RedisLink(redisOptions(address))
    this.#keys = keys
    this.#most = maxEntriesPerScope
    this.#mostBytes = maxBytesPerScope
  }

  async get(scope: string, key: string): Promise<Uint8Array | undefined> {
    const sealed = await this.#link.ask<Buffer | null>('GET', nameOf(scope, key))
    return sealed === null ? undefined : openBytes((id) => this.#keys.get(id), placeOf(scope, key), sealed)
  }

  /** Counted first: a process that ends in between leaves no answer that nobody counts. */
  async put(scope: string, key: string, bytes: Uint8Array, lifeMs: number): Promise<void> {
    const [name, list] = [nameOf(scope, key), listOf(scope)]
    const sealed = seal(this.#keys.primary, placeOf(scope, key), bytes)
    const cost = sealed.length + OVERHEAD
    if (cost > this.#mostBytes) return
    const bounds = [this.#most, this.#mostBytes, LIST_LIFE_MS]
    const gone = await this.#link.run<Buffer[]>(COUNT_IN, list, name, cost, ...bounds)
    if (gone.length > 0) await this.#link.ask('DEL', ...gone)
    if (gone.some((one) => one.toString() === name)) return
    await this.#link.ask('SET', name, sealed, 'PX', Math.max(1, Math.floor(lifeMs)))
  }

  async delete(scope: string, key: string): Promise<void> {
    await this.#link.ask('DEL', nameOf(scope, key))
    await this.#link.run(COUNT_OUT, listOf(scope), nameOf(scope, key))
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
