/**
 * Owns the sweep that seals everything in a store under its current key. Refuses to remember where it was: what is done is seen by its key,
 * so a sweep that was killed begins again and does what is left, and two at once do each entry once.
 */
import { envelopeKeyId } from '../crypto/index.ts'
import { SallyportError } from '../kernel/index.ts'
import { TokenError } from '../tokens/index.ts'
import type { SealedEntry } from './records.ts'
import type { Rewrappable } from './sealed-store.ts'

/** How far a sweep has come. */
export interface RewrapProgress {
  /** Entries looked at so far. */
  readonly looked: number
  /** Of these, sealed anew by this sweep. */
  readonly renewed: number
}

/** What a sweep that came to its end left. */
export interface RewrapReport extends RewrapProgress {
  /** Entries a key, counted after the sweep. */
  readonly byKey: ReadonlyMap<string, number>
  /** Entries that are not under the current key. 0: the other keys may go, once no process seals under them. */
  readonly remaining: number
  /** Of the remaining, those that could not be opened: their key is missing, or they were damaged. */
  readonly unreadable: number
}

/** How a sweep is watched and ended. */
export interface RewrapOptions {
  /** After each batch. */
  readonly onProgress?: (progress: RewrapProgress) => void
  /** Ends the sweep after what is under way; it rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** Rounds over the store: what others seal meanwhile under another key is met by the next one. */
const MAX_ROUNDS = 3
/** Entries that are on their way to the store at a time. */
const AT_ONCE = 8

/** @throws TokenError `store_unavailable`; begin again then. */
export async function rewrap(store: Rewrappable, { onProgress, signal }: RewrapOptions = {}): Promise<RewrapReport> {
  let [looked, renewed] = [0, 0]
  for (let round = 1; ; round++) {
    let unreadable = 0
    for await (const entries of store.sealedEntries()) {
      for (let from = 0; from < entries.length; from += AT_ONCE) {
        signal?.throwIfAborted()
        const outcomes = await Promise.all(entries.slice(from, from + AT_ONCE).map((entry) => renewOne(store, entry)))
        looked += outcomes.length
        renewed += outcomes.filter((outcome) => outcome === 'renewed').length
        unreadable += outcomes.filter((outcome) => outcome === 'unreadable').length
      }
      onProgress?.({ looked, renewed })
    }
    const byKey = await countByKey(store)
    const remaining = [...byKey].reduce((sum, [id, count]) => sum + (id === store.currentKeyId ? 0 : count), 0)
    if (remaining <= unreadable || round === MAX_ROUNDS) return { looked, renewed, byKey, remaining, unreadable }
  }
}

async function renewOne(store: Rewrappable, entry: SealedEntry): Promise<'renewed' | 'left' | 'unreadable'> {
  try {
    return (await store.renew(entry)) ? 'renewed' : 'left'
  } catch (error) {
    if (error instanceof SallyportError && !(error instanceof TokenError)) return 'unreadable'
    throw error
  }
}

/** Entries a key; what is no envelope counts under ''. */
async function countByKey(store: Rewrappable): Promise<Map<string, number>> {
  const counted = new Map<string, number>()
  for await (const entries of store.sealedEntries()) {
    for (const { sealed } of entries) {
      const id = keyOf(sealed)
      counted.set(id, (counted.get(id) ?? 0) + 1)
    }
  }
  return counted
}

function keyOf(sealed: Uint8Array): string {
  try {
    return envelopeKeyId(sealed)
  } catch {
    return ''
  }
}
