/**
 * Owns one call to a provider's API in a user's name: fresh token, injected last, through the one door. Refuses URLs (a path under the API is all
 * a caller may name), and to send anything twice that may not be.
 */
import { setTimeout as timer } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { providerRoute } from '../catalog/index.ts'
import type { AuthorizedCall, ProviderRoute } from '../catalog/index.ts'
import { cleanRequestHeaders, EgressError, judgePath } from '../http/index.ts'
import type { Egress, JudgedPath, OriginPolicy } from '../http/index.ts'
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Metrics } from '../observability/index.ts'
import type { CredentialRef } from '../tokens/index.ts'
import { AnswerSink } from './answer.ts'
import type { ProviderAnswer } from './answer.ts'
import type { ConfiguredProvider } from './config.ts'
import type { CallCredential, Credentials } from './credentials.ts'
import { SdkError } from './errors.ts'
import type { ConnectionName } from './events.ts'
import type { CallLimit } from './limits.ts'
import { delayAfterAnswer, delayAfterFailure } from './retry.ts'
import type { RetryPolicy, Tried } from './retry.ts'

export interface ApiRequest extends ConnectionName {
  /** `GET` when absent. */
  readonly method?: string
  /** Under the provider's API, beginning with `/`; may have a query. */
  readonly path: string
  /** Added to the path's query. */
  readonly query?: Readonly<Record<string, string | number | boolean>> | URLSearchParams
  /** Credentials, cookies and headers about the connection are dropped. */
  readonly headers?: Readonly<Record<string, string>>
  /** A stream is sent once: no retry, and none after a 401. */
  readonly body?: string | Uint8Array | URLSearchParams | Readable
  /** Sent as JSON, in place of `body`. */
  readonly json?: unknown
  readonly signal?: AbortSignal
}

export interface CallingParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly limit: (name: string) => CallLimit
  readonly credentials: Pick<Credentials, 'fresh'>
  readonly egress: Egress
  readonly origins: OriginPolicy
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly clock: Clock
  readonly metrics: Metrics
  /** Told of each try: an answer below 500 is a sign of life. */
  readonly onOutcome: (provider: string, alive: boolean) => void
}

interface Prepared {
  readonly provider: ConfiguredProvider
  readonly route: ProviderRoute
  readonly ref: CredentialRef
  readonly method: string
  readonly path: JudgedPath
  readonly headers: readonly string[]
  readonly body: Uint8Array | Readable | null
  readonly signal: AbortSignal | undefined
}

const FORM = /^application\/x-www-form-urlencoded\s*(?:;|$)/iu
const MAX_REQUEST_BYTES = 1024 * 1024 * 1024

export class Calling {
  readonly #parts: CallingParts
  readonly #routes = new WeakMap<ConfiguredProvider, ProviderRoute>()

  constructor(parts: CallingParts) {
    this.#parts = parts
  }

  async request(request: ApiRequest): Promise<ProviderAnswer> {
    const call = this.#prepared(request)
    const keyed = call.headers.some((name, i) => i % 2 === 0 && name === 'idempotency-key')
    const { retry, clock } = this.#parts
    for (let retries = 0; ; retries++) {
      const tried: Tried = { method: call.method, replayable: !(call.body instanceof Readable), keyed, retries }
      let delay: number | undefined
      try {
        const answer = await this.#authorized(call, tried.replayable)
        const retryAfter = answer.headers.get('retry-after')
        delay = delayAfterAnswer(retry, tried, { status: answer.status, retryAfter }, clock.now(), Math.random())
        if (delay === undefined) return answer
        answer.discard()
      } catch (error) {
        call.signal?.throwIfAborted()
        delay = delayAfterFailure(retry, tried, error, Math.random())
        if (delay === undefined) throw error
      }
      await timer(delay, undefined, call.signal === undefined ? {} : { signal: call.signal })
    }
  }

