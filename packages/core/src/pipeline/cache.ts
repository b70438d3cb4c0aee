/**
 * Owns the cache of answers: private (RFC 9111), one for each credential's generation. Refuses to answer one connection, generation or URL with
 * another's; to hide that an answer is stale; to hold a streamed body back; and to let its store fail a call.
 */
import { frame, hmacSha256, randomToken } from '../crypto/index.ts'
import type { KeyObject } from '../crypto/index.ts'
import { Pieces } from '../http/index.ts'
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
import type { AnswerFound, AnswerPlace, AnswerStore } from './cache-store.ts'
import { discard } from './call.ts'
import type { Answer, Call, Policy, Send } from './call.ts'
import { isPassing, neverSent } from './fault.ts'

/** Where answers are kept, under which keys, and how long one that is over may stand in. */
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
  /** How long an answer is kept at most, fresh or to be confirmed, from when it came or was confirmed last. Milliseconds; a day when absent. */
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

/** Whose answers they are, whatever their generation. */
export type AnswersOf = Pick<Call, 'owner' | 'integration' | 'connection' | 'provider'>

/** A policy that answers from what was kept, and the way to forget. */
export interface AnswerCache {
  /** Outermost: it stands in for all that can fail inside. @throws what is inside throws, while no kept answer may stand in. */
  readonly policy: Policy
  /** Drops everything of a connection that is over, also what is on its way. Never rejects: what a store that is away keeps nobody finds again. */
  forget(of: AnswersOf): Promise<void>
}

/** Answers to GET, kept apart for each connection and grant (RFC 9111, as a private cache). */
export function answerCache(options: CacheOptions): AnswerCache {
  const caching = new Caching(options)
  return { policy: (next) => (call) => caching.run(next, call), forget: (of) => caching.forget(of) }
}

/** The policy of an `answerCache` whose connections nobody ends. */
export function cache(options: CacheOptions): Policy {
  return answerCache(options).policy
}

/** What a lookup came to. Without `seen` the store said nothing, and is told nothing. */
interface Looked {
  readonly found: Found | undefined
  readonly seen: string | undefined
}

interface Found {
  readonly kept: KeptAnswer
  readonly headers: Headers
  readonly place: AnswerPlace
  readonly age: number
  readonly lifetime: number
}

