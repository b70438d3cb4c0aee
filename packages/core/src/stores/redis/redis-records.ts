/** Owns lineages in Redis (scripts.ts says how they lie there). Refuses expiry: nothing here ends because time has passed. */
import type {
  CredentialRef,
  EndedGrant,
  GrantStatus,
  RefreshFailure,
  RefreshIntent,
  RefreshTrouble,
  SaveOutcome,
  StoreDurability,
} from '../../tokens/index.ts'
import type { ChangeListeners } from '../listeners.ts'
import { storeUnavailable } from '../records.ts'
import type { LineageRecords, SealedAt, SealedEntry, SealedState, SealedVersion } from '../records.ts'
import type { RedisLink } from './connection.ts'
import * as lua from './scripts.ts'

export interface RedisRecordsParts {
  readonly link: RedisLink
  readonly durability: () => StoreDurability
  readonly prepare: () => Promise<void>
  readonly listeners: ChangeListeners
  /** Begins to listen for changes. */
  readonly listen: () => void
  readonly close: () => Promise<void>
}

const CREDENTIALS = 'sallyport:credential:'
const INTERRUPTED = 'sallyport:interrupted'
/** Grants that the application ended, by when they are due: see `EndedGrants`. */
const ENDED = 'sallyport:ended'
const KEY_CHECKS = 'sallyport:key-check'
/** Attempts to be the next version. Whenever one fails another has succeeded, so this many have to come at once. */
const MAX_TURNS = 100
const SCAN_COUNT = 500
const LOOK_AT = 100

