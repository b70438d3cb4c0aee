/**
 * Owns writing down what organizations keep of model calls, in groups beside the calls. Refuses to make a call wait for it, and to hold more than its bound: what is
 * beyond is dropped, counted and told. What an organization no longer keeps when it is written is not written.
 */
import { hasCode, newId, Secret } from '@sallyport/core'
import type { Logger, Metrics, OrgId, RequestId } from '@sallyport/core'
import { storedContentInsert } from '../db/index.ts'
import type { ContentPart, Database, Place, TenantTx } from '../db/index.ts'
import { readSettings } from '../organizations/index.ts'
import { storedContentPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface HeardPart {
  readonly org: OrgId
  readonly place: Place
  readonly request: RequestId
  readonly part: ContentPart
  readonly provider: string
  readonly endUser: string | null
  readonly status: number | null
  /** Of the whole part; `content` may be its beginning alone. */
  readonly bytes: number
  readonly content: Buffer
}

export interface ContentLog {
  /** Room for so many bytes more, until `put` or `leave` of them. False: there is none. */
  enter(bytes: number): boolean
  leave(bytes: number): void
  /** Takes a part whose bytes have entered. Does not wait. */
  put(part: HeardPart): void
  /** One that had no room. */
  drop(): void
  /** Takes nothing more, and waits for what is held, for `timeoutMs` at most; what is left then is dropped. */
  close(timeoutMs: number): Promise<void>
}

export interface ContentLogOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal'>
  readonly logger: Logger
  readonly metrics: Metrics
  /** Bytes held at most, of calls under way too; 64 MiB when absent. */
  readonly maxHeldBytes?: number
}

const MAX_HELD_BYTES = 64 * 1024 * 1024
/** Bounds one transaction. */
const MAX_GROUP = 32
const PAUSE_MS = 500
const OUTCOMES = 'sallyport_stored_content_total'

export function createContentLog(options: ContentLogOptions): ContentLog {
  return new GroupingContentLog(options)
}

class GroupingContentLog implements ContentLog {
  readonly #o: ContentLogOptions
  readonly #waiting = new Map<OrgId, HeardPart[]>()
  #heldBytes = 0
  #working: Promise<void> | undefined
  #troubled = false
  #closed = false
  #over = false
  #wake: (() => void) | undefined

  constructor(options: ContentLogOptions) {
    this.#o = options
  }

  enter(bytes: number): boolean {
    if (this.#closed || this.#heldBytes + bytes > (this.#o.maxHeldBytes ?? MAX_HELD_BYTES)) return false
    this.#heldBytes += bytes
    return true
  }

  leave(bytes: number): void {
    this.#heldBytes -= bytes
  }

  put(part: HeardPart): void {
    if (this.#over) return this.#gaveUp([part])
    const known = this.#waiting.get(part.org)
    if (known === undefined) this.#waiting.set(part.org, [part])
    else known.push(part)
    this.#working ??= this.#work()
  }

  drop(): void {
    this.#o.metrics.count(OUTCOMES, { outcome: 'dropped' })
    if (this.#troubled) return
    this.#troubled = true
    this.#o.logger.warn('What an organization keeps of model calls is dropped: more waits than may be held')
  }

  async close(timeoutMs: number): Promise<void> {
    this.#closed = true
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, timeoutMs)
    await Promise.race([this.#working ?? Promise.resolve(), late])
    clearTimeout(timer)
    this.#over = true
    this.#wake?.()
    for (const parts of this.#waiting.values()) this.#gaveUp(parts)
    this.#waiting.clear()
  }

  /** One organization after the other, a group of each: nobody's many keep anybody's few waiting. */
  async #work(): Promise<void> {
    // What is put in one turn of the loop is one group.
    await Promise.resolve()
    for (let next = this.#next(); next !== undefined && !this.#over; next = this.#next()) await this.#write(next)
    // At once, so that what is put from here on begins the next.
    this.#working = undefined
  }

  #next(): readonly HeardPart[] | undefined {
    const [first] = this.#waiting
    if (first === undefined) return undefined
    const [org, parts] = first
    this.#waiting.delete(org)
    if (parts.length > MAX_GROUP) this.#waiting.set(org, parts.slice(MAX_GROUP))
    return parts.slice(0, MAX_GROUP)
  }

  async #write(parts: readonly HeardPart[]): Promise<void> {
    const org = parts[0]!.org
    try {
      const stored = await this.#o.database.withTenant(org, (tx) => this.#store(tx, parts))
      if (stored > 0) this.#o.metrics.count(OUTCOMES, { outcome: 'stored' }, stored)
      this.#release(parts)
      this.#troubled = false
    } catch (error) {
      if (hasCode(error, 'database_unavailable') && !this.#over) return this.#again(org, parts)
      this.#o.logger.error('What an organization keeps of model calls could not be written', { org, dropped: parts.length, error })
      this.#gaveUp(parts)
    }
  }

  async #store(tx: TenantTx, parts: readonly HeardPart[]): Promise<number> {
    const { settings } = await readSettings(tx)
    const wanted = parts.filter(({ part }) => (part === 'prompt' ? settings.store_prompts : settings.store_responses))
    for (const { content, place, request, part, provider, endUser, status, bytes } of wanted) {
      // In the order of time, as every id is.
      const id: string = newId('req')
      const sealed = await this.#o.vault.seal(tx, storedContentPlace(id), new Secret(content.toString('base64')))
      const whole = content.length === bytes
      await storedContentInsert(tx, {
        id,
        place,
        request,
        part,
        provider,
        endUser,
        status,
        bytes,
        whole,
        sealed,
        days: settings.stored_content_days,
      })
    }
    return wanted.length
  }

  /** It stays, first of its organization's, and is tried again once the database had a moment. */
  async #again(org: OrgId, parts: readonly HeardPart[]): Promise<void> {
    this.#waiting.set(org, [...parts, ...(this.#waiting.get(org) ?? [])])
    const { promise: pause, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, PAUSE_MS)
    this.#wake = resolve
    await pause
    clearTimeout(timer)
  }

  #gaveUp(parts: readonly HeardPart[]): void {
    this.#o.metrics.count(OUTCOMES, { outcome: 'dropped' }, parts.length)
    this.#release(parts)
  }

  #release(parts: readonly HeardPart[]): void {
    for (const { content } of parts) this.leave(content.length)
  }
}
