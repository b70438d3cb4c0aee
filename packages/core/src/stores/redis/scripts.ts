/**
 * Owns the steps of the token store in Redis, and how a credential lies there. Refuses a second key in any of them: a credential is one hash,
 * so that a step is atomic wherever the key lives, and a key that is gone is gone whole.
 *
 *   hash sallyport:credential:{scope:id}
 *     gen status head last       generation, status, number of the head and the last number given
 *     ii ip ih ia in is ist      intent: id, parent, head, attempt, node, started at, state; all or none of them
 *     tr fa fn fr                failure: trouble, at, failures, retry at; all or none of them
 *     v:<seq>                    an envelope
 *     m:<seq>                    of that version: parent or -, generation, obtained at, renewable, outcome or -, intent or -
 *     i:<intent>                 what the saver of this intent's answer was told
 *     u:<intent> a:<intent>      an answer that could not be read, in an envelope, and when it came
 *
 * Times are milliseconds by the server's clock. Nothing of it ever expires. A generation is the server's time in microseconds, or one more
 * than the last: it is never used twice, not even by a credential that was removed and connected anew.
 */
import { script } from './connection.ts'

/** What every step begins with. Numbers are written out: Lua would write large ones as powers of ten. */
const START = `
local key = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local function get(field) return redis.call('HGET', key, field) end
local function put(...) redis.call('HSET', key, ...) end
local function tell(notice) redis.call('PUBLISH', 'sallyport:credential', notice) end
local function drop_intent() redis.call('HDEL', key, 'ii', 'ip', 'ih', 'ia', 'in', 'is', 'ist') end
local function drop_failure() redis.call('HDEL', key, 'tr', 'fa', 'fn', 'fr') end
local function fail(trouble, retry)
  put('tr', trouble, 'fa', text(now), 'fn', text((tonumber(get('fn')) or 0) + 1), 'fr', text(now + tonumber(retry)))
end
`

/** now, then what stands, then the head's description and envelope. */
export const READ = script(`${START}
local head = get('head')
if not head then return false end
local of = redis.call('HMGET', key, 'gen', 'status', 'ii', 'ip', 'ih', 'ia', 'in', 'is', 'ist', 'tr', 'fa', 'fn', 'fr', 'm:' .. head, 'v:' .. head)
table.insert(of, 1, head)
table.insert(of, 1, text(now))
return of`)

/** 1 the last number as it was read, 2 the next, 3 renewable, 4 sealed, 5 notice. The generation, the intent that was there, and the generation that had ended. */
export const CONNECT = script(`${START}
if (get('last') or '0') ~= ARGV[1] then return false end
local generation = text(math.max((tonumber(get('gen')) or 0) + 1, clock[1] * 1000000 + clock[2]))
local intent = get('ii') or ''
local ended = get('status') == 'revoked' and get('gen') or ''
put('gen', generation, 'status', 'active', 'head', ARGV[2], 'last', ARGV[2], 'v:' .. ARGV[2], ARGV[4],
  'm:' .. ARGV[2], '- ' .. generation .. ' ' .. text(now) .. ' ' .. ARGV[3] .. ' - -')
drop_intent()
drop_failure()
tell(ARGV[5])
return {generation, intent, ended}`)

/** Puts an intent to be on the list of those that recovery looks at: 1 its entry. The time. */
export const ENLIST = script(`
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('ZADD', KEYS[1], now, ARGV[1])
return now`)

/** How long an entry of the list is valid before its intent is written, and twice that, how long one without intent is kept. */
export const ENLISTED_MS = 30_000

/**
 * 1 generation, 2 head, 3 parent, 4 replaces or '', 5 id, 6 node, 7 attempt, 8 when it was enlisted, 9 notice. The time, the parent's
 * description and envelope. Too late for its entry on the list it does nothing.
 */
export const BEGIN = script(`${START}
local at = redis.call('HMGET', key, 'status', 'gen', 'head', 'ii', 'm:' .. ARGV[3], 'v:' .. ARGV[3])
if at[1] ~= 'active' or at[2] ~= ARGV[1] or at[3] ~= ARGV[2] or (at[4] or '') ~= ARGV[4] or not at[5] then return false end
if string.match(at[5], '^%S+ (%S+)') ~= ARGV[1] then return false end
if now - tonumber(ARGV[8]) > ${ENLISTED_MS} then return false end
put('ii', ARGV[5], 'ip', ARGV[3], 'ih', ARGV[2], 'ia', ARGV[7], 'in', ARGV[6], 'is', text(now), 'ist', 'calling')
tell(ARGV[9])
return {text(now), at[5], at[6]}`)

/** 1 generation, 2 intent. What its saver was told before, or the last number given, or that nothing is kept. */
export const BEFORE_SAVE = script(`${START}
local told = get('i:' .. ARGV[2])
if told then return told end
if get('gen') ~= ARGV[1] or get('status') == 'revoked' then return 'ended' end
return get('last')`)