  #prepared(request: ApiRequest): Prepared {
    const { provider: scope, userId: id, signal } = request
    const provider = this.#parts.provider(scope)
    const route = this.#routeTo(provider)
    const method = (request.method ?? 'GET').toUpperCase()
    const path = judgePath(withQuery(request.path, request.query))
    if (!route.allows(method, path)) {
      throw new SdkError('path_outside_rules', `the record of ${provider.record.id} does not let this call out`)
    }
    const { type, body } = bodyOf(request)
    return { provider, route, ref: { scope, id }, method, path, headers: headersOf(route, request.headers ?? {}, type), body, signal }
  }

  #routeTo(provider: ConfiguredProvider): ProviderRoute {
    const known = this.#routes.get(provider)
    if (known !== undefined) return known
    const route = providerRoute(provider.record, this.#parts.origins)
    this.#routes.set(provider, route)
    return route
  }

  /** One call; a second one with a renewed token when the first was refused for its token, or with the same one for want of a nonce. */
  async #authorized(call: Prepared, replayable: boolean): Promise<ProviderAnswer> {
    const { credentials } = this.#parts
    const waiting = call.signal === undefined ? {} : { signal: call.signal }
    const fresh = await credentials.fresh(call.provider, call.ref, waiting)
    const { answer, wantedNonce } = await this.#limited(call, fresh)
    if (answer.status !== 401 || !replayable) return answer
    if (wantedNonce) {
      // The nonce came with the refusal, and nothing was done. The door repeats such a call by itself when it has no body.
      if (call.body === null) return answer
      answer.discard()
      return (await this.#limited(call, fresh)).answer
    }
    let renewed: CallCredential
    try {
      renewed = await credentials.fresh(call.provider, call.ref, { ...waiting, force: { afterSeq: fresh.seq } })
    } catch (error) {
      // The provider's own word stands, unless it is known what the person has to do.
      if (!hasCode(error, 'reconnect_required')) return answer
      answer.discard()
      throw error
    }
    if (renewed.seq === fresh.seq && renewed.unsaved === fresh.unsaved) return answer
    answer.discard()
    return (await this.#limited(call, renewed)).answer
  }

  async #limited(call: Prepared, credential: CallCredential): Promise<{ readonly answer: ProviderAnswer; readonly wantedNonce: boolean }> {
    const leave = await this.#parts.limit(call.provider.name).enter(call.signal)
    const authorized = authorizedCall(call, credential, leave)
    const answer = await this.#sent(call, authorized, leave)
    return { answer, wantedNonce: authorized.wantedNonce() }
  }

  async #sent(
    { provider, route, method, path, headers, body, signal }: Prepared,
    { parts }: AuthorizedCall,
    leave: () => void,
  ): Promise<ProviderAnswer> {
    const { egress, timeoutMs, metrics, clock, onOutcome } = this.#parts
    const startedAt = clock.monotonic()
    const sink = new AnswerSink()
    const done = egress.forward({
      base: route.base,
      method,
      path,
      headers,
      ...parts,
      body: body instanceof Uint8Array ? Readable.from([body]) : body,
      ...(body instanceof Uint8Array ? { contentLength: body.length } : {}),
      maxRequestBytes: MAX_REQUEST_BYTES,
      response: sink,
      totalTimeoutMs: timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    })
    const count = (status: string, source: string): void => {
      metrics.count('http_requests_total', { provider: provider.name, method, status, source })
      metrics.observe('http_request_duration_seconds', { provider: provider.name }, (clock.monotonic() - startedAt) / 1000)
    }
    const ended = done.then(
      (result) => {
        leave()
        sink.settle(result)
        count(`${Math.floor(result.status / 100)}xx`, 'provider')
        onOutcome(provider.name, result.status < 500)
        return sink.answer
      },
      (error: unknown) => {
        leave()
        const gone = hasCode(error, 'client_gone')
        count(gone ? '4xx' : '5xx', gone ? 'client' : 'gateway')
        if (!gone && error instanceof EgressError && error.code.startsWith('upstream_')) onOutcome(provider.name, false)
        throw error
      },
    )
    return Promise.race([sink.answer, ended])
  }
}

/** Right before the try: a signature holds for minutes. */
function authorizedCall({ route, method, path, headers, body }: Prepared, credential: CallCredential, leave: () => void): AuthorizedCall {
  try {
    return credential.authorize(route, { method, path, form: formOf(headers, body) })
  } catch (error) {
    leave()
    throw error
  }
}

function withQuery(path: string, query: ApiRequest['query']): string {
  if (!path.startsWith('/')) throw new EgressError('path_refused', 'form')
  if (query === undefined) return path
  const entries =
    query instanceof URLSearchParams ? [...query] : Object.entries(query).map(([name, value]): [string, string] => [name, String(value)])
  const added = new URLSearchParams(entries).toString()
  return added === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${added}`
}

/** Lower-case names, cleaned; the record's own where the caller sends none. */
function headersOf(route: ProviderRoute, given: Readonly<Record<string, string>>, type: string | undefined): string[] {
  const headers = new Map(type === undefined ? [] : [['content-type', type]])
  for (const [name, value] of Object.entries(given)) headers.set(name.toLowerCase(), value)
  return cleanRequestHeaders(route.withDefaults([...headers].flat()))
}

function bodyOf({ body, json }: ApiRequest): { readonly type?: string; readonly body: Uint8Array | Readable | null } {
  if (json !== undefined && body !== undefined) throw new SdkError('argument_invalid', 'a request has "body" or "json", not both')
  if (json !== undefined) return { type: 'application/json', body: Buffer.from(JSON.stringify(json), 'utf8') }
  if (body === undefined) return { body: null }
  if (body instanceof URLSearchParams) return { type: 'application/x-www-form-urlencoded', body: Buffer.from(body.toString(), 'utf8') }
  return { body: typeof body === 'string' ? Buffer.from(body, 'utf8') : body }
}

/** The text of a body that is a whole form, which some credentials sign. */
function formOf(headers: readonly string[], body: Uint8Array | Readable | null): string | undefined {
  if (!(body instanceof Uint8Array)) return undefined
  const type = headers.find((_value, i) => i % 2 === 1 && headers[i - 1] === 'content-type') ?? ''
  return FORM.test(type) ? Buffer.from(body).toString('utf8') : undefined
}
