/**
 * Owns what the hot path knows of kept keys of model providers without asking the database: rows as they were read, the secret still sealed, with the mode that
 * the organization has settled. Dropped when they change, and never older than the limit when no word of a change came. Refuses to wait for a database that is
 * away while something young enough is known.
 */
import { PROVIDER_KEY_MODES, SETTING_DEFAULTS } from '@sallyport/contract'
import type { ProviderKeyMode } from '@sallyport/contract'
import { hasCode } from '@sallyport/core'
import type { Clock, OrgId } from '@sallyport/core'
import type { Change, KeptModelKey, ModelKeyAsk, ModelKeys } from '../db/index.ts'

export interface KnownKeys {
  readonly mode: ProviderKeyMode
  /** Undefined: none of that provider and name is kept for the caller. */
  readonly kept: KeptModelKey | undefined
}

export interface KeptKeys {
  /** At once where it is known. Read once, however many ask at the same time. @throws as `read`, when there is nothing to give instead. */
  of(ask: ModelKeyAsk): KnownKeys | Promise<KnownKeys>
  /** Forgets what a change touches; `unknown` forgets everything. */
  heard(change: Change | 'unknown'): void
}

export interface KeptKeysOptions {
  readonly read: (ask: ModelKeyAsk) => Promise<ModelKeys>
  readonly clock: Clock
  /** Worst age when no notification arrives, in milliseconds. */
  readonly maxAgeMs: number
  /** Worst age while the database is away. */
  readonly maxAgeAwayMs: number
  /** Over all organizations. */
  readonly maxEntries: number
}

interface Entry extends KnownKeys {
  readonly org: OrgId
  readonly readAt: number
  /** By the monotonic clock; a key on its way out is not known for longer. */
  readonly endsAt: number
}

export function createKeptKeys(options: KeptKeysOptions): KeptKeys {
  return new Memory(options)
}

class Memory implements KeptKeys {
  readonly #o: KeptKeysOptions
  readonly #entries = new Map<string, Entry>()
  readonly #reading = new Map<string, Promise<Entry>>()
  /** Counts what was heard: what was read before and arrives after it may be the row as it was. */
  #epoch = 0

  constructor(options: KeptKeysOptions) {
    this.#o = options
  }

  of(ask: ModelKeyAsk): KnownKeys | Promise<KnownKeys> {
    const key = keyOf(ask)
    return this.#known(key, this.#o.maxAgeMs) ?? this.#load(key, ask)
  }

  #known(key: string, ageMs: number): Entry | undefined {
    const entry = this.#entries.get(key)
    const now = this.#o.clock.monotonic()
    return entry !== undefined && now - entry.readAt < ageMs && now < entry.endsAt ? entry : undefined
  }

  async #load(key: string, ask: ModelKeyAsk): Promise<Entry> {
    try {
      return await this.#read(key, ask)
    } catch (error) {
      const older = hasCode(error, 'database_unavailable') ? this.#known(key, this.#o.maxAgeAwayMs) : undefined
      if (older === undefined) throw error
      return older
    }
  }

  #read(key: string, ask: ModelKeyAsk): Promise<Entry> {
    const name = `${this.#epoch} ${key}`
    const under = this.#reading.get(name)
    if (under !== undefined) return under
    const [epoch, readAt] = [this.#epoch, this.#o.clock.monotonic()]
    const reading = this.#o
      .read(ask)
      .then(({ mode, kept }) => {
        const endsAt = kept === undefined || kept.endsInS === null ? Infinity : readAt + kept.endsInS * 1_000
        const entry: Entry = { org: ask.org, mode: modeOf(mode), kept, readAt, endsAt }
        // Callers choose names freely: what isn't there is remembered under the usual one alone.
        if (epoch === this.#epoch && (kept !== undefined || ask.name === DEFAULT_KEY_NAME)) this.#keep(key, entry)
        return entry
      })
      .finally(() => this.#reading.delete(name))
    this.#reading.set(name, reading)
    return reading
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size <= this.#o.maxEntries) return
    const oldest = this.#entries.keys().next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }

  heard(change: Change | 'unknown'): void {
    if (change !== 'unknown' && !TOUCHING.has(change.table)) return
    this.#epoch += 1
    if (change === 'unknown') return this.#entries.clear()
    for (const [key, { org }] of this.#entries) if (org === change.org) this.#entries.delete(key)
  }
}

/** The name of a key where nobody gave one. */
export const DEFAULT_KEY_NAME = 'default'

/** `organization`: what it has settled. */
const TOUCHING: ReadonlySet<Change['table']> = new Set(['provider_key', 'organization', 'project'])

/** @throws TypeError for what no version of this build could have stored */
function modeOf(stored: unknown): ProviderKeyMode {
  if (stored === null || stored === undefined) return SETTING_DEFAULTS.provider_key_mode
  const mode = PROVIDER_KEY_MODES.find((one) => one === stored)
  if (mode === undefined) throw new TypeError('a stored provider_key_mode that is none')
  return mode
}

/** Every discriminator of the answer; the name alone may hold a space, and stands last. */
function keyOf({ org, project, environment, provider, name }: ModelKeyAsk): string {
  return `${org} ${project} ${environment} ${provider} ${name}`
}
