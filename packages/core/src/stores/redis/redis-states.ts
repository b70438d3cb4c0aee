/**
 * Owns sign-ins under way in Redis. Refuses to outlive their use: unlike a credential, each ends by itself.
 *
 *   hash sallyport:connect-state:<hash of the state>
 *     sealed    an envelope; gone once it was taken
 *     ends      milliseconds since the epoch by the server's clock
 */
import { STATE_MEMORY_MS } from '../../tokens/index.ts'
import type { ConnectStates } from '../../tokens/index.ts'
import { readEncryption } from '../encryption.ts'
import { createSealedStates } from '../sealed-states.ts'
import type { TakenRecord } from '../sealed-states.ts'
import { RedisLink, redisOptions, script } from './connection.ts'
import type { RedisStoreOptions } from './redis-store.ts'

const STATES = 'sallyport:connect-state:'

const START = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
`

/** 1 sealed, 2 how long it lives, 3 how long it is remembered after. */
const PUT = script(`${START}
redis.call('HSET', KEYS[1], 'sealed', ARGV[1], 'ends', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
return 1`)

/** The envelope in a list, or what the state is. */
const FOUND = `${START}
local at = redis.call('HMGET', KEYS[1], 'sealed', 'ends')
if not at[2] then return 'unknown' end
if not at[1] then return 'used' end
if now >= tonumber(at[2]) then return 'expired' end
`
const READ = script(`${FOUND}
return {at[1]}`)
const TAKE = script(`${FOUND}
redis.call('HDEL', KEYS[1], 'sealed')
return {at[1]}`)

/** @throws TokenError `store_misconfigured`, CryptoError `key_invalid` */
export function createRedisStates({ encryption, ...address }: RedisStoreOptions): ConnectStates {
  const keys = readEncryption(encryption)
  const link = new RedisLink(redisOptions(address))
  return createSealedStates(
    {
      async put(name, sealed, lifeMs) {
        await link.run(PUT, STATES + name, sealed, lifeMs, STATE_MEMORY_MS)
      },
      take: async (name) => record(await link.run<Found>(TAKE, STATES + name)),
      read: async (name) => record(await link.run<Found>(READ, STATES + name)),
      close: () => link.close(),
    },
    keys,
  )
}

type Found = Buffer | [Buffer]

function record(found: Found): TakenRecord {
  return Array.isArray(found) ? { kind: 'taken', sealed: found[0] } : { kind: String(found) as 'used' | 'expired' | 'unknown' }
}
