/**
 * Owns which origins projects list, remembered. Refuses to remember longer than ten seconds without word of a change, and to let strangers, who may
 * ask about any origin, keep the database busy.
 */
import type { Clock, OrgId, ProjectId } from '@sallyport/core'
import type { Change } from '../db/index.ts'

export interface ProjectOrigins {
  /** What a project lists. */
  of(org: OrgId, project: ProjectId): Promise<readonly string[]>
  /** Whether any project lists it. False, too, while too many others are asked about. */
  isKnown(origin: string): Promise<boolean>
  heard(change: Change | 'unknown'): void
}

const MAX_AGE_MS = 10_000
const MAX_REMEMBERED = 10_000
/** Questions about origins under way at a time. */
const MAX_ASKED = 8
/** RFC 6454 names no bound; a host name has 253 characters. */
const LONGEST_ORIGIN = 300

export function createProjectOrigins(
  ask: {
    readonly of: (org: OrgId, project: ProjectId) => Promise<readonly string[]>
    readonly isKnown: (origin: string) => Promise<boolean>
  },
  clock: Clock,
): ProjectOrigins {
  const listed = new Remembered<readonly string[]>(clock)
  const known = new Remembered<boolean>(clock)
  let asked = 0
  const askKnown = (origin: string): Promise<boolean> => {
    asked += 1
    return ask.isKnown(origin).finally(() => (asked -= 1))
  }
  return {
    of: (org, project) => listed.get(project) ?? listed.put(project, ask.of(org, project)),
    async isKnown(origin) {
      if (origin.length > LONGEST_ORIGIN) return false
      const remembered = known.get(origin)
      if (remembered !== undefined) return remembered
      return asked >= MAX_ASKED ? false : known.put(origin, askKnown(origin))
    },
    heard(change) {
      if (change !== 'unknown' && change.table !== 'browser_access') return
      listed.clear()
      known.clear()
    },
  }
}

class Remembered<Value> {
  readonly #entries = new Map<string, { readonly value: Promise<Value>; readonly at: number }>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(name: string): Promise<Value> | undefined {
    const kept = this.#entries.get(name)
    return kept !== undefined && this.#clock.monotonic() - kept.at < MAX_AGE_MS ? kept.value : undefined
  }

  /** What fails is not remembered. */
  put(name: string, value: Promise<Value>): Promise<Value> {
    this.#entries.delete(name)
    this.#entries.set(name, { value, at: this.#clock.monotonic() })
    if (this.#entries.size > MAX_REMEMBERED) this.#entries.delete(this.#entries.keys().next().value!)
    value.catch(() => this.#entries.get(name)?.value === value && this.#entries.delete(name))
    return value
  }

  clear(): void {
    this.#entries.clear()
  }
}
