/**
 * Owns answers of providers that are kept in Redis. Refuses to write one unsealed, to name there whose it is, to keep any without an end, to let one
 * scope have more than its share, and to keep what was asked for before another process changed its resource.
 *
 *   string sallyport:answer:{<group>}:<key>     one answer, sealed
 *   hash   sallyport:answer-marks:{<group>}     when something of the connection was forgotten last: `all`, and by a share of its resources
 *   zset   sallyport:answers:{<scope>}          what the scope has, by when it was put; beside it `:bytes`, how many bytes each has
 *
 * The braces keep together what a step needs: marks with the answers of their connection, a list with its sizes.
 */
import { frame, openBytes, seal, sha256 } from '../../crypto/index.ts'
import type { RootKeyring, SealPlace } from '../../crypto/index.ts'
import type { AnswerFound, AnswerPlace, AnswerStore } from '../../pipeline/index.ts'
import { RedisLink, redisOptions, script } from './connection.ts'
import type { RedisAddress } from './connection.ts'

/** Keys that answers are sealed under, and bounds of what is kept. */
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
/** Marks of one connection. Of two resources that share one, a change of the one keeps an answer on its way for the other from being kept. */
const SHARES = 64
/** Longer than any call is on its way. */
const MARK_LIFE_MS = 2 * 3_600_000
/** Names in one step of forgetting a connection. */
const AT_ONCE = 500

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
/** Names. */
const COUNT_OUT = script(`${COUNTING}
for _, name in ipairs(ARGV) do
  redis.call('ZREM', list, name)
  forget(name)
end
return 1`)
/** 1 beginning of names. Those of the list that begin so. */
const LISTED = script(`
local found = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(name, 1, #ARGV[1]) == ARGV[1] then table.insert(found, name) end
end
return found`)
/** What every step at a connection's answers begins with. 1 share. */
const SEEN = `
local marks = redis.call('HMGET', KEYS[1], 'all', ARGV[1])
local seen = (marks[1] or '') .. '/' .. (marks[2] or '')
`
/** 2 name. What was seen, and the answer. */
const GET = script(`${SEEN}
return {seen, redis.call('GET', ARGV[2])}`)
/** 2 name, 3 what was seen, 4 sealed, 5 how long it lives. Whether it stands there. */
const PUT = script(`${SEEN}
if seen ~= ARGV[3] then return 0 end
redis.call('SET', ARGV[2], ARGV[4], 'PX', ARGV[5])
return 1`)
/** 1 share or 'all', 2 how long it is remembered. By the server's clock, to the microsecond: no mark comes twice. */
const MARK = script(`
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', clock[1] * 1000000 + clock[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
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

  async get(place: AnswerPlace): Promise<AnswerFound> {
    const [seen, sealed] = await this.#link.run<[Buffer, Buffer | null]>(GET, marksOf(place), shareOf(place), nameOf(place))
    return { seen: String(seen), bytes: sealed === null ? undefined : openBytes((id) => this.#keys.get(id), sealPlaceOf(place), sealed) }
  }

  /** Counted first: a process that ends in between leaves no answer that nobody counts. */
  async put(place: AnswerPlace, bytes: Uint8Array, { lifeMs, seen }: Parameters<AnswerStore['put']>[2]): Promise<boolean> {
    const [name, list] = [nameOf(place), listOf(place)]
    const sealed = seal(this.#keys.primary, sealPlaceOf(place), bytes)
    const cost = sealed.length + OVERHEAD
    if (cost > this.#mostBytes) return false
    const bounds = [this.#most, this.#mostBytes, LIST_LIFE_MS]
    const gone = await this.#link.run<Buffer[]>(COUNT_IN, list, name, cost, ...bounds)
    if (gone.length > 0) await this.#link.ask('UNLINK', ...gone)
    if (gone.some((one) => one.toString() === name)) return false
    const life = Math.max(1, Math.floor(lifeMs))
    if ((await this.#link.run<number>(PUT, marksOf(place), shareOf(place), name, seen, sealed, life)) === 1) return true
    await this.drop(place)
    return false
  }

  async drop(place: AnswerPlace): Promise<void> {
    await this.#link.ask('UNLINK', nameOf(place))
    await this.#link.run(COUNT_OUT, listOf(place), nameOf(place))
  }

  /** The mark first: an answer that is put in between finds it. */
  async forget(place: Omit<AnswerPlace, 'key'>): Promise<void> {
    await this.#link.run(MARK, marksOf(place), shareOf(place), MARK_LIFE_MS)
    await this.drop({ ...place, key: place.resource })
  }

  /** What a process that ends in the midst leaves is found by nobody, and has an end of its own. */
  async forgetGroup(place: Pick<AnswerPlace, 'scope' | 'group'>): Promise<void> {
    await this.#link.run(MARK, marksOf(place), 'all', MARK_LIFE_MS)
    const names = await this.#link.run<Buffer[]>(LISTED, listOf(place), beginningOf(place))
    for (let from = 0; from < names.length; from += AT_ONCE) {
      const some = names.slice(from, from + AT_ONCE)
      await this.#link.ask('UNLINK', ...some)
      await this.#link.run(COUNT_OUT, listOf(place), ...some)
    }
  }

  async close(): Promise<void> {
    await this.#link.close()
  }
}

function beginningOf(place: Pick<AnswerPlace, 'scope' | 'group'>): string {
  return `sallyport:answer:{${groupOf(place)}}:`
}

function nameOf(place: AnswerPlace): string {
  return beginningOf(place) + sha256(place.key).toString('base64url')
}

function groupOf({ scope, group }: Pick<AnswerPlace, 'scope' | 'group'>): string {
  return sha256(frame([scope, group])).toString('base64url')
}

function marksOf(place: Pick<AnswerPlace, 'scope' | 'group'>): string {
  return `sallyport:answer-marks:{${groupOf(place)}}`
}

function shareOf({ resource }: Pick<AnswerPlace, 'resource'>): string {
  return String(sha256(resource)[0]! % SHARES)
}

function listOf({ scope }: Pick<AnswerPlace, 'scope'>): string {
  return `sallyport:answers:{${sha256(scope).toString('base64url')}}`
}

function sealPlaceOf({ scope, key }: AnswerPlace): SealPlace {
  return { purpose: 'answer', org: '', table: 'answer', column: 'bytes', record: frame([scope, key]).toString('base64url'), seq: 0n }
}
