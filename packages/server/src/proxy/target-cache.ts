/**
 * Owns what the hot path knows about integrations and connections without asking the database: rows as they were read, the
 * credential still sealed. Dropped when they change, and never older than the limit when no word of a change came. Refuses to
 * wait for a database that is away while something young enough is known.
 */
import { hasCode } from '@sallyport/core'
import type { Clock, ConnectionId, Environment, OrgId, ProjectId } from '@sallyport/core'
import type { Change, ProxyTarget } from '../db/index.ts'
import type { Selector } from './call.ts'

export interface TargetWanted {
  readonly org: OrgId
  readonly project: ProjectId
  readonly environment: Environment
  readonly integration: string
  readonly selector: Selector
}

/** A target with the moment it was asked for, by the monotonic clock. */
export interface KnownTarget extends ProxyTarget {
  readonly askedAt: number
}

export interface TargetCache {
  /** What is known and fresh, without waiting. */
  peek(wanted: TargetWanted): KnownTarget | undefined
  /**
   * Reads it, once however many ask at the same time. When the database is away, or says nothing for a moment, what is known is given
   * up to its longest age; once a change of it was heard, nothing is known.
   * @throws whatever `read` does, when there is nothing to give instead.
   */
  load(wanted: TargetWanted): Promise<KnownTarget>
  /** Forgets what a change touches; `unknown` forgets everything. */
  drop(change: Change | 'unknown'): void
}

export interface TargetCacheOptions {
  readonly read: (wanted: TargetWanted) => Promise<ProxyTarget>
  readonly clock: Clock
  /** Worst age when no notification arrives, in milliseconds (G10: 10 s). */
  readonly maxAgeMs: number
  /** Worst age while the database is away, in milliseconds. */
  readonly maxAgeAwayMs: number
  /** How long a read may take before something older is given; 0 gives it at once. */
  readonly patienceMs: number
  /** Entries over all organizations. */
  readonly maxEntries: number
}

/** Of one organization: what was asked for by connection, and what by end user. So that a change costs what it touches. */
interface Known {
  readonly named: Map<ConnectionId, Map<string, KnownTarget>>
  readonly ofUsers: Map<string, KnownTarget>
}

function drawer(known: Known | undefined, { selector }: TargetWanted): Map<string, KnownTarget> | undefined {
  return selector.connection === undefined ? known?.ofUsers : known?.named.get(selector.connection)
}

/** A read under way. */
interface Flight {
  readonly begunAt: number
  readonly target: Promise<KnownTarget>
}

export function createTargetCache(options: TargetCacheOptions): TargetCache {
  const { read, clock, maxAgeMs, maxAgeAwayMs, patienceMs, maxEntries } = options
  const byOrg = new Map<OrgId, Known>()
  const loading = new Map<string, Flight>()
  let entries = 0
  // Counts drops. What was read before a drop and arrives after it must not be kept: it may show the row as it was.
  let epoch = 0

  const known = (wanted: TargetWanted, ageMs: number): KnownTarget | undefined => {
    const target = drawer(byOrg.get(wanted.org), wanted)?.get(keyOf(wanted))
    return target !== undefined && clock.monotonic() - target.askedAt < ageMs ? target : undefined
  }

  const peek = (wanted: TargetWanted): KnownTarget | undefined => known(wanted, maxAgeMs)

  const keep = (wanted: TargetWanted, target: KnownTarget): void => {
    if (entries >= maxEntries) forgetOldestOrg()
    const own = byOrg.get(wanted.org) ?? { named: new Map(), ofUsers: new Map() }
    byOrg.set(wanted.org, own)
    const into = drawer(own, wanted) ?? new Map<string, KnownTarget>()
    if (wanted.selector.connection !== undefined) own.named.set(wanted.selector.connection, into)
    const key = keyOf(wanted)
    if (!into.has(key)) entries += 1
    into.set(key, target)
  }

  const forget = (org: OrgId): void => {
    const own = byOrg.get(org)
    if (own === undefined) return
    entries -= own.ofUsers.size
    for (const { size } of own.named.values()) entries -= size
    byOrg.delete(org)
  }

  /** What one connection's change can touch: itself, and its user's choice among several. */
  const forgetConnection = (org: OrgId, id: ConnectionId): void => {
    const own = byOrg.get(org)
    if (own === undefined) return
    entries -= own.ofUsers.size + (own.named.get(id)?.size ?? 0)
    own.ofUsers.clear()
    own.named.delete(id)
  }

  const forgetOldestOrg = (): void => {
    const oldest = byOrg.keys().next()
    if (!oldest.done) forget(oldest.value)
  }

  const fly = (wanted: TargetWanted): Flight => {
    const name = `${wanted.org} ${keyOf(wanted)} ${epoch}`
    const under = loading.get(name)
    if (under !== undefined) return under
    const begun = epoch
    const begunAt = clock.monotonic()
    const target = read(wanted)
      .then((read) => {
        const found: KnownTarget = Object.assign(read, { askedAt: begunAt })
        if (begun === epoch && found.connections.length > 0) keep(wanted, found)
        return found
      })
      .finally(() => loading.delete(name))
    const flight = { begunAt, target }
    loading.set(name, flight)
    return flight
  }

  const load = async (wanted: TargetWanted): Promise<KnownTarget> => {
    const { begunAt, target } = fly(wanted)
    try {
      // Who joins a read that is late already waits no longer than who began it.
      const left = patienceMs - (clock.monotonic() - begunAt)
      const inTime = known(wanted, maxAgeAwayMs) === undefined ? await target : await within(target, left)
      // Asked again: word of a change may have come meanwhile.
      return inTime ?? known(wanted, maxAgeAwayMs) ?? (await target)
    } catch (error) {
      const older = hasCode(error, 'database_unavailable') ? known(wanted, maxAgeAwayMs) : undefined
      if (older === undefined) throw error
      return older
    }
  }

  const drop = (change: Change | 'unknown'): void => {
    // Who may call, and who belongs where, is nothing that a target says.
    if (change !== 'unknown' && (change.table === 'api_key' || change.table === 'membership')) return
    epoch += 1
    if (change !== 'unknown')
      return change.table === 'connection' ? forgetConnection(change.org, change.id as ConnectionId) : forget(change.org)
    byOrg.clear()
    entries = 0
  }

  return { peek, load, drop }
}

/** What `promise` gives or throws, or undefined when it takes longer than `ms`. Its failure afterwards is nobody's news. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), Math.max(0, ms))))
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Every discriminator of the answer; the parts can't run into each other because none but the last may hold a space. */
function keyOf({ project, environment, integration, selector }: TargetWanted): string {
  const which: ConnectionId | string = selector.connection ?? `user ${selector.endUser ?? ''}`
  return `${project} ${environment} ${integration} ${which}`
}
