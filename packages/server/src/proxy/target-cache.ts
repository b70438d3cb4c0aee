/**
 * Owns what the hot path knows about integrations and connections without asking the database: rows as they were read, the
 * credential still sealed. Dropped when they change, and never older than the limit when no word of a change came.
 */
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

export interface TargetCache {
  /** What is known and fresh, without waiting. */
  peek(wanted: TargetWanted): ProxyTarget | undefined
  /** Reads it, once however many ask at the same time. */
  load(wanted: TargetWanted): Promise<ProxyTarget>
  /** Forgets what a change touches; `unknown` forgets everything. */
  drop(change: Change | 'unknown'): void
}

interface Entry {
  readonly target: ProxyTarget
  readonly readAt: number
}

export interface TargetCacheOptions {
  readonly read: (wanted: TargetWanted) => Promise<ProxyTarget>
  readonly clock: Clock
  /** Worst age when no notification arrives, in milliseconds (G10: 10 s). */
  readonly maxAgeMs: number
  /** Entries over all organizations. */
  readonly maxEntries: number
}

export function createTargetCache({ read, clock, maxAgeMs, maxEntries }: TargetCacheOptions): TargetCache {
  const byOrg = new Map<OrgId, Map<string, Entry>>()
  const loading = new Map<string, Promise<ProxyTarget>>()
  let entries = 0
  // Counts drops. What was read before a drop and arrives after it must not be kept: it may show the row as it was.
  let epoch = 0

  const peek = (wanted: TargetWanted): ProxyTarget | undefined => {
    const entry = byOrg.get(wanted.org)?.get(keyOf(wanted))
    return entry !== undefined && clock.monotonic() - entry.readAt < maxAgeMs ? entry.target : undefined
  }

  const keep = (wanted: TargetWanted, entry: Entry): void => {
    if (entries >= maxEntries) forgetOldestOrg()
    const own = byOrg.get(wanted.org) ?? new Map<string, Entry>()
    byOrg.set(wanted.org, own)
    const key = keyOf(wanted)
    if (!own.has(key)) entries += 1
    own.set(key, entry)
  }

  const forget = (org: OrgId): void => {
    entries -= byOrg.get(org)?.size ?? 0
    byOrg.delete(org)
  }

  const forgetOldestOrg = (): void => {
    const oldest = byOrg.keys().next()
    if (!oldest.done) forget(oldest.value)
  }

  const load = (wanted: TargetWanted): Promise<ProxyTarget> => {
    const flight = `${wanted.org} ${keyOf(wanted)} ${epoch}`
    const under = loading.get(flight)
    if (under !== undefined) return under
    const begun = epoch
    const readAt = clock.monotonic()
    const reading = read(wanted)
      .then((target) => {
        if (begun === epoch && target.connections.length > 0) keep(wanted, { target, readAt })
        return target
      })
      .finally(() => loading.delete(flight))
    loading.set(flight, reading)
    return reading
  }

  const drop = (change: Change | 'unknown'): void => {
    if (change !== 'unknown' && change.table === 'api_key') return
    epoch += 1
    if (change !== 'unknown') return forget(change.org)
    byOrg.clear()
    entries = 0
  }

  return { peek, load, drop }
}

/** Every discriminator of the answer; the parts can't run into each other because none but the last may hold a space. */
function keyOf({ project, environment, integration, selector }: TargetWanted): string {
  const which: ConnectionId | string = selector.connection ?? `user ${selector.endUser ?? ''}`
  return `${project} ${environment} ${integration} ${which}`
}
