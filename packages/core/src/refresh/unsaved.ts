/**
 * Owns the provider's answers that could not be saved: keeps each in memory and in every spill until the store has it. Refuses to forget one
 * for any failure, and to judge what is in a spill: whatever was put there is saved, and the store says what it is worth.
 */
import { hasCode } from '../kernel/index.ts'
import type { Logger, Metrics } from '../observability/index.ts'
import type { Pause } from './options.ts'
import { leaseKey, readTokenSet, sameRefreshToken } from '../tokens/index.ts'
import type { CredentialRef, CredentialStore, SaveOutcome, Spill, SpilledAnswer, TokenSet } from '../tokens/index.ts'

/** An answer and what it says. `answer` is undefined where sealing failed: then memory alone has it. */
export interface Unsaved {
  readonly ref: CredentialRef
  readonly intent: string
  readonly generation: number
  readonly parentSeq: bigint
  readonly tokens: TokenSet
  /** See `CredentialStore.save`. */
  readonly keepsRefreshToken: boolean
  readonly answer: SpilledAnswer | undefined
}

interface Parts {
  readonly store: CredentialStore
  readonly spills: readonly Spill[]
  readonly logger: Logger
  readonly metrics: Metrics
  readonly pause: Pause
  readonly random: () => number
  /** Told of each answer that reached the store after all. */
  readonly onSaved: (kept: Unsaved, outcome: SaveOutcome) => Promise<void>
}

const FIRST_PAUSE_MS = 100
/** Shorter than `contactMs`: who sees the store come back must not be ahead of who has something to save. */
const LONGEST_PAUSE_MS = 500
/** Answers in one pass that the store may fail to take before the rest is left for the next. */
const MOST_FAILURES = 3

export class UnsavedAnswers {
  readonly #o: Parts
  readonly #kept = new Map<string, { readonly unsaved: Unsaved; readonly saved: Promise<void> }>()
  /** Intents whose spilled answers were told of as of no use. */
  readonly #reported = new Set<string>()
  #abandoned = false

  constructor(parts: Parts) {
    this.#o = parts
  }

  get size(): number {
    return this.#kept.size
  }

  has(intent: string): boolean {
    return this.#kept.has(intent)
  }

