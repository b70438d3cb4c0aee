/**
 * Owns small calls whose whole answer is wanted: token endpoints, metadata, key sets, webhooks. Refuses redirects, large answers and
 * slow ones. What streams goes through forward.
 */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { parseCoding } from './decode.ts'
import type { Coding } from './decode.ts'
import { EgressError, toEgressError } from './egress-error.ts'
import type { Sender } from './forward.ts'
import { headerText, requireSafe } from './headers.ts'
import { Pieces } from './pieces.ts'
import type { ParsedHeaders } from './headers.ts'
import { judgeUrl } from './origin.ts'
import type { OriginPolicy } from './origin.ts'

/** As much of the platform's own `RequestInit` as the door takes, and its bounds. */
export interface FetchInit {
  readonly method?: string
  readonly headers?: Headers | Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | ArrayBuffer | URLSearchParams | null | undefined
  readonly signal?: AbortSignal
  /** Accepted because clients pass it; redirects are an error whatever it says. */
  readonly redirect?: string
  /** Largest answer after decoding, default 1 MiB. */
  readonly maxBytes?: number
  /** Instead of the policy's. */
  readonly totalTimeoutMs?: number
  /**
   * The request's first byte leaves within this of the call, or never does: then `upstream_timeout` (`begin`), not sent. For what may be sent
   * only while something holds that was looked at right before.
   */
  readonly beginWithinMs?: number
}

export interface FetchLimits extends OriginPolicy {
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
}

const DEFAULT_MAX_BYTES = 1024 * 1024
const METHOD = /^[A-Z]{3,10}$/
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'transfer-encoding',
  'upgrade',
])

/**
 * Calls `url` and gives the whole answer. Shaped as openid-client's `customFetch`.
 * @throws EgressError; `upstream_invalid` (`redirect`) for every 3xx.
 */
export async function fetchBuffered(dispatcher: Sender, limits: FetchLimits, url: string | URL, init: FetchInit): Promise<Response> {
  const { origin, path } = splitUrl(String(url), limits)
  const method = (init.method ?? 'GET').toUpperCase()
  if (!METHOD.test(method) || method === 'CONNECT' || method === 'TRACE') throw new EgressError('egress_refused', 'method')
  const answer = await new Promise<Answer>((resolve, reject) => {
    new Gathering(limits, init, resolve, reject).start(dispatcher, {
      origin,
      path,
      method,
      headers: outgoingHeaders(init),
      body: bodyBytes(init.body),
      headersTimeout: limits.headersTimeoutMs,
      bodyTimeout: limits.idleTimeoutMs,
    })
  })
  return toResponse(method, answer, init.maxBytes ?? DEFAULT_MAX_BYTES)
}

interface Answer {
  readonly status: number
  readonly headers: ParsedHeaders
  readonly body: Buffer
}

class Gathering implements Dispatcher.DispatchHandler {
  readonly #init: FetchInit
  readonly #limits: FetchLimits
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: Error) => void
  readonly #body = new Pieces()
  #timer: NodeJS.Timeout | undefined
  #beginBy = Number.POSITIVE_INFINITY
  #lastLook: NodeJS.Immediate | undefined
  #controller: Dispatcher.DispatchController | undefined
  #failure: EgressError | undefined
  #status = 0
  #headers: ParsedHeaders = {}
  #bytes = 0

  constructor(limits: FetchLimits, init: FetchInit, resolve: (answer: Answer) => void, reject: (error: Error) => void) {
    this.#limits = limits
    this.#init = init
    this.#resolve = resolve
    this.#reject = reject
  }

  start(dispatcher: Sender, options: Dispatcher.DispatchOptions): void {
    const { signal, totalTimeoutMs, beginWithinMs } = this.#init
    if (beginWithinMs !== undefined) this.#beginBy = performance.now() + beginWithinMs
    if (signal?.aborted === true) {
      this.#onAbort()
      return
    }
    this.#timer = setTimeout(() => this.#onLate(), totalTimeoutMs ?? this.#limits.totalTimeoutMs)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    dispatcher.dispatch(options, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // The connection stands, and the next step is to write. A process that was stopped while it came about sees that here.
    if (this.#controller === undefined && performance.now() > this.#beginBy) this.#fail('upstream_timeout', 'begin')
    // As in forward: never sent a second time, or a refresh token would be.
    const repeated = this.#controller === undefined ? undefined : new EgressError('upstream_reset', 'repeated', true)
    this.#controller = controller
    const refusal = this.#failure ?? repeated
    if (refusal !== undefined) controller.abort(refusal)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ParsedHeaders): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    if (status >= 300 && status < 400 && status !== 304) this.#fail('upstream_invalid', 'redirect')
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > (this.#init.maxBytes ?? DEFAULT_MAX_BYTES)) this.#fail('upstream_too_large', 'body')
    else this.#body.add(chunk)
  }

  onResponseEnd(): void {
    this.#cleanUp()
    this.#resolve({ status: this.#status, headers: this.#headers, body: this.#body.whole() })
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#end(toEgressError(error, this.#controller !== undefined))
  }

  /**
   * A process that was stopped, or too busy, finds the alarm and the answer at the same moment, the alarm first: what has arrived is read
   * before it counts. A token endpoint's answer may not come a second time.
   */
  #onLate(): void {
    if (this.#controller === undefined) return this.#fail('upstream_timeout', 'total')
    this.#lastLook = setImmediate(() => (this.#lastLook = setImmediate(() => this.#fail('upstream_timeout', 'total'))))
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#init.signal?.reason
    const late = reason instanceof DOMException && reason.name === 'TimeoutError'
    this.#fail(late ? 'upstream_timeout' : 'client_gone', 'signal')
  }

  #fail(code: 'upstream_timeout' | 'upstream_invalid' | 'upstream_too_large' | 'client_gone', reason: string): void {
    this.#end(new EgressError(code, reason, this.#controller !== undefined))
  }

  #end(error: EgressError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#cleanUp()
    this.#controller?.abort(error)
    this.#reject(error)
  }

  #cleanUp(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#lastLook)
    this.#init.signal?.removeEventListener('abort', this.#onAbort)
  }
}