export function redisRecords({ link, durability, prepare, listeners, listen, close }: RedisRecordsParts): LineageRecords {
  /** Takes an intent off the list. Left on it, it is found to be none later: so nobody waits, and nothing fails. */
  const strike = (ref: CredentialRef, intent: string): void => {
    if (intent !== '') void link.ask('ZREM', INTERRUPTED, entryOf(ref, intent)).catch(() => undefined)
  }

  const strikeEnded = (ref: CredentialRef, generation: string): void => {
    if (generation !== '') void link.ask('ZREM', ENDED, entryOf(ref, generation)).catch(() => undefined)
  }

  return {
    kind: 'redis',
    get durability() {
      return durability()
    },
    prepare,

    async read(ref) {
      const found = await link.run<(Buffer | null)[] | null>(lua.READ, keyOf(ref))
      return found === null ? undefined : stateOf(ref, found)
    },

    async connect(ref, version) {
      for (let turn = 0; turn < MAX_TURNS; turn++) {
        const last = BigInt(String((await link.ask<Buffer | null>('HGET', keyOf(ref), 'last')) ?? 0))
        const seq = last + 1n
        const renewable = version.renewable ? 1 : 0
        const made = await link.run<Buffer[] | null>(
          lua.CONNECT,
          keyOf(ref),
          String(last),
          String(seq),
          renewable,
          version.seal(seq),
          notice(ref),
        )
        if (made !== null) {
          strike(ref, String(made[1]))
          strikeEnded(ref, String(made[2]))
          return { generation: Number(made[0]), seq }
        }
      }
      throw storeUnavailable('redis')
    },

    async begin(ref, { generation, headSeq, parentSeq, replaces }, { id, node, attempt }) {
      // On the list first: an intent that is written must be found by recovery, one that is only listed is looked at in vain.
      const enlisted = await link.run<Buffer>(lua.ENLIST, INTERRUPTED, entryOf(ref, id))
      const from = [String(generation), String(headSeq), String(parentSeq), replaces ?? '']
      const begun = await link.run<Buffer[] | null>(lua.BEGIN, keyOf(ref), ...from, id, node, attempt, enlisted, notice(ref))
      if (begun === null) {
        strike(ref, id)
        return undefined
      }
      strike(ref, replaces ?? '')
      const [started, description, sealed] = begun
      const intent: RefreshIntent = { id, generation, parentSeq, headSeq, attempt, node, startedAt: Number(started), state: 'calling' }
      return { intent, parent: versionOf(parentSeq, description!, sealed!) }
    },

    async save(ref, { intent, generation, parentSeq, keepsRefreshToken }, version) {
      for (let turn = 0; turn < MAX_TURNS; turn++) {
        const found = String(await link.run<Buffer | null>(lua.BEFORE_SAVE, keyOf(ref), String(generation), intent))
        if (isOutcome(found)) {
          strike(ref, intent)
          return found
        }
        const seq = BigInt(found) + 1n
        const [place, renewable, sealed] = [[String(parentSeq), found, String(seq)], version.renewable ? 1 : 0, version.seal(seq)]
        const saved = await link.run<Buffer | null>(
          lua.SAVE,
          keyOf(ref),
          String(generation),
          intent,
          ...place,
          renewable,
          sealed,
          notice(ref),
          keepsRefreshToken === true ? 1 : 0,
        )
        if (saved !== null) {
          strike(ref, intent)
          return String(saved) as SaveOutcome
        }
      }
      throw storeUnavailable('redis')
    },

    async withdraw(ref, intent, note) {
      const done = await link.run<number>(lua.WITHDRAW, keyOf(ref), intent, note?.trouble ?? '', note?.retryInMs ?? 0, notice(ref))
      if (done === 1) strike(ref, intent)
      return done === 1
    },

    async doubt(ref, intent, { trouble, retryInMs }, answer) {
      return (await link.run<number>(lua.DOUBT, keyOf(ref), intent, trouble, retryInMs, answer ?? '', notice(ref))) === 1
    },

    async end(ref, { generation, headSeq }, status, trouble) {
      const at = [String(generation), headSeq === undefined ? '' : String(headSeq)]
      for (let turn = 0; turn < MAX_TURNS; turn++) {
        // On the list first, as with intents: what ends unlisted would be taken back by nobody.
        const enlisted = status === 'revoked' ? await link.run<Buffer>(lua.ENLIST_ENDED, ENDED, entryOf(ref, at[0]!)) : ''
        const intent = await link.run<Buffer | null>(lua.END, keyOf(ref), ...at, status, trouble, notice(ref), enlisted)
        if (intent === null) return false
        if (String(intent) === 'late') continue
        strike(ref, String(intent))
        return true
      }
      throw storeUnavailable('redis')
    },

    async lineage(ref) {
      const found = await link.run<Buffer[] | null>(lua.LINEAGE, keyOf(ref))
      if (found === null) return undefined
      const head = BigInt(String(found[0]))
      const versions = Array.from({ length: (found.length - 1) / 3 }, (_, i) =>
        versionOf(BigInt(String(found[1 + 3 * i])), found[2 + 3 * i]!, found[3 + 3 * i]!),
      )
      const newestFirst = versions.toSorted((a, b) => (a.seq < b.seq ? 1 : -1))
      return { head: versions.find(({ seq }) => seq === head)!, others: newestFirst.filter(({ seq }) => seq !== head) }
    },

    async interrupted(limit) {
      const found: CredentialRef[] = []
      const now = await timeOf(link)
      for (let from = 0; found.length < limit;) {
        const listed = await link.ask<Buffer[]>('ZRANGE', INTERRUPTED, from, from + LOOK_AT - 1, 'WITHSCORES')
        if (listed.length === 0) break
        const looked = await Promise.all(pairs(listed).map(([entry, at]) => lookAt(link, String(entry), Number(at), now)))
        found.push(...looked.filter((one) => typeof one === 'object'))
        from += looked.filter((one) => one !== 'struck').length
      }
      return found.slice(0, limit)
    },

    async idle(unusedSince, limit) {
      const found: { readonly ref: CredentialRef; readonly obtained: number }[] = []
      for await (const keys of credentialKeys(link)) {
        const obtained = await Promise.all(keys.map((key) => link.run<Buffer | null>(lua.IDLE, key, unusedSince)))
        found.push(...keys.flatMap((key, i) => (obtained[i] === null ? [] : [{ ref: refOf(key), obtained: Number(obtained[i]) }])))
      }
      const unique = new Map(found.map((one) => [keyOf(one.ref), one])).values()
      return [...unique]
        .toSorted((a, b) => a.obtained - b.obtained)
        .slice(0, limit)
        .map(({ ref }) => ref)
    },

    async ended(scopes, limit) {
      const found: EndedGrant[] = []
      const now = await timeOf(link)
      for (let from = 0; found.length < limit;) {
        const listed = await link.ask<Buffer[]>('ZRANGEBYSCORE', ENDED, '-inf', now, 'WITHSCORES', 'LIMIT', from, LOOK_AT)
        if (listed.length === 0) break
        const looked = await Promise.all(pairs(listed).map(([entry, at]) => lookAtEnded(link, String(entry), Number(at), now)))
        found.push(...looked.flatMap((one) => (typeof one === 'object' && scopes.includes(one.ref.scope) ? [one] : [])))
        from += looked.filter((one) => one !== 'struck').length
      }
      return found.slice(0, limit)
    },

    endedCount: async (atMost) => Math.min(atMost, await link.ask<number>('ZCARD', ENDED)),

    async putOff(ref, generation, restMs) {
      const due = await link.run<Buffer | null>(lua.PUT_OFF, keyOf(ref), String(generation), restMs)
      // Left with an earlier time it is looked at too often, and found to rest.
      if (due !== null) await link.ask('ZADD', ENDED, due, entryOf(ref, String(generation)))
      return due !== null
    },

    async prune(before) {
      let all = 0
      for await (const keys of credentialKeys(link)) {
        const counts = await Promise.all(keys.map((key) => link.run<number>(lua.PRUNE, key, before)))
        all += counts.reduce((sum, count) => sum + count, 0)
      }
      return all
    },

    async remove(ref, generation) {
      const wanted = generation === undefined ? '' : String(generation)
      const gone = await link.run<Buffer[] | null>(lua.REMOVE, keyOf(ref), notice(ref), wanted)
      if (gone === null) return false
      strike(ref, String(gone[0]))
      strikeEnded(ref, String(gone[1]))
      return true
    },

    async replace(ref, at, from, to) {
      return (await link.run<number>(lua.REPLACE, keyOf(ref), fieldOf(at), from, to)) === 1
    },

    async *everything() {
      for await (const keys of credentialKeys(link)) {
        for (const key of keys) {
          const fields = pairs(await link.ask<Buffer[]>('HGETALL', key))
          const entries = fields.flatMap(([field, sealed]): SealedEntry[] => {
            const at = placeOf(String(field))
            return at === undefined ? [] : [{ ref: refOf(key), at, sealed }]
          })
          if (entries.length > 0) yield entries
        }
      }
    },

    async keyCheck(id, check) {
      await link.ask('HSETNX', KEY_CHECKS, id, check)
      const standing = await link.ask<Buffer | null>('HGET', KEY_CHECKS, id)
      if (standing === null) throw storeUnavailable('redis')
      return standing
    },

    onChange(listener) {
      listen()
      return listeners.add(listener)
    },

    close,
  }
}

