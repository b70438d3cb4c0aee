/**
 * Owns which origins projects list, remembered. Refuses to remember longer than ten seconds without word of a change, and to let strangers, who may
 * ask about any origin, keep the database busy, or those who ask about a listed one waiting.
 */
import { FairTurns, hasCode } from '@sallyport/core'
import type { Clock, OrgId, ProjectId } from '@sallyport/core'
import type { Change } from '../db/index.ts'

export interface ProjectOrigins {
  /** What a project lists. */
  of(org: OrgId, project: ProjectId): Promise<readonly string[]>
  /**
   * Whether any project lists it. False, too, for a stranger that asks about one that is not known, while too many of the same `address` do.
   * @param address whose question it is, as trusted proxies give it
   */
  isKnown(origin: string, address: string): Promise<boolean>
  heard(change: Change | 'unknown'): void
}

const MAX_AGE_MS = 10_000
const MAX_REMEMBERED = 10_000
/** Questions about origins that nobody listed when they were last asked about. Addresses take turns: a flood from one is not before a page elsewhere. */
const STRANGERS = { width: 8, perLane: 2, queue: 512, patienceMs: 5_000 } as const
/** RFC 6454 names no bound; a host name has 253 characters. */
const LONGEST_ORIGIN = 300

export function createProjectOrigins(
  ask: {
    readonly of: (org: OrgId, project: ProjectId) => Promise<readonly string[]>
    readonly isKnown: (origin: string) => Promise<boolean>
  },
  clock: Clock,
  addressGroup: (address: string) => string,
): ProjectOrigins {
  const lists = new Remembered<readonly string[]>(clock)
  /** Apart, so that made-up origins, of which there are as many as anybody likes, push none out that is real. */
  const listed = new Remembered<boolean>(clock)
  const unlisted = new Remembered<boolean>(clock)
  const strangers = new FairTurns(STRANGERS)
  /** Under way, by who asks: who joined another's question would wait in another's crowd. */
  const asking = new Map<string, Promise<boolean>>()
  let changes = 0
  const asked = async (origin: string): Promise<boolean> => {
    const before = changes
    const known = await ask.isKnown(origin)
    // What was changed while it was asked is asked again.
    if (before !== changes) return known
    void (known ? listed : unlisted).put(origin, Promise.resolve(known))
    if (!known) listed.delete(origin)
    return known
  }
  const inTurn = async (origin: string, group: string): Promise<boolean> => {
    try {
      return await strangers.run(group, () => unlisted.get(origin) ?? asked(origin))
    } catch (error) {
      if (hasCode(error, 'queue_full')) return false
      throw error
    }
  }
  return {
    of: (org, project) => lists.get(project) ?? lists.put(project, ask.of(org, project)),
    async isKnown(origin, address) {
      if (origin.length > LONGEST_ORIGIN) return false
      const remembered = listed.get(origin) ?? unlisted.get(origin)
      if (remembered !== undefined) return remembered
      // What was listed a moment ago is asked about at once: there are no more of these than are listed.
      if (listed.has(origin)) return listed.put(origin, asked(origin))
      const group = addressGroup(address)
      const name = `${group} ${origin}`
      const under = asking.get(name)
      if (under !== undefined) return under
      const answer = inTurn(origin, group).finally(() => asking.get(name) === answer && asking.delete(name))
      asking.set(name, answer)
      return answer
    },
    heard(change) {
      if (change !== 'unknown' && change.table !== 'browser_access') return
      changes += 1
      lists.clear()
      listed.grow()
      unlisted.clear()
      asking.clear()
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

  /** Whether there is one of any age. */
  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** What fails is not remembered. */
  put(name: string, value: Promise<Value>): Promise<Value> {
    this.#entries.delete(name)
    this.#entries.set(name, { value, at: this.#clock.monotonic() })
    if (this.#entries.size > MAX_REMEMBERED) this.#entries.delete(this.#entries.keys().next().value!)
    value.catch(() => this.#entries.get(name)?.value === value && this.#entries.delete(name))
    return value
  }

  delete(name: string): void {
    this.#entries.delete(name)
  }

  /** Makes each too old to be believed. */
  grow(): void {
    for (const [name, { value }] of this.#entries) this.#entries.set(name, { value, at: -Infinity })
  }

  clear(): void {
    this.#entries.clear()
  }
}
