/**
 * Owns the cache of answers: private (RFC 9111), one for each credential's generation. Refuses to answer one connection, generation or URL with
 * another's; to hide that an answer is stale; to hold a streamed body back; and to let its store fail a call.
 */
import { frame, hmacSha256, randomToken } from '../crypto/index.ts'
import type { KeyObject } from '../crypto/index.ts'
import { hasCode, systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { noMetrics } from '../observability/index.ts'
import type { Metrics } from '../observability/index.ts'
import { watched } from './body.ts'
import { cacheControl } from './cache-control.ts'
import { readRecord, writeRecord } from './cache-record.ts'
import type { KeptAnswer, VaryNote } from './cache-record.ts'
import {
  ageMs,
  confirms,
  freshened,
  hasValidator,
  isCacheable,
  isFresh,
  isKeepable,
  keptHeaders,
  lifetimeMs,
  mayStandIn,
  varyOf,
} from './cache-rules.ts'
import type { AnswerStore } from './cache-store.ts'
import { discard } from './call.ts'
import type { Answer, Call, Policy, Send } from './call.ts'
import { isPassing } from './fault.ts'

export interface CacheOptions {
  readonly store: AnswerStore
  /** Of `hmacKey`; makes the keys of the store, which say nothing of what they stand for. */
  readonly key: KeyObject
  /** Changes whenever what may be done with an answer does; older ones are not found again. '' when absent. */
  readonly policyVersion?: string
  /** Larger bodies pass and are not kept. Bytes; 256 KiB when absent. */
  readonly maxBodyBytes?: number
  /** How long a stale answer may stand in at most. Milliseconds; an hour when absent, and never more. */
  readonly maxStaleMs?: number
  /** How long an answer that can be confirmed is kept for that. Milliseconds; a day when absent. */
  readonly keepMs?: number
  /** Further failures in which a kept answer may stand in: those of getting a credential from a provider that is down. None when absent. */
  readonly isOutage?: (error: unknown) => boolean
  readonly clock?: Clock
  readonly metrics?: Metrics
}

const HOUR = 3_600_000
const SECOND = 1_000
const NAME = 'Sallyport'
/** RFC 5861 section 4. */
const STANDS_IN: ReadonlySet<number> = new Set([500, 502, 503, 504])
/** Our own refusals that mean the provider can't be asked now. */
const UNASKED = ['circuit_open', 'deadline_exceeded', 'quota_exhausted'] as const
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const INVALIDATIONS_REMEMBERED = 1_000

/** Outermost: it stands in for all that can fail inside. @throws what is inside throws, while no kept answer may stand in. */
export function cache(options: CacheOptions): Policy {
  const caching = new Caching(options)
  return (next) => (call) => caching.run(next, call)
}

interface Found {
  readonly kept: KeptAnswer
  readonly headers: Headers
  readonly key: string
  readonly age: number
  readonly lifetime: number
}

class Caching {
  readonly #options: Required<CacheOptions>
  /** What was changed by a call lately, and after which call: an answer that was under way then is not kept. */
  readonly #changed = new Map<string, number>()
  #forgotten = 0
  #calls = 0

  constructor({ policyVersion, maxBodyBytes, maxStaleMs, keepMs, isOutage, clock, metrics, ...given }: CacheOptions) {
    this.#options = {
      ...given,
      policyVersion: policyVersion ?? '',
      maxBodyBytes: maxBodyBytes ?? 256 * 1024,
      maxStaleMs: Math.min(maxStaleMs ?? HOUR, HOUR),
      keepMs: keepMs ?? 24 * HOUR,
      isOutage: isOutage ?? (() => false),
      clock: clock ?? systemClock,
      metrics: metrics ?? noMetrics,
    }
  }

  async run(next: Send, call: Call): Promise<Answer> {
    if (!SAFE.has(call.method)) return await this.#change(next, call)
    if (!isCacheable(call)) return told(await next(call), call.method === 'GET' ? 'fwd=bypass' : 'fwd=method')
    const primary = this.#primary(call, call.url)
    const found = await this.#find(call, primary)
    if (found !== undefined && isFresh(call.headers, found.headers, found.age, found.lifetime)) {
      this.#countHit(call, 'fresh')
      return given(found, 'fresh', `hit; ttl=${ttl(found)}`)
    }
    if (cacheControl(call.headers).has('only-if-cached')) {
      return { status: 504, headers: new Headers({ 'cache-status': `${NAME}; detail=only-if-cached` }), body: null }
    }
    return found === undefined ? await this.#ask(next, call, primary, 'uri-miss') : await this.#confirm(next, call, primary, found)
  }

  async #ask(next: Send, call: Call, primary: string, why: 'uri-miss' | 'stale'): Promise<Answer> {
    const [order, requestedAt] = [this.#nextOrder(), this.#options.clock.now()]
    const answer = await next(call)
    this.#options.metrics.count('http_cache_misses_total', { provider: call.provider })
    return this.#kept(call, primary, answer, { order, requestedAt, why })
  }

  async #confirm(next: Send, call: Call, primary: string, found: Found): Promise<Answer> {
    const [order, requestedAt] = [this.#nextOrder(), this.#options.clock.now()]
    const answer = await next(conditional(call, found.headers)).catch((error: unknown) => this.#standIn(call, found, error))
    if ('standsIn' in answer) return answer.standsIn
    if (answer.status === 304 && hasValidator(found.headers)) {
      if (!confirms(found.headers, answer.headers)) {
        await discard(answer)
        await this.#quietly(call, this.#options.store.delete(call.owner, found.key))
        return await this.#ask(next, call, primary, 'stale')
      }
      return await this.#confirmed(call, primary, found, answer, order, requestedAt)
    }
    if (STANDS_IN.has(answer.status) && this.#mayStandIn(call, found)) {
      await discard(answer)
      return this.#stale(call, found, `fwd=stale; fwd-status=${answer.status}`)
    }
    this.#options.metrics.count('http_cache_misses_total', { provider: call.provider })
    return this.#kept(call, primary, answer, { order, requestedAt, why: 'stale' })
  }

  async #confirmed(call: Call, primary: string, found: Found, answer: Answer, order: number, requestedAt: number): Promise<Answer> {
    await discard(answer)
    const now = this.#options.clock.now()
    const kept = freshened(found.kept, answer.headers, requestedAt, now)
    const headers = new Headers(kept.headers.map(([name, value]) => [name, value]))
    const fresh = { kept, headers, key: found.key, age: ageMs(kept, headers, now), lifetime: lifetimeMs(headers, now) }
    if (!cacheControl(headers).has('no-store') && !this.#isChanged(primary, order))
      void this.#quietly(call, this.#put(call, found.key, kept, headers))
    this.#countHit(call, 'confirmed')
    return given(fresh, 'confirmed', `fwd=stale; fwd-status=304; ttl=${ttl(fresh)}`)
  }

  /** @throws the error, when nothing may stand in. */
  #standIn(call: Call, found: Found, error: unknown): { readonly standsIn: Answer } {
    const absent = isPassing(error) || UNASKED.some((code) => hasCode(error, code)) || this.#options.isOutage(error)
    if (!absent || call.signal?.aborted === true || !this.#mayStandIn(call, found)) throw error
    return { standsIn: this.#stale(call, found, 'fwd=stale') }
  }

  #mayStandIn(call: Call, { headers, age, lifetime }: Found): boolean {
    return mayStandIn(call.headers, headers, age - lifetime, this.#options.maxStaleMs)
  }

  #stale(call: Call, found: Found, how: string): Answer {
    this.#countHit(call, 'stale')
    return given(found, 'stale', `${how}; ttl=${ttl(found)}; detail=stale-if-error`)
  }

  /** RFC 9111 section 4.4: what a call may have changed is forgotten, here and where the answer points to on the same origin. */
  async #change(next: Send, call: Call): Promise<Answer> {
    const answer = await next(call)
    if (answer.status < 200 || answer.status >= 400) return answer
    for (const url of changedUrls(call, answer.headers)) {
      const primary = this.#primary(call, url)
      this.#changed.delete(primary)
      this.#changed.set(primary, this.#calls)
      await this.#quietly(call, this.#options.store.delete(call.owner, primary))
    }
    for (const [primary, order] of this.#changed) {
      if (this.#changed.size <= INVALIDATIONS_REMEMBERED) break
      this.#changed.delete(primary)
      this.#forgotten = order
    }
    return answer
  }

  #isChanged(primary: string, order: number): boolean {
    return order <= Math.max(this.#changed.get(primary) ?? 0, this.#forgotten)
  }

  async #find(call: Call, primary: string): Promise<Found | undefined> {
    const first = await this.#get(call, primary)
    if (first === undefined) return undefined
    const key = 'vary' in first ? this.#variant(call, primary, first) : primary
    const kept = 'vary' in first ? await this.#get(call, key) : first
    if (kept === undefined || 'vary' in kept) return undefined
    const headers = new Headers(kept.headers.map(([name, value]) => [name, value]))
    const now = this.#options.clock.now()
    return { kept, headers, key, age: ageMs(kept, headers, now), lifetime: lifetimeMs(headers, kept.receivedAt) }
  }

  async #get(call: Call, key: string): Promise<ReturnType<typeof readRecord>> {
    const bytes = await this.#quietly(call, this.#options.store.get(call.owner, key))
    return bytes === undefined ? undefined : readRecord(bytes)
  }

  /** The answer as it is, kept once its body has passed whole. */
  #kept(
    call: Call,
    primary: string,
    answer: Answer,
    { order, requestedAt, why }: { order: number; requestedAt: number; why: string },
  ): Answer {
    const receivedAt = this.#options.clock.now()
    const declared = answer.headers.get('content-length')
    const fits = declared === null || Number(declared) <= this.#options.maxBodyBytes
    if (!fits || !isKeepable(answer)) return told(answer, `fwd=${why}; fwd-status=${answer.status}`)
    const headers = new Headers(answer.headers)
    const keep = (body: Uint8Array): void => {
      if (declared !== null && Number(declared) !== body.length) return
      if (this.#isChanged(primary, order)) return
      const kept = { status: answer.status, headers: keptHeaders(headers), requestedAt, receivedAt, body }
      void this.#quietly(call, this.#keep(call, primary, order, kept, headers))
    }
    const body = answer.body === null ? (keep(new Uint8Array()), null) : gathered(answer.body, this.#options.maxBodyBytes, keep)
    return told({ ...answer, body }, `fwd=${why}; fwd-status=${answer.status}; stored`)
  }

  async #keep(call: Call, primary: string, order: number, kept: KeptAnswer, headers: Headers): Promise<void> {
    const vary = varyOf(headers)!
    if (vary.length === 0) return await this.#put(call, primary, kept, headers)
    const found = await this.#get(call, primary)
    const goesOn = found !== undefined && 'vary' in found && found.vary.join() === vary.join()
    const note = goesOn ? found : { vary, epoch: randomToken(16) }
    // What is forgotten meanwhile must not be found again by a note from before.
    if (this.#isChanged(primary, order)) return
    await this.#quietly(call, this.#options.store.put(call.owner, primary, writeRecord(note), this.#options.keepMs))
    await this.#put(call, this.#variant(call, primary, note), kept, headers)
  }

  async #put(call: Call, key: string, kept: KeptAnswer, headers: Headers): Promise<void> {
    const useful = lifetimeMs(headers, kept.receivedAt) + this.#options.maxStaleMs
    const lifeMs = Math.min(hasValidator(headers) ? this.#options.keepMs : useful, this.#options.keepMs)
    await this.#quietly(call, this.#options.store.put(call.owner, key, writeRecord(kept), lifeMs))
  }

  /** A store that fails is an empty one, and counted. */
  async #quietly<T>(call: Call, asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked
    } catch {
      this.#options.metrics.count('http_cache_store_failures_total', { provider: call.provider })
      return undefined
    }
  }

  #primary({ owner, integration, connection, generation }: Call, url: string): string {
    const canonical = new URL(url)
    canonical.hash = ''
    const of = ['answer', owner, integration, connection, String(generation), 'GET', canonical.href, this.#options.policyVersion]
    return hmacSha256(this.#options.key, frame(of)).toString('base64url')
  }

  #variant(call: Call, primary: string, { vary, epoch }: VaryNote): string {
    const values = vary.flatMap((name) => [name, (call.headers.get(name) ?? '').trim()])
    return hmacSha256(this.#options.key, frame(['variant', primary, epoch, ...values])).toString('base64url')
  }

  #nextOrder(): number {
    this.#calls++
    return this.#calls
  }

  #countHit({ provider }: Call, kept: NonNullable<Answer['kept']>): void {
    this.#options.metrics.count('http_cache_hits_total', { provider, answer: kept })
  }
}

