/**
 * Owns buckets that many nodes draw from: in Redis, by its clock, a handful at a time. Refuses to be asked once per request, and to remember what
 * a full bucket would know as well: a key ends when its bucket is full.
 */
import { RedisLink, redisOptions, script } from './connection.ts'
import type { RedisAddress } from './connection.ts'

/** Both above 0. */
export interface BucketShape {
  readonly perSecond: number
  readonly burst: number
}

/** What a node got of a limit that all share. */
export interface Allowance {
  /** How many of those asked for are the caller's now. */
  readonly granted: number
  /** What is left for everybody. */
  readonly left: number
  /** Milliseconds until there is one for anybody; 0 while there is. */
  readonly nextMs: number
}

/**
 * 1 per second, 2 burst, 3 how many (fewer than none: so many come back). The level is a decimal, its time in microseconds. A clock that stepped
 * back brings nothing until it has caught up with itself, and takes nothing away.
 */
const DRAW = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local rate, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, since = tonumber(at[1] or burst), tonumber(at[2] or now)
level = math.min(burst, level + math.max(0, now - since) * rate / 1000000)
local granted = math.min(want, math.floor(level))
if want < 0 then granted = math.max(want, level - burst) end
level = level - granted
redis.call('HSET', KEYS[1], 'level', string.format('%.6f', level), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - level) / rate * 1000) + 1000)
local next = 0
if level < 1 then next = math.ceil((1 - level) / rate * 1000) end
return {math.max(0, math.floor(granted)), math.floor(level), next}`)

const PREFIX = 'sallyport:limit:'

/** All of it rejects with TokenError `store_unavailable` when Redis says nothing in time; what was drawn then is nobody's. */
export class RedisAllowances {
  readonly #link: RedisLink

  /** @throws TokenError `store_misconfigured` */
  constructor(address: RedisAddress) {
    this.#link = new RedisLink(redisOptions(address))
  }

  /** Draws at most `want` (0 or more) from the bucket `name`, which is full when nobody drew from it lately. One round trip. */
  async draw(name: string, { perSecond, burst }: BucketShape, want: number): Promise<Allowance> {
    const [granted = 0, left = 0, nextMs = 0] = await this.#link.run<number[]>(DRAW, PREFIX + name, perSecond, burst, want)
    return { granted, left, nextMs }
  }

  /** Puts `count` (1 or more) back, as far as they fit. */
  async giveBack(name: string, { perSecond, burst }: BucketShape, count: number): Promise<void> {
    await this.#link.run(DRAW, PREFIX + name, perSecond, burst, -count)
  }

  async close(): Promise<void> {
    await this.#link.close()
  }
}