/** The query is split off first: judgeUrl takes none, and the path of a URL that we configure needs no judgement as a caller's does. */
function splitUrl(url: string, limits: OriginPolicy): { origin: string; path: string } {
  const mark = url.indexOf('?')
  const { origin } = judgeUrl(mark < 0 ? url : url.slice(0, mark), limits)
  const parsed = new URL(url)
  if (parsed.origin !== origin || parsed.hash !== '') throw new EgressError('egress_refused', 'form')
  return { origin, path: parsed.pathname + parsed.search }
}

function outgoingHeaders(init: FetchInit): string[] {
  const headers: string[] = []
  let typed = false
  const given = init.headers instanceof Headers ? [...init.headers] : Object.entries(init.headers ?? {})
  for (const [name, value] of given) {
    requireSafe(name, value)
    const known = name.toLowerCase()
    typed ||= known === 'content-type'
    if (!CONNECTION_HEADERS.has(known)) headers.push(name, value)
  }
  if (init.body instanceof URLSearchParams && !typed) headers.push('content-type', 'application/x-www-form-urlencoded;charset=UTF-8')
  headers.push('accept-encoding', 'identity')
  return headers
}

function bodyBytes(body: FetchInit['body']): string | Uint8Array | null {
  if (body === null || body === undefined) return null
  if (body instanceof URLSearchParams) return body.toString()
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  if (body instanceof ArrayBuffer) return new Uint8Array(body)
  throw new TypeError('fetch sends texts and bytes only; a stream goes through forward')
}

async function toResponse(method: string, answer: Answer, maxBytes: number): Promise<Response> {
  const coding = parseCoding(headerText(answer.headers, 'content-encoding'))
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) {
    if (coding !== undefined && (name === 'content-encoding' || name === 'content-length')) continue
    for (const one of typeof value === 'string' ? [value] : (value ?? [])) headers.append(name, one)
  }
  const bodiless = method === 'HEAD' || answer.status === 204 || answer.status === 205 || answer.status === 304
  const body = coding === undefined || bodiless ? answer.body : await decodeWhole(coding, answer.body, maxBytes)
  return new Response(bodiless ? null : new Uint8Array(body), { status: answer.status, headers })
}

const decoders: Readonly<Record<Coding, (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  br: promisify(brotliDecompress),
  gzip: promisify(gunzip),
  zstd: promisify(zstdDecompress),
  deflate: (body, options) => promisify((body[0]! & 0x0f) === 8 ? inflate : inflateRaw)(body, options),
}

async function decodeWhole(coding: Coding, body: Buffer, maxOutputLength: number): Promise<Buffer> {
  try {
    return await decoders[coding](body, { maxOutputLength })
  } catch (error) {
    const tooLarge = error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    throw new EgressError(tooLarge ? 'upstream_too_large' : 'upstream_invalid', 'encoding', true)
  }
}
