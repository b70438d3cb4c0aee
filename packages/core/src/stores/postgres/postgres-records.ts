/**
 * Owns lineages in PostgreSQL's tables (schema.ts). Refuses transactions that span a round trip: a process that stops in the midst of one
 * would hold its locks. Each step is one statement, judged against the row as it is when its turn comes.
 */
import type { CredentialRef, GrantStatus, RefreshFailure, RefreshIntent, RefreshTrouble, StoreDurability } from '../../tokens/index.ts'
import { storeUnavailable } from '../records.ts'
import type { ChangeListeners } from '../listeners.ts'
import type { LineageRecords, SealedAt, SealedEntry, SealedState, SealedVersion } from '../records.ts'
import type { PostgresDatabase, SqlValue } from './database.ts'
import * as sql from './statements.ts'

export interface PostgresRecordsParts {
  readonly database: PostgresDatabase
  readonly durability: () => StoreDurability
  readonly prepare: () => Promise<void>
  readonly listeners: ChangeListeners
  /** Begins to listen for changes. */
  readonly listen: () => void
  readonly close: () => Promise<void>
}

/** Attempts to be the next version. Whenever one fails another has succeeded, so this many have to come at once. */
const MAX_TURNS = 100
const PRUNE_BATCH = 1_000
const SWEEP_BATCH = 200

export function postgresRecords({ database, durability, prepare, listeners, listen, close }: PostgresRecordsParts): LineageRecords {
  const one = async <Row extends object>(text: string, values: readonly SqlValue[]): Promise<Row | undefined> =>
    (await database.query<Row & Record<string, unknown>>(text, values))[0]
  const refs = async (text: string, values: readonly SqlValue[]): Promise<CredentialRef[]> =>
    (await database.query<{ scope: string; id: string }>(text, values)).map(({ scope, id }) => ({ scope, id }))

  return {
    kind: 'postgres',
    get durability() {
      return durability()
    },
    prepare,

    async read(ref) {
      const row = await one<StateRow>(sql.READ, names(ref))
      return row && stateOf(ref, row)
    },

    async connect(ref, version) {
      for (let turn = 0; turn < MAX_TURNS; turn++) {
        const found = await one<{ last_seq: string }>(sql.LAST_SEQ, names(ref))
        const last = BigInt(found?.last_seq ?? 0)
        const seq = last + 1n
        const made = await one<{ generation: string }>(sql.CONNECT, [
          ...names(ref),
          last,
          seq,
          version.renewable,
          version.seal(seq),
          notice(ref),
        ])
        if (made !== undefined) return { generation: Number(made.generation), seq }
      }
      throw storeUnavailable('postgres')
    },

    async begin(ref, { generation, headSeq, parentSeq, replaces }, { id, node, attempt }) {
      const values = [...names(ref), generation, headSeq, parentSeq, replaces, id, node, attempt, notice(ref)]
      const row = await one<VersionRow & { started: string }>(sql.BEGIN, values)
      if (row === undefined) return undefined
      const intent: RefreshIntent = { id, generation, parentSeq, headSeq, attempt, node, startedAt: Number(row.started), state: 'calling' }
      return { intent, parent: versionOf(row) }
    },

    async save(ref, { intent, generation, parentSeq, keepsRefreshToken = false }, version) {
      for (let turn = 0; turn < MAX_TURNS; turn++) {
        const found = await one<{ last_seq: string; open: boolean; outcome: 'head' | 'sibling' | null }>(sql.BEFORE_SAVE, [
          ...names(ref),
          generation,
          intent,
        ])
        if (found?.outcome) return found.outcome
        if (!found?.open) return 'ended'
        const last = BigInt(found.last_seq)
        const [seq, { renewable }] = [last + 1n, version]
        const place = [...names(ref), generation, intent, parentSeq, last, seq]
        const values = [...place, renewable, version.seal(seq), notice(ref), keepsRefreshToken]
        const saved = await one<{ outcome: 'head' | 'sibling' }>(sql.SAVE, values)
        if (saved !== undefined) return saved.outcome
      }
      throw storeUnavailable('postgres')
    },

    async withdraw(ref, intent, note) {
      const values = [...names(ref), intent, note?.trouble ?? null, note?.retryInMs ?? null, notice(ref)]
      return (await one(sql.WITHDRAW, values)) !== undefined
    },

    async doubt(ref, intent, { trouble, retryInMs }, answer) {
      const values = [...names(ref), intent, trouble, retryInMs, answer ?? null, notice(ref)]
      return (await one(sql.DOUBT, values)) !== undefined
    },

    async end(ref, { generation, headSeq }, status, trouble) {
      const values = [...names(ref), generation, headSeq ?? null, status, trouble, notice(ref)]
      return (await one(sql.END, values)) !== undefined
    },

    async lineage(ref) {
      const rows = await database.query<VersionRow & { is_head: boolean }>(sql.LINEAGE, names(ref))
      const head = rows.find(({ is_head }) => is_head)
      return head && { head: versionOf(head), others: rows.filter((row) => row !== head).map(versionOf) }
    },

    interrupted: (limit) => refs(sql.INTERRUPTED, [limit]),
    idle: (unusedSince, limit) => refs(sql.IDLE, [unusedSince, limit]),

    async ended(scopes, limit) {
      const rows = await database.query<CredentialRef & { generation: string }>(sql.ENDED, [JSON.stringify(scopes), limit])
      return rows.map(({ scope, id, generation }) => ({ ref: { scope, id }, generation: Number(generation) }))
    },

    endedCount: async (atMost) => Number((await one<{ ended: string }>(sql.ENDED_COUNT, [atMost]))!.ended),
    putOff: async (ref, generation, restMs) => (await one(sql.PUT_OFF, [...names(ref), generation, restMs])) !== undefined,

    async prune(before) {
      let all = 0
      for (;;) {
        const row = await one<{ versions: string }>(sql.PRUNE, [before, PRUNE_BATCH])
        const versions = Number(row!.versions)
        all += versions
        if (versions === 0) break
      }
      await database.query(sql.PRUNE_UNREAD, [before])
      return all
    },

    remove: async (ref, generation) => (await one(sql.REMOVE, [...names(ref), notice(ref), generation ?? null])) !== undefined,

    async replace(ref, at, from, to) {
      const rows =
        'seq' in at
          ? await database.query(sql.REPLACE_VERSION, [...names(ref), at.seq, from, to])
          : await database.query(sql.REPLACE_UNREAD, [...names(ref), at.intent, from, to])
      return rows.length > 0
    },

    async *everything() {
      yield* pages(database, sql.VERSIONS_AFTER, ({ seq }) => ({ seq: BigInt(seq!) }), '0')
      yield* pages(database, sql.UNREAD_AFTER, ({ intent }) => ({ intent: intent! }), '')
    },

    async keyCheck(id, check) {
      await database.query(sql.PUT_KEY_CHECK, [id, check])
      return (await one<{ sealed: Buffer }>(sql.KEY_CHECK, [id]))!.sealed
    },

    onChange(listener) {
      listen()
      return listeners.add(listener)
    },

    close,
  }
}