  /** The newest answer for a credential that only this process has. */
  for(ref: CredentialRef): Unsaved | undefined {
    if (this.#kept.size === 0) return undefined
    const key = leaseKey(ref)
    return [...this.#kept.values()].findLast(({ unsaved }) => leaseKey(unsaved.ref) === key)?.unsaved
  }

  /** Keeps an answer and begins to save it. Resolves when every spill has it or has failed; saving goes on. */
  async keep(unsaved: Unsaved): Promise<void> {
    if (this.#kept.has(unsaved.intent)) return
    const spilled = this.#spill(unsaved)
    this.#kept.set(unsaved.intent, { unsaved, saved: this.#save(unsaved, spilled) })
    this.#o.metrics.gauge('token_refresh_unsaved', {}, this.size)
    await spilled
  }

  /** Resolves when nothing is left. */
  async saved(): Promise<void> {
    while (this.#kept.size > 0 && !this.#abandoned) await Promise.all([...this.#kept.values()].map(({ saved }) => saved))
  }

  /**
   * Saves what earlier processes left in the spills. What can't be opened stays there and is reported once, as is a spill that can't be listed.
   * Gives the keys of credentials whose answers the store could not take yet: nothing of them is to be judged before. Never throws: one that is
   * out of reach keeps no other waiting.
   */
  async adopt(): Promise<ReadonlySet<string>> {
    const left = new Set<string>()
    for (const answer of await this.#spilled()) {
      if (this.has(answer.intent)) continue
      // A store that is away is not asked once for each.
      if (left.size >= MOST_FAILURES) left.add(leaseKey(answer.ref))
      else if (!(await this.#tryAdopting(answer))) left.add(leaseKey(answer.ref))
    }
    return left
  }

  /** Saves the spilled answer of this intent, if there is one. @throws TokenError `store_unavailable`. */
  async adoptFor(intent: string): Promise<boolean> {
    const found = (await this.#spilled()).find((answer) => answer.intent === intent)
    return found !== undefined && (await this.#adoptOne(found))
  }

  /** Stops trying; the spills keep what they have. */
  abandon(): void {
    this.#abandoned = true
  }

  /** False when the store could not be asked. */
  async #tryAdopting(answer: SpilledAnswer): Promise<boolean> {
    try {
      await this.#adoptOne(answer)
      return true
    } catch (error) {
      if (isStoreGone(error)) return false
      this.#reportOnce(answer, 'A spilled answer could not be saved and stays where it is', error)
      return true
    }
  }

  #reportOnce({ ref, intent }: SpilledAnswer, what: string, error: unknown): void {
    if (this.#reported.has(intent)) return
    this.#reported.add(intent)
    this.#o.logger.error(what, { ref, error })
  }

  async #adoptOne(answer: SpilledAnswer): Promise<boolean> {
    const { ref, intent, generation, parentSeq } = answer
    let tokens: TokenSet
    try {
      tokens = readTokenSet(await this.#o.store.openSpilled(answer))
    } catch (error) {
      if (isStoreGone(error)) throw error
      this.#reportOnce(answer, 'A spilled answer can not be opened and stays where it is', error)
      return false
    }
    const brought = { intent, generation, parentSeq, tokens, keepsRefreshToken: await this.#keepsHeads(answer, tokens) }
    const outcome = await this.#o.store.save(ref, brought)
    await this.#finish({ ref, ...brought, answer }, outcome)
    return true
  }

  /** Versions never change, and it matters only while the parent is the head: so nothing is lost by looking first. */
  async #keepsHeads({ ref, parentSeq }: SpilledAnswer, tokens: TokenSet): Promise<boolean> {
    const head = (await this.#o.store.read(ref))?.head
    return head?.seq === parentSeq && sameRefreshToken(head.tokens, tokens)
  }

  async #spilled(): Promise<readonly SpilledAnswer[]> {
    const lists = await Promise.allSettled(this.#o.spills.map((spill) => spill.list()))
    return lists.flatMap((list) => {
      if (list.status === 'fulfilled') return list.value
      this.#o.logger.warn('A spill can not be read', { error: list.reason as unknown })
      return []
    })
  }

  async #spill({ ref, answer }: Unsaved): Promise<void> {
    if (answer === undefined) return
    const puts = await Promise.allSettled(this.#o.spills.map((spill) => spill.put(answer)))
    const failed = puts.filter((put) => put.status === 'rejected')
    if (puts.length === failed.length) this.#o.logger.error('An unsaved answer is in memory alone', { ref, errors: failed })
    else if (failed.length > 0) this.#o.logger.warn('A spill did not take an unsaved answer', { ref, errors: failed })
  }

  async #save(unsaved: Unsaved, spilled: Promise<void>): Promise<void> {
    for (let wait = FIRST_PAUSE_MS; !this.#abandoned; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
      await this.#o.pause(wait * (0.5 + this.#o.random() / 2))
      const outcome = await this.#trySave(unsaved)
      if (outcome === undefined) continue
      // A spill that is still being written would otherwise outlive its removal.
      await spilled
      this.#kept.delete(unsaved.intent)
      this.#o.metrics.gauge('token_refresh_unsaved', {}, this.size)
      return await this.#finish(unsaved, outcome)
    }
  }

  async #trySave({ ref, intent, generation, parentSeq, tokens, keepsRefreshToken }: Unsaved): Promise<SaveOutcome | undefined> {
    try {
      return await this.#o.store.save(ref, { intent, generation, parentSeq, tokens, keepsRefreshToken })
    } catch (error) {
      if (!isStoreGone(error)) this.#o.logger.error('An answer could not be saved and is kept', { ref, error })
      return undefined
    }
  }

  async #finish(unsaved: Unsaved, outcome: SaveOutcome): Promise<void> {
    const { answer, ref } = unsaved
    if (answer !== undefined) {
      const removals = await Promise.allSettled(this.#o.spills.map((spill) => spill.remove(answer)))
      // It would be saved again at the next start, which adds nothing.
      if (removals.some(({ status }) => status === 'rejected')) this.#o.logger.warn('A saved answer is still in a spill', { ref })
    }
    this.#o.logger.info('An answer that could not be saved at once is saved', { ref, outcome })
    await this.#o.onSaved(unsaved, outcome)
  }
}

function isStoreGone(error: unknown): boolean {
  return hasCode(error, 'store_unavailable')
}