class Caching {
  readonly #options: Required<CacheOptions>
  /** Wall time: what was kept by then may have been changed since, which the store could not be told. */
  #distrusted = -Infinity

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
    if (!SAFE.has(call.method) && call.reads !== true) return await this.#change(next, call)
    if (!isCacheable(call)) return told(await next(call), call.method === 'GET' ? 'fwd=bypass' : 'fwd=method')
    const primary = this.#primary(call, call.url)
    const looked = await this.#find(call, primary)
    const { found } = looked
    if (found !== undefined && isFresh(call.headers, found.headers, found.age, found.lifetime)) {
      this.#countHit(call, 'fresh')
      return given(found, 'fresh', `hit; ttl=${ttl(found)}`)
    }
    if (cacheControl(call.headers).has('only-if-cached')) {
      return { status: 504, headers: new Headers({ 'cache-status': `${NAME}; detail=only-if-cached` }), body: null }
    }
    const { seen } = looked
    return found === undefined
      ? await this.#ask(next, call, primary, seen, 'uri-miss')
      : await this.#confirm(next, call, primary, seen, found)
  }

  async forget({ owner, integration, connection, provider }: AnswersOf): Promise<void> {
    const group = this.#group({ owner, integration, connection })
    await this.#quietly({ provider }, this.#options.store.forgetGroup({ scope: owner, group }))
  }

  async #ask(next: Send, call: Call, primary: AnswerPlace, seen: string | undefined, why: 'uri-miss' | 'stale'): Promise<Answer> {
    const requestedAt = this.#options.clock.now()
    const answer = await next(call)
    this.#options.metrics.count('http_cache_misses_total', { provider: call.provider })
    return this.#kept(call, primary, answer, { seen, requestedAt, why })
  }

  async #confirm(next: Send, call: Call, primary: AnswerPlace, seen: string | undefined, found: Found): Promise<Answer> {
    const requestedAt = this.#options.clock.now()
    const answer = await next(conditional(call, found.headers)).catch((error: unknown) => this.#standIn(call, found, error))
    if ('standsIn' in answer) return answer.standsIn
    if (answer.status === 304 && hasValidator(found.headers)) {
      if (!confirms(found.headers, answer.headers)) {
        await discard(answer)
        await this.#quietly(call, this.#options.store.drop(found.place))
        return await this.#ask(next, call, primary, seen, 'stale')
      }
      return await this.#confirmed(call, found, answer, seen, requestedAt)
    }
    if (STANDS_IN.has(answer.status) && this.#mayStandIn(call, found)) {
      await discard(answer)
      return this.#stale(call, found, `fwd=stale; fwd-status=${answer.status}`)
    }
    this.#options.metrics.count('http_cache_misses_total', { provider: call.provider })
    return this.#kept(call, primary, answer, { seen, requestedAt, why: 'stale' })
  }

  async #confirmed(call: Call, found: Found, answer: Answer, seen: string | undefined, requestedAt: number): Promise<Answer> {
    await discard(answer)
    const now = this.#options.clock.now()
    const kept = freshened(found.kept, answer.headers, requestedAt, now)
    const headers = new Headers(kept.headers.map(([name, value]) => [name, value]))
    const fresh = { kept, headers, place: found.place, age: ageMs(kept, headers, now), lifetime: lifetimeMs(headers, now) }
    if (!cacheControl(headers).has('no-store') && seen !== undefined) void this.#put(call, found.place, kept, headers, seen)
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
    let answer: Answer
    try {
      answer = await next(call)
    } catch (error) {
      // Nobody knows what became of it.
      if (!neverSent(error)) await this.#forget(call, [call.url])
      throw error
    }
    if (answer.status >= 200 && answer.status < 400) await this.#forget(call, changedUrls(call, answer.headers))
    return answer
  }

  async #forget(call: Call, urls: Iterable<string>): Promise<void> {
    for (const url of urls) {
      const done = this.#options.store.forget(this.#primary(call, url)).then(() => true)
      if ((await this.#quietly(call, done)) !== true) this.#distrusted = this.#options.clock.now()
    }
  }

  async #find(call: Call, primary: AnswerPlace): Promise<Looked> {
    const first = await this.#get(call, primary)
    if (first === undefined) return { found: undefined, seen: undefined }
    const [{ record, seen }, nothing] = [first, { found: undefined, seen: first.seen }]
    if (record === undefined) return nothing
    const place = 'vary' in record ? this.#variant(call, primary, record) : primary
    const kept = 'vary' in record ? (await this.#get(call, place))?.record : record
    if (kept === undefined || 'vary' in kept || kept.receivedAt <= this.#distrusted) return nothing
    const now = this.#options.clock.now()
    // Not every store forgets by time, and a provider's word of a year is not what an answer is kept for.
    if (now - kept.receivedAt >= this.#options.keepMs) return nothing
    const headers = new Headers(kept.headers.map(([name, value]) => [name, value]))
    return { found: { kept, headers, place, age: ageMs(kept, headers, now), lifetime: lifetimeMs(headers, kept.receivedAt) }, seen }
  }

  async #get(
    call: Call,
    place: AnswerPlace,
  ): Promise<{ readonly record: ReturnType<typeof readRecord>; readonly seen: string } | undefined> {
    let broken = false
    const asked: Promise<AnswerFound> = this.#options.store.get(place)
    asked.catch((error: unknown) => (broken = !hasCode(error, 'store_unavailable')))
    const found = await this.#quietly(call, asked)
    // What does not open would stand in the way of what could.
    if (broken) await this.#quietly(call, this.#options.store.drop(place))
    return found && { record: found.bytes === undefined ? undefined : readRecord(found.bytes), seen: found.seen }
  }

  /** The answer as it is, kept once its body has passed whole. */
  #kept(
    call: Call,
    primary: AnswerPlace,
    answer: Answer,
    { seen, requestedAt, why }: { seen: string | undefined; requestedAt: number; why: string },
  ): Answer {
    const receivedAt = this.#options.clock.now()
    const declared = answer.headers.get('content-length')
    const fits = declared === null || Number(declared) <= this.#options.maxBodyBytes
    if (!fits || seen === undefined || !isKeepable(answer)) return told(answer, `fwd=${why}; fwd-status=${answer.status}`)
    const headers = new Headers(answer.headers)
    const keep = (body: Uint8Array): void => {
      if (declared !== null && Number(declared) !== body.length) return
      const kept = { status: answer.status, headers: keptHeaders(headers), requestedAt, receivedAt, body }
      void this.#keep(call, primary, kept, headers, seen)
    }
    const body = answer.body === null ? (keep(new Uint8Array()), null) : gathered(answer.body, this.#options.maxBodyBytes, keep)
    return told({ ...answer, body }, `fwd=${why}; fwd-status=${answer.status}; stored`)
  }

  async #keep(call: Call, primary: AnswerPlace, kept: KeptAnswer, headers: Headers, seen: string): Promise<void> {
    const vary = varyOf(headers)!
    if (vary.length === 0) return await this.#put(call, primary, kept, headers, seen)
    const found = (await this.#get(call, primary))?.record
    const goesOn = found !== undefined && 'vary' in found && found.vary.join() === vary.join()
    const note = goesOn ? found : { vary, epoch: randomToken(16) }
    // What is forgotten meanwhile must not be found again by a note from before.
    const lifeMs = this.#options.keepMs
    const noted = await this.#quietly(call, this.#options.store.put(primary, writeRecord(note), { lifeMs, seen }))
    if (noted === true) await this.#put(call, this.#variant(call, primary, note), kept, headers, seen)
  }

  async #put(call: Call, place: AnswerPlace, kept: KeptAnswer, headers: Headers, seen: string): Promise<void> {
    const useful = lifetimeMs(headers, kept.receivedAt) + this.#options.maxStaleMs
    const lifeMs = Math.min(hasValidator(headers) ? this.#options.keepMs : useful, this.#options.keepMs)
    await this.#quietly(call, this.#options.store.put(place, writeRecord(kept), { lifeMs, seen }))
  }

  /** A store that fails is an empty one, and counted. */
  async #quietly<T>({ provider }: Pick<Call, 'provider'>, asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked
    } catch {
      this.#options.metrics.count('http_cache_store_failures_total', { provider })
      return undefined
    }
  }

  #group({ owner, integration, connection }: Omit<AnswersOf, 'provider'>): string {
    return hmacSha256(this.#options.key, frame(['connection', owner, integration, connection])).toString('base64url')
  }

  #primary(call: Call, url: string): AnswerPlace {
    const { owner, integration, connection, generation } = call
    const canonical = new URL(url)
    canonical.hash = ''
    const of = ['answer', owner, integration, connection, String(generation), 'GET', canonical.href, this.#options.policyVersion]
    const resource = hmacSha256(this.#options.key, frame(of)).toString('base64url')
    return { scope: owner, group: this.#group(call), resource, key: resource }
  }

  #variant(call: Call, primary: AnswerPlace, { vary, epoch }: VaryNote): AnswerPlace {
    const values = vary.flatMap((name) => [name, (call.headers.get(name) ?? '').trim()])
    const key = hmacSha256(this.#options.key, frame(['variant', primary.key, epoch, ...values])).toString('base64url')
    return { ...primary, key }
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
  let pieces: Pieces | undefined = new Pieces()
  return watched(body, {
    chunk: (chunk) => {
      if (pieces !== undefined && pieces.length + chunk.length > maxBytes) pieces = undefined
      else pieces?.add(chunk)
    },
    end: (all) => {
      if (all && pieces !== undefined) whole(pieces.whole())
      pieces = undefined
    },
  })
}