interface SealedRow {
  readonly scope: string
  readonly id: string
  readonly seq?: string
  readonly intent?: string
  readonly sealed: Buffer
}

/** By key, so that rows that come and go meanwhile move nothing. */
async function* pages(
  database: PostgresDatabase,
  statement: string,
  at: (row: SealedRow) => SealedAt,
  first: string,
): AsyncGenerator<readonly SealedEntry[]> {
  let after: readonly SqlValue[] = ['', '', first]
  for (;;) {
    const rows = await database.query<SealedRow & Record<string, unknown>>(statement, [...after, SWEEP_BATCH])
    const last = rows.at(-1)
    if (last === undefined) return
    yield rows.map((row) => ({ ref: { scope: row.scope, id: row.id }, at: at(row), sealed: row.sealed }))
    after = [last.scope, last.id, last.seq ?? last.intent!]
  }
}

interface VersionRow {
  readonly seq: string
  readonly parent_seq: string | null
  readonly generation: string
  readonly obtained_at: string
  readonly sealed: Buffer
}

interface StateRow extends VersionRow {
  readonly status: GrantStatus
  readonly now: string
  readonly intent_id: string | null
  readonly intent_parent: string
  readonly intent_head: string
  readonly intent_attempt: number
  readonly intent_node: string
  readonly intent_started_at: string
  readonly intent_state: RefreshIntent['state']
  readonly trouble: RefreshTrouble | null
  readonly failed_at: string
  readonly failures: number
  readonly retry_at: string
}

function versionOf(row: VersionRow): SealedVersion {
  return {
    seq: BigInt(row.seq),
    parentSeq: row.parent_seq === null ? null : BigInt(row.parent_seq),
    generation: Number(row.generation),
    obtainedAt: Number(row.obtained_at),
    sealed: row.sealed,
  }
}

function stateOf({ scope, id }: CredentialRef, row: StateRow): SealedState {
  const head = versionOf(row)
  const { generation } = head
  return {
    ref: { scope, id },
    generation,
    status: row.status,
    head,
    intent: intentOf(row),
    failure: failureOf(row),
    readAt: Number(row.now),
  }
}

function intentOf(row: StateRow): RefreshIntent | null {
  if (row.intent_id === null) return null
  return {
    id: row.intent_id,
    generation: Number(row.generation),
    parentSeq: BigInt(row.intent_parent),
    headSeq: BigInt(row.intent_head),
    attempt: row.intent_attempt,
    node: row.intent_node,
    startedAt: Number(row.intent_started_at),
    state: row.intent_state,
  }
}

function failureOf(row: StateRow): RefreshFailure | null {
  if (row.trouble === null) return null
  return { trouble: row.trouble, at: Number(row.failed_at), failures: row.failures, retryAt: Number(row.retry_at) }
}

function names({ scope, id }: CredentialRef): [string, string] {
  return [scope, id]
}

const LONGEST_NOTICE = 7_000

/** Names that are too long to be told of are told of as something. */
function notice({ scope, id }: CredentialRef): string {
  const text = JSON.stringify([scope, id])
  return Buffer.byteLength(text) > LONGEST_NOTICE ? 'unknown' : text
}