/**
 * Whether an entry of the list stands for an intent that may be tried now. One that stands for none may be about to: it is struck off when its time
 * to be written is over twice.
 */
async function lookAt(link: RedisLink, entry: string, listedAt: number, now: number): Promise<CredentialRef | 'struck' | 'kept'> {
  const [intent, scope, id] = JSON.parse(entry) as [string, string, string]
  const [standing = null, state, retryAt] = await link.ask<(Buffer | null)[]>('HMGET', keyOf({ scope, id }), 'ii', 'ist', 'fr')
  if (standing !== null && String(standing) === intent) {
    const rests = String(state) === 'unknown' && Number(retryAt ?? 0) > now
    return rests ? 'kept' : { scope, id }
  }
  if (now - listedAt < 2 * lua.ENLISTED_MS) return 'kept'
  await link.ask('ZREM', INTERRUPTED, entry)
  return 'struck'
}

/** The same for an entry of those that were ended, by its generation. */
async function lookAtEnded(link: RedisLink, entry: string, dueAt: number, now: number): Promise<EndedGrant | 'struck' | 'kept'> {
  const [generation, scope, id] = JSON.parse(entry) as [string, string, string]
  const [standing, status, retryAt] = await link.ask<(Buffer | null)[]>('HMGET', keyOf({ scope, id }), 'gen', 'status', 'fr')
  if (String(standing) === generation && String(status) === 'revoked')
    return Number(retryAt) > now ? 'kept' : { ref: { scope, id }, generation: Number(generation) }
  if (now - dueAt < 2 * lua.ENLISTED_MS) return 'kept'
  await link.ask('ZREM', ENDED, entry)
  return 'struck'
}

