/**
 * Owns lineages in this process's memory. For development and tests: they end with the process, and no other process sees them. Refuses
 * nothing of the port all the same: every step is atomic because none of it waits.
 */
import { digestEquals } from '../../crypto/index.ts'
import type { Clock } from '../../kernel/index.ts'
import type { CredentialRef, GrantStatus, RefreshFailure, RefreshIntent, SaveOutcome, StoreDurability } from '../../tokens/index.ts'
import { ChangeListeners } from '../listeners.ts'
import { nextFailure } from '../records.ts'
import type { LineageRecords, SealedAt, SealedEntry, SealedState, SealedVersion } from '../records.ts'

interface MemoryVersion extends SealedVersion {
  sealed: Uint8Array
  readonly renewable: boolean
  /** The intent that made it, and what its saver was told. */
  readonly made: { readonly intent: string; readonly outcome: SaveOutcome } | null
}

interface MemoryCredential {
  readonly ref: CredentialRef
  generation: number
  status: GrantStatus
  headSeq: bigint
  lastSeq: bigint
  intent: RefreshIntent | null
  failure: RefreshFailure | null
  readonly versions: Map<bigint, MemoryVersion>
  readonly unread: Map<string, { sealed: Uint8Array; readonly at: number }>
}

/** What several memory stores of one process share, as several processes share a database. */
export class CredentialMemory {
  readonly credentials = new Map<string, MemoryCredential>()
  readonly keyChecks = new Map<string, Uint8Array>()
  readonly listeners = new ChangeListeners()
  /** Never used twice, not even by a credential that was removed and connected anew. */
  lastGeneration = 0
}

const DURABILITY: StoreDurability = {
  kind: 'none',
  limits: [
    'Development only: everything is lost when the process ends, and every user has to connect again.',
    'No other process sees it: two processes would each refresh, and under rotation lose, what they take for their own.',
  ],
}

export function memoryRecords(memory: CredentialMemory, clock: Clock): LineageRecords {
  const { credentials, listeners } = memory
  const find = (ref: CredentialRef): MemoryCredential | undefined => credentials.get(nameOf(ref))
  const changed = (ref: CredentialRef): true => {
    listeners.tell(ref)
    return true
  }
  const all = (): MemoryCredential[] => [...credentials.values()]

  return {
    kind: 'memory',
    durability: DURABILITY,
    prepare: async () => undefined,

    async read(ref) {
      const credential = find(ref)
      return credential && stateOf(credential, clock.now())
    },

    async connect(ref, version) {
      const { lastSeq, versions, unread } = find(ref) ?? { lastSeq: 0n, versions: new Map(), unread: new Map() }
      const seq = lastSeq + 1n
      const generation = ++memory.lastGeneration
      const sealed = version.seal(seq)
      versions.set(seq, { seq, parentSeq: null, generation, sealed, obtainedAt: clock.now(), renewable: version.renewable, made: null })
      const fresh = { generation, status: 'active', headSeq: seq, lastSeq: seq, intent: null, failure: null } as const
      credentials.set(nameOf(ref), { ref: { scope: ref.scope, id: ref.id }, ...fresh, versions, unread })
      changed(ref)
      return { generation, seq }
    },

    async begin(ref, { generation, headSeq, parentSeq, replaces }, made) {
      const credential = find(ref)
      if (credential?.status !== 'active' || credential.generation !== generation || credential.headSeq !== headSeq) return undefined
      if ((credential.intent?.id ?? null) !== replaces) return undefined
      const parent = credential.versions.get(parentSeq)
      if (parent?.generation !== generation) return undefined
      const intent: RefreshIntent = { ...made, generation, parentSeq, headSeq, startedAt: clock.now(), state: 'calling' }
      credential.intent = intent
      changed(ref)
      return { intent, parent: versionOf(parent) }
    },

    async save(ref, { intent, generation, parentSeq, keepsRefreshToken }, version) {
      const credential = find(ref)
      if (credential === undefined) return 'ended'
      const earlier = [...credential.versions.values()].find(({ made }) => made?.intent === intent)
      if (earlier?.made) return earlier.made.outcome
      if (credential.generation !== generation || credential.status === 'revoked') return 'ended'
      const own = credential.intent?.id === intent ? credential.intent : null
      const outrun = keepsRefreshToken === true && own === null && credential.intent !== null
      const outcome = credential.headSeq === (own?.headSeq ?? parentSeq) && !outrun ? 'head' : 'sibling'
      const seq = credential.lastSeq + 1n
      const [sealed, obtainedAt, { renewable }] = [version.seal(seq), clock.now(), version]
      credential.lastSeq = seq
      credential.versions.set(seq, { seq, parentSeq, generation, sealed, obtainedAt, renewable, made: { intent, outcome } })
      if (own !== null) credential.intent = null
      if (outcome === 'head') Object.assign(credential, { headSeq: seq, status: 'active', failure: null })
      changed(ref)
      return outcome
    },

    async withdraw(ref, intent, note) {
      const credential = find(ref)
      if (credential?.intent?.id !== intent) return false
      credential.intent = null
      if (note !== null) credential.failure = nextFailure(credential.failure, note, clock.now())
      return changed(ref)
    },

    async doubt(ref, intent, note, answer) {
      const credential = find(ref)
      if (credential?.intent?.id !== intent) return false
      const now = clock.now()
      credential.intent = { ...credential.intent, state: 'unknown' }
      credential.failure = nextFailure(credential.failure, note, now)
      if (answer !== undefined) credential.unread.set(intent, { sealed: answer, at: now })
      return changed(ref)
    },

    async end(ref, { generation, headSeq }, status, trouble) {
      const credential = find(ref)
      if (credential === undefined || credential.generation !== generation) return false
      if (headSeq !== undefined && credential.headSeq !== headSeq) return false
      if (credential.status === 'revoked' && status !== 'revoked') return false
      if (credential.status === status) return true
      const failure = nextFailure(credential.failure, { trouble, retryInMs: 0 }, clock.now())
      Object.assign(credential, { status, intent: null, failure })
      return changed(ref)
    },

    async lineage(ref) {
      const credential = find(ref)
      if (credential === undefined) return undefined
      const { generation, headSeq, versions } = credential
      const others = [...versions.values()].filter((one) => one.generation === generation && one.seq !== headSeq)
      return { head: versionOf(versions.get(headSeq)!), others: others.map(versionOf).toSorted((a, b) => (a.seq < b.seq ? 1 : -1)) }
    },

    async interrupted(limit) {
      const now = clock.now()
      const begun = all().filter(
        ({ intent, failure }) => intent?.state === 'calling' || (intent !== null && (failure?.retryAt ?? now) <= now),
      )
      return oldestFirst(begun, ({ intent }) => intent!.startedAt, limit)
    },

    async idle(unusedSince, limit) {
      const now = clock.now()
      const idle = all().filter(
        (one) => one.status === 'active' && one.intent === null && (one.failure?.retryAt ?? now) <= now && head(one).renewable,
      )
      const unused = idle.filter((one) => head(one).obtainedAt < unusedSince)
      return oldestFirst(unused, (one) => head(one).obtainedAt, limit)
    },

    async ended(scopes, limit) {
      const now = clock.now()
      const due = all().filter(({ ref, status, failure }) => status === 'revoked' && scopes.includes(ref.scope) && failure!.retryAt <= now)
      const first = due.toSorted((a, b) => a.failure!.retryAt - b.failure!.retryAt).slice(0, limit)
      return first.map(({ ref, generation }) => ({ ref, generation }))
    },

    async endedCount(atMost) {
      return Math.min(atMost, all().filter(({ status }) => status === 'revoked').length)
    },

    async putOff(ref, generation, restMs) {
      const credential = find(ref)
      if (credential?.status !== 'revoked' || credential.generation !== generation) return false
      credential.failure = { ...credential.failure!, retryAt: clock.now() + restMs }
      return true
    },

    async prune(before) {
      return all().reduce((sum, credential) => sum + pruneOne(credential, before), 0)
    },

    async remove(ref, generation) {
      if (generation !== undefined && find(ref)?.generation !== generation) return false
      return credentials.delete(nameOf(ref)) && changed(ref)
    },

    async replace(ref, at, from, to) {
      const place = placeOf(find(ref), at)
      if (place === undefined || !digestEquals(place.sealed, from)) return false
      place.sealed = to
      return true
    },

    async *everything() {
      for (const credential of all()) yield entriesOf(credential)
    },

    async keyCheck(id, check) {
      if (!memory.keyChecks.has(id)) memory.keyChecks.set(id, check)
      return memory.keyChecks.get(id)!
    },

    onChange: (listener) => listeners.add(listener),
    close: async () => undefined,
  }
}

