/**
 * Owns the named routes of model calls as calls find them: all of one environment, remembered. Dropped on word of a change, and never older than the
 * limit when no word came. Refuses to wait for a database that is away while something young enough is known.
 */
import { hasCode } from '@sallyport/core'
import type { Clock, OrgId } from '@sallyport/core'
import type { Change, ModelRoute, Place } from '../db/index.ts'

/** By name, oldest first. */
export type NamedRoutes = ReadonlyMap<string, ModelRoute>

export interface ModelRoutes {
  /** Of one environment. At once when it is known. @throws what reading does, when nothing is known that is young enough. */
  of(org: OrgId, at: Place): NamedRoutes | Promise<NamedRoutes>
  /** Forgets what a change touches; `unknown` forgets everything. */
  heard(change: Change | 'unknown'): void
}

export interface ModelRoutesOptions {
  readonly read: (org: OrgId, at: Place) => Promise<readonly ModelRoute[]>
  readonly clock: Clock
}

/** Worst ages without word of a change, as of connections (G10). */
const MAX_AGE_MS = 10_000
const MAX_AGE_AWAY_MS = 30_000
/** Environments, over all organizations. */
const MAX_REMEMBERED = 10_000

interface Known {
  readonly routes: NamedRoutes
  readonly askedAt: number
}

export function createModelRoutes({ read, clock }: ModelRoutesOptions): ModelRoutes {
  const byOrg = new Map<OrgId, Map<string, Known>>()
  const reading = new Map<string, Promise<Known>>()
  let remembered = 0
  // What was read before a drop and arrives after it may show rows as they were.
  let drops = 0

  const known = (org: OrgId, place: string, ageMs: number): NamedRoutes | undefined => {
    const found = byOrg.get(org)?.get(place)
    return found !== undefined && clock.monotonic() - found.askedAt < ageMs ? found.routes : undefined
  }
  const forget = (org: OrgId): void => {
    remembered -= byOrg.get(org)?.size ?? 0
    byOrg.delete(org)
  }
  const keep = (org: OrgId, place: string, found: Known): void => {
    if (remembered >= MAX_REMEMBERED) forget(byOrg.keys().next().value!)
    const own = byOrg.get(org) ?? new Map<string, Known>()
    byOrg.set(org, own)
    if (!own.has(place)) remembered += 1
    own.set(place, found)
  }
  const ask = (org: OrgId, at: Place, place: string): Promise<Known> => {
    const name = `${org} ${place} ${drops}`
    const under = reading.get(name)
    if (under !== undefined) return under
    const [begun, askedAt] = [drops, clock.monotonic()]
    const asked = read(org, at)
      .then((routes) => {
        const found = { routes: new Map(routes.map((route) => [route.name, route])), askedAt }
        if (begun === drops) keep(org, place, found)
        return found
      })
      .finally(() => reading.delete(name))
    reading.set(name, asked)
    return asked
  }
  const load = async (org: OrgId, at: Place, place: string): Promise<NamedRoutes> => {
    try {
      return (await ask(org, at, place)).routes
    } catch (error) {
      const older = hasCode(error, 'database_unavailable') ? known(org, place, MAX_AGE_AWAY_MS) : undefined
      if (older === undefined) throw error
      return older
    }
  }
  return {
    of(org, at) {
      const place = `${at.project} ${at.environment}`
      return known(org, place, MAX_AGE_MS) ?? load(org, at, place)
    },
    heard(change) {
      if (change === 'unknown') {
        drops += 1
        remembered = 0
        byOrg.clear()
      } else if (change.table === 'model_route' || change.table === 'project' || change.table === 'organization') {
        drops += 1
        forget(change.org)
      }
    },
  }
}