async function timeOf(link: RedisLink): Promise<number> {
  const [seconds, micros] = await link.ask<Buffer[]>('TIME')
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
}

/** Every credential's key, at least once. */
async function* credentialKeys(link: RedisLink): AsyncGenerator<readonly string[]> {
  let cursor = '0'
  do {
    const [next, keys] = await link.ask<[Buffer, Buffer[]]>('SCAN', cursor, 'MATCH', `${CREDENTIALS}*`, 'COUNT', SCAN_COUNT)
    if (keys.length > 0) yield keys.map(String)
    cursor = String(next)
  } while (cursor !== '0')
}

/** The braces say which part of the key decides where it lives; none can stand in an escaped name. */
function keyOf({ scope, id }: CredentialRef): string {
  return `${CREDENTIALS}{${encodeURIComponent(scope)}:${encodeURIComponent(id)}}`
}

function refOf(key: string): CredentialRef {
  const [scope = '', id = ''] = key.slice(CREDENTIALS.length + 1, -1).split(':')
  return { scope: decodeURIComponent(scope), id: decodeURIComponent(id) }
}

function entryOf({ scope, id }: CredentialRef, intent: string): string {
  return JSON.stringify([intent, scope, id])
}

function notice({ scope, id }: CredentialRef): string {
  return JSON.stringify([scope, id])
}

function fieldOf(at: SealedAt): string {
  return 'seq' in at ? `v:${at.seq}` : `u:${at.intent}`
}

function placeOf(field: string): SealedAt | undefined {
  if (field.startsWith('v:')) return { seq: BigInt(field.slice(2)) }
  return field.startsWith('u:') ? { intent: field.slice(2) } : undefined
}

function isOutcome(text: string): text is SaveOutcome {
  return text === 'head' || text === 'sibling' || text === 'ended'
}

function pairs(flat: readonly Buffer[]): [Buffer, Buffer][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!])
}

function versionOf(seq: bigint, description: Buffer, sealed: Buffer): SealedVersion {
  const [parent, generation, obtained] = String(description).split(' ')
  return { seq, parentSeq: parent === '-' ? null : BigInt(parent!), generation: Number(generation), obtainedAt: Number(obtained), sealed }
}

function stateOf({ scope, id }: CredentialRef, found: readonly (Buffer | null)[]): SealedState {
  const [now, head, generation, status, ii, ip, ih, ia, node, is, ist, tr, fa, fn, fr] = found.map((one) =>
    one === null ? null : String(one),
  )
  const [description, sealed] = found.slice(-2)
  const intent: RefreshIntent | null =
    ii == null
      ? null
      : {
          id: ii,
          generation: Number(generation),
          parentSeq: BigInt(ip!),
          headSeq: BigInt(ih!),
          attempt: Number(ia),
          node: node!,
          startedAt: Number(is),
          state: ist as RefreshIntent['state'],
        }
  const failure: RefreshFailure | null =
    tr == null ? null : { trouble: tr as RefreshTrouble, at: Number(fa), failures: Number(fn), retryAt: Number(fr) }
  return {
    ref: { scope, id },
    generation: Number(generation),
    status: status as GrantStatus,
    head: versionOf(BigInt(head!), description!, sealed!),
    intent,
    failure,
    readAt: Number(now),
  }
}