/** 1 generation, 2 intent, 3 parent, 4 the last number as it was read, 5 the next, 6 renewable, 7 sealed, 8 notice, 9 keeps the parent's refresh token. */
export const SAVE = script(`${START}
local at = redis.call('HMGET', key, 'gen', 'status', 'last', 'head', 'ii', 'ih')
if at[1] ~= ARGV[1] or at[2] == 'revoked' or at[3] ~= ARGV[4] or get('i:' .. ARGV[2]) then return false end
local own = at[5] == ARGV[2]
local outcome = 'sibling'
local outrun = ARGV[9] == '1' and at[5] and not own
if at[4] == (own and at[6] or ARGV[3]) and not outrun then outcome = 'head' end
put('last', ARGV[5], 'v:' .. ARGV[5], ARGV[7], 'i:' .. ARGV[2], outcome,
  'm:' .. ARGV[5], table.concat({ARGV[3], ARGV[1], text(now), ARGV[6], outcome, ARGV[2]}, ' '))
if own then drop_intent() end
if outcome == 'head' then
  put('head', ARGV[5], 'status', 'active')
  drop_failure()
end
tell(ARGV[8])
return outcome`)

/** 1 intent, 2 trouble or '', 3 milliseconds until it may be tried again, 4 notice. */
export const WITHDRAW = script(`${START}
if get('ii') ~= ARGV[1] then return 0 end
drop_intent()
if ARGV[2] ~= '' then fail(ARGV[2], ARGV[3]) end
tell(ARGV[4])
return 1`)

/** 1 intent, 2 trouble, 3 milliseconds until it may be tried again, 4 the answer sealed or '', 5 notice. */
export const DOUBT = script(`${START}
if get('ii') ~= ARGV[1] then return 0 end
put('ist', 'unknown')
fail(ARGV[2], ARGV[3])
if ARGV[4] ~= '' then put('u:' .. ARGV[1], ARGV[4], 'a:' .. ARGV[1], text(now)) end
tell(ARGV[5])
return 1`)

/** Puts a grant to be ended on the list of those whose tokens are to be taken back; one that rests stays as it is: 1 its entry. The time. */
export const ENLIST_ENDED = script(`
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) < tonumber(now) then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
return now`)

/**
 * 1 generation, 2 head or '', 3 status, 4 trouble, 5 notice, 6 when it was enlisted or ''. The intent that was there, if it was done. Too late
 * for its entry on the list it does nothing but say so.
 */
export const END = script(`${START}
if ARGV[6] ~= '' and now - tonumber(ARGV[6]) > ${ENLISTED_MS} then return 'late' end
local at = redis.call('HMGET', key, 'gen', 'head', 'status', 'ii')
if at[1] ~= ARGV[1] or (ARGV[2] ~= '' and at[2] ~= ARGV[2]) then return false end
if at[3] == 'revoked' and ARGV[3] ~= 'revoked' then return false end
if at[3] == ARGV[3] then return '' end
put('status', ARGV[3])
drop_intent()
fail(ARGV[4], 0)
tell(ARGV[5])
return at[4] or ''`)

/** The head's number, then number, description and envelope of each version of its generation, the head among them. */
export const LINEAGE = script(`${START}
local head = get('head')
if not head then return false end
local generation = get('gen')
local found = {head}
for _, field in ipairs(redis.call('HKEYS', key)) do
  local seq = string.match(field, '^m:(%d+)$')
  if seq then
    local description = get(field)
    if string.match(description, '^%S+ (%S+)') == generation then
      table.insert(found, seq)
      table.insert(found, description)
      table.insert(found, get('v:' .. seq))
    end
  end
end
return found`)

/** 1 before. How many versions went. */
export const PRUNE = script(`${START}
local head, parent, intent = get('head'), get('ip'), get('ii')
local before = tonumber(ARGV[1])
local gone = 0
for _, field in ipairs(redis.call('HKEYS', key)) do
  local seq = string.match(field, '^m:(%d+)$')
  if seq and seq ~= head and seq ~= parent then
    local obtained, made = string.match(get(field), '^%S+ %S+ (%S+) %S+ %S+ (.*)$')
    if tonumber(obtained) < before then
      redis.call('HDEL', key, field, 'v:' .. seq, 'i:' .. made)
      gone = gone + 1
    end
  end
  local unread = string.match(field, '^a:(.*)$')
  if unread and unread ~= intent and tonumber(get(field)) < before then redis.call('HDEL', key, field, 'u:' .. unread) end
end
return gone`)

/** 1 unused since. When the head was obtained, if the credential is idle. */
export const IDLE = script(`${START}
local at = redis.call('HMGET', key, 'status', 'ii', 'fr', 'head')
if at[1] ~= 'active' or at[2] or tonumber(at[3] or 0) > now then return false end
local obtained, renewable = string.match(get('m:' .. at[4]), '^%S+ %S+ (%S+) (%S+)')
if renewable ~= '1' or tonumber(obtained) >= tonumber(ARGV[1]) then return false end
return obtained`)

/** 1 generation, 2 how long it rests. Until when, if it is ended in that generation. */
export const PUT_OFF = script(`${START}
local at = redis.call('HMGET', key, 'gen', 'status')
if at[1] ~= ARGV[1] or at[2] ~= 'revoked' then return false end
put('fr', text(now + ARGV[2]))
return text(now + ARGV[2])`)

/** 1 notice, 2 generation or ''. The intent that was there and the generation, if the credential was, in that generation. */
export const REMOVE = script(`${START}
local intent, generation = get('ii'), get('gen')
if ARGV[2] ~= '' and generation ~= ARGV[2] then return false end
if redis.call('DEL', key) == 0 then return false end
tell(ARGV[1])
return {intent or '', generation}`)

/** 1 field, 2 what stands there, 3 what shall. */
export const REPLACE = script(`${START}
if get(ARGV[1]) ~= ARGV[2] then return 0 end
put(ARGV[1], ARGV[3])
return 1`)

/** 1 holder, 2 milliseconds. */
export const RENEW_LEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

/** 1 holder. */
export const DROP_LEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