function nameOf({ scope, id }: CredentialRef): string {
  return JSON.stringify([scope, id])
}

function stateOf(credential: MemoryCredential, readAt: number): SealedState {
  const { ref, generation, status, intent, failure } = credential
  return { ref, generation, status, head: versionOf(head(credential)), intent, failure, readAt }
}

function head({ versions, headSeq }: MemoryCredential): MemoryVersion {
  return versions.get(headSeq)!
}

function versionOf({ seq, parentSeq, generation, sealed, obtainedAt }: MemoryVersion): SealedVersion {
  return { seq, parentSeq, generation, sealed, obtainedAt }
}

function placeOf(credential: MemoryCredential | undefined, at: SealedAt): { sealed: Uint8Array } | undefined {
  return 'seq' in at ? credential?.versions.get(at.seq) : credential?.unread.get(at.intent)
}

function entriesOf({ ref, versions, unread }: MemoryCredential): SealedEntry[] {
  return [
    ...[...versions.values()].map(({ seq, sealed }) => ({ ref, at: { seq }, sealed })),
    ...[...unread].map(([intent, { sealed }]) => ({ ref, at: { intent }, sealed })),
  ]
}

function pruneOne({ headSeq, intent, versions, unread }: MemoryCredential, before: number): number {
  const old = [...versions.values()].filter(({ seq, obtainedAt }) => seq !== headSeq && seq !== intent?.parentSeq && obtainedAt < before)
  for (const { seq } of old) versions.delete(seq)
  for (const [id, { at }] of unread) if (id !== intent?.id && at < before) unread.delete(id)
  return old.length
}

function oldestFirst(found: readonly MemoryCredential[], moment: (one: MemoryCredential) => number, limit: number): CredentialRef[] {
  return found
    .toSorted((a, b) => moment(a) - moment(b))
    .slice(0, limit)
    .map(({ ref }) => ref)
}