function conditional(call: Call, kept: Headers): Call {
  const headers = new Headers(call.headers)
  const [tag, modified] = [kept.get('etag'), kept.get('last-modified')]
  if (tag !== null) headers.set('if-none-match', tag)
  if (modified !== null) headers.set('if-modified-since', modified)
  return { ...call, headers }
}

function changedUrls(call: Call, headers: Headers): ReadonlySet<string> {
  const pointed = ['location', 'content-location'].flatMap((name) => {
    const url = URL.parse(headers.get(name) ?? '', call.url)
    return headers.has(name) && url !== null && url.origin === new URL(call.url).origin ? [url.href] : []
  })
  return new Set([call.url, ...pointed])
}

function ttl({ age, lifetime }: Found): number {
  return Math.floor((lifetime - age) / SECOND)
}

/** RFC 9211: our line comes after those of caches nearer to the origin. */
function told(answer: Answer, status: string): Answer {
  const headers = new Headers(answer.headers)
  headers.append('cache-status', `${NAME}; ${status}`)
  return { ...answer, headers }
}

function given({ kept, headers, age }: Found, how: NonNullable<Answer['kept']>, status: string): Answer {
  const out = new Headers(headers)
  out.set('age', String(Math.floor(age / SECOND)))
  out.set('cache-status', `${NAME}; ${status}`)
  const bodiless = kept.status === 204 || kept.body.length === 0
  return { status: kept.status, headers: out, body: bodiless ? null : streamOf(kept.body), kept: how }
}

/** A copy, so that nobody's change of it reaches the next caller. */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(to) {
      to.enqueue(Uint8Array.from(bytes))
      to.close()
    },
  })
}

/** The body as it passes; `whole` gets all of it at its end, unless it was more than `maxBytes`. */
function gathered(body: ReadableStream<Uint8Array>, maxBytes: number, whole: (body: Uint8Array) => void): ReadableStream<Uint8Array> {
  let chunks: Uint8Array[] | undefined = []
  let bytes = 0
  return watched(body, {
    chunk: (chunk) => {
      bytes += chunk.length
      if (bytes > maxBytes) chunks = undefined
      else chunks?.push(Uint8Array.from(chunk))
    },
    end: (all) => {
      if (all && chunks !== undefined) whole(Buffer.concat(chunks))
      chunks = undefined
    },
  })
}
