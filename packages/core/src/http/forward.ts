/**
 * Owns one call passed through: request body up, answer down, both streamed, nothing held but what a secret's border needs.
 * Refuses to leave a half answer looking whole: once headers are out, any failure destroys the caller's connection.
 */
import type { Readable, Transform } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Secret } from '../kernel/index.ts'
import { createDecoder, parseCoding, requireModestRatio } from './decode.ts'
import type { Coding } from './decode.ts'
import { EgressError, toEgressError } from './egress-error.ts'
import type { EgressErrorCode } from './egress-error.ts'
import { cleanResponseHeaders, headerText } from './headers.ts'
import type { ParsedHeaders } from './headers.ts'
import { echoesOf, inject } from './inject.ts'
import type { Injection } from './inject.ts'
import { SecretMask } from './mask.ts'
import { MeteredBody } from './metered-body.ts'
import type { ApiBase } from './origin.ts'
import type { JudgedPath } from './path.ts'

/** Where the answer goes: the part of node:http's ServerResponse that is used. */
export interface ResponseSink {
  readonly destroyed: boolean
  /** True once everything was handed to the operating system; tells a delivered answer's `close` from a broken one's. */
  readonly writableFinished: boolean
  writeHead(status: number, headers: string[]): unknown
  flushHeaders(): void
  write(chunk: Buffer): boolean
  end(): unknown
  destroy(): unknown
  on(event: 'drain' | 'close', listener: () => void): unknown
}

/** A call that is passed on: where it goes, what goes into it last, and what is masked in its answer. */
export interface ForwardCall {
  readonly base: ApiBase
  readonly method: string
  readonly path: JudgedPath
  /** Flat and already cleaned; see cleanRequestHeaders. */
  readonly headers: readonly string[]
  /** Resolved and put in last. */
  readonly inject: readonly Injection[]
  /** Further secrets to hide in the answer. What is injected is hidden anyway. */
  readonly mask?: readonly Secret[]
  /** null for no body. Never destroyed here. */
  readonly body: Readable | null
  /** The declared length, when there is one; otherwise the body goes out chunked. */
  readonly contentLength?: number
  readonly maxRequestBytes: number
  readonly response: ResponseSink
  /** The proxy's own base for links into the API, without a trailing slash (`https://gateway.example/proxy/github`). */
  readonly rewriteTo?: string
  /** Flat; added to the answer in place of the provider's headers of the same names. */
  readonly responseHeaders?: readonly string[]
  /** Flat; added to the answer beside the provider's headers of the same names. */
  readonly responseAdds?: readonly string[]
  /** Flat groups; one is added to the answer when the provider sends none of its names. In lower case. */
  readonly responseDefaults?: readonly (readonly string[])[]
  readonly signal?: AbortSignal
  /** Instead of the policy's. */
  readonly totalTimeoutMs?: number
  /**
   * Sees the status and headers of the provider's answer before anything of them is passed on. What it gives is injected instead, and the call
   * made once more, if it has no body: for answers that mean "not done, ask again like this". Of the second answer it can only say `withhold`:
   * nothing of it is passed on, and whoever forwards may forward again.
   */
  readonly again?: (status: number, headers: ParsedHeaders) => readonly Injection[] | 'withhold' | undefined
}

/** What became of a call whose answer was passed on. Bytes of the body alone. */
export interface ForwardResult {
  readonly status: number
  /** Body bytes from the provider, as they came (before decoding). */
  readonly bytesIn: number
  /** Body bytes given to the caller. */
  readonly bytesOut: number
  /** Milliseconds from the start of the call to the provider's headers. */
  readonly firstByteMs: number
  readonly durationMs: number
  /** The answer was left unread, and the response is as it was: see `again`. */
  readonly withheld?: true
  /** Why the answer was cut after its headers were out; the caller's connection is destroyed. Absent for a whole answer. */
  readonly aborted?: EgressErrorCode
}

export interface ForwardLimits {
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
  readonly maxResponseBytes: number
}

/** The one ability of undici's dispatchers that is used. */
export type Sender = Pick<Dispatcher, 'dispatch'>

/** Of a piece that is worth a write of its own. */
const LARGE_BYTES = 8 * 1024

const METHOD = /^[A-Z][A-Z-]{1,31}$/
/** CONNECT would open a tunnel, TRACE echoes the injected credential by definition. */
const REFUSED_METHODS: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])

/**
 * Sends the call and streams the answer to `call.response`. Resolves when the answer is fully handed over or was cut after its start.
 * Nothing is ever repeated but what `call.again` asks for.
 * @throws EgressError when nothing was written to `call.response`, which the caller may then still use for its own answer. After
 * `request_too_large` the caller must close its connection: the rest of the body is left unread.
 */
export function forward(dispatcher: Sender, limits: ForwardLimits, call: ForwardCall): Promise<ForwardResult> {
  return new Promise((resolve, reject) => {
    new Forwarding(limits, call, resolve, reject).start(dispatcher)
  })
}

class Forwarding implements Dispatcher.DispatchHandler {
  readonly #limits: ForwardLimits
  readonly #call: ForwardCall
  readonly #resolve: (result: ForwardResult | Promise<ForwardResult>) => void
  readonly #reject: (error: Error) => void
  readonly #startedAt = performance.now()
  #dispatcher: Sender | undefined
  #injectedNames: ReadonlySet<string> | undefined
  #mask: SecretMask | undefined
  #body: MeteredBody | undefined
  #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #coding: Coding | undefined
  #decoder: Transform | undefined
  #failure: EgressError | undefined
  #settled = false
  #headSent = false
  #listensForDrain = false
  #upstreamDone = false
  #status = 0
  #bytesIn = 0
  /** Pieces that came with one read, and wait for its end. */
  #gathered: Buffer[] = []
  #decodedBytes = 0
  #bytesOut = 0
  #firstByteMs = 0

  constructor(
    limits: ForwardLimits,
    call: ForwardCall,
    resolve: (result: ForwardResult | Promise<ForwardResult>) => void,
    reject: (error: Error) => void,
  ) {
    this.#limits = limits
    this.#call = call
    this.#resolve = resolve
    this.#reject = reject
  }

  start(dispatcher: Sender): void {
    const call = this.#call
    this.#dispatcher = dispatcher
    try {
      requireSendable(call)
      const request = inject(call.base.basePath + call.path, call.headers, call.inject)
      this.#injectedNames = request.names
      this.#mask = maskFor(call)
      this.#body = this.#openBody()
      if (this.#body !== undefined && call.contentLength !== undefined) request.headers.push('content-length', String(call.contentLength))
      this.#listen()
      dispatcher.dispatch(
        {
          origin: call.base.origin,
          path: request.path,
          method: call.method,
          headers: request.headers,
          body: this.#body ?? null,
          headersTimeout: this.#limits.headersTimeoutMs,
          bodyTimeout: this.#limits.idleTimeoutMs,
        },
        this,
      )
    } catch (error) {
      this.#fail(toEgressError(error, false))
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // undici puts a request back in line after some closes of its own; a second start would be a second sending.
    const repeated = this.#controller === undefined ? undefined : new EgressError('upstream_reset', 'repeated', true)
    this.#controller = controller
    const refusal = this.#failure ?? repeated
    if (refusal !== undefined) controller.abort(refusal)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ParsedHeaders): void {
    if (status < 200) return
    this.#status = status
    this.#firstByteMs = performance.now() - this.#startedAt
    try {
      const wanted = this.#call.again?.(status, headers)
      if (wanted === 'withhold') this.#withhold()
      else if (wanted !== undefined && this.#body === undefined) this.#sendAgain(wanted)
      else this.#sendHead(headers)
    } catch (error) {
      this.#fail(toEgressError(error, true))
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytesIn += chunk.length
    if (this.#bytesIn > this.#limits.maxResponseBytes) this.#fail(new EgressError('upstream_too_large', 'body', true))
    else if (this.#coding !== undefined) this.#decode(this.#coding, chunk)
    else this.#gather(chunk)
  }

  onResponseEnd(): void {
    this.#upstreamDone = true
    this.#handOn()
    if (this.#decoder === undefined) this.#finish()
    else this.#decoder.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#fail(toEgressError(error, this.#controller !== undefined))
  }

  /** The answer goes unread, with its connection; another sending takes this one's place, with the same caller waiting. */
  #sendAgain(injections: readonly Injection[]): void {
    const { again, ...call } = this.#call
    const lookOnly = (status: number, headers: ParsedHeaders) => (again?.(status, headers) === 'withhold' ? 'withhold' : undefined)
    this.#settle(() => {
      this.#controller?.abort(new EgressError('upstream_reset', 'again', true))
      this.#resolve(forward(this.#dispatcher!, this.#limits, { ...call, inject: injections, again: lookOnly }))
    })
  }

  #withhold(): void {
    this.#settle(() => {
      this.#controller?.abort(new EgressError('upstream_reset', 'withheld', true))
      this.#body?.destroy()
      this.#resolve({ ...this.#result(), withheld: true })
    })
  }

  #openBody(): MeteredBody | undefined {
    const { body, contentLength, maxRequestBytes } = this.#call
    return body === null || contentLength === 0 ? undefined : new MeteredBody(body, maxRequestBytes)
  }

  #listen(): void {
    const { response, signal, totalTimeoutMs } = this.#call
    this.#timer = setTimeout(() => this.#timeOut(), totalTimeoutMs ?? this.#limits.totalTimeoutMs)
    response.on('close', () => this.#conclude())
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  #sendHead(received: ParsedHeaders): void {
    const { base, method, response, responseHeaders = [], responseAdds = [], responseDefaults = [], rewriteTo } = this.#call
    const bodiless = method === 'HEAD' || this.#status === 204 || this.#status === 304
    this.#coding = parseCoding(headerText(received, 'content-encoding'))
    const length = headerText(received, 'content-length')
    if (!bodiless && Number(length) > this.#limits.maxResponseBytes) throw new EgressError('upstream_too_large', 'length', true)
    const headers = cleanResponseHeaders(received, {
      injectedNames: this.#injectedNames,
      replacedNames: namesOf(responseHeaders),
      decoded: this.#coding !== undefined,
      lengthless: this.#status === 204 || received['transfer-encoding'] !== undefined,
      mask: this.#mask,
      rewrite: rewriteTo === undefined ? undefined : { fromBase: base, toBase: rewriteTo },
    })
    for (const text of responseHeaders) headers.push(text)
    for (const text of responseAdds) headers.push(text)
    for (const group of responseDefaults) if (!namesAny(received, group)) headers.push(...group)
    response.writeHead(this.#status, headers)
    this.#headSent = true
    // Headers wait for the first body byte and leave in one packet with it; a stream that is silent at first must not keep them.
    if (length === undefined && !bodiless) queueMicrotask(() => this.#startQuietly())
  }

  /**
   * Pieces that are parsed out of one read pass on as one: a hundred small events are masked, looked at, framed and written as one, and none of them any
   * later than the first of them would have left.
   */
  #gather(chunk: Buffer): void {
    if (this.#gathered.length === 0 && chunk.length >= LARGE_BYTES) return this.#send(chunk)
    this.#gathered.push(chunk)
    if (this.#gathered.length === 1) queueMicrotask(this.#handOn)
  }

  /** Called where what is thrown would end the process. */
  readonly #handOn = (): void => {
    const gathered = this.#gathered
    if (this.#settled || gathered.length === 0) return
    this.#gathered = []
    try {
      this.#send(gathered.length === 1 ? gathered[0]! : Buffer.concat(gathered))
    } catch (error) {
      this.#fail(toEgressError(error, true))
    }
  }

  #decode(coding: Coding, chunk: Buffer): void {
    this.#decoder ??= this.#openDecoder(coding, chunk[0]!)
    if (!this.#decoder.write(chunk)) this.#controller?.pause()
  }

  #openDecoder(coding: Coding, firstByte: number): Transform {
    const decoder = createDecoder(coding, firstByte)
    decoder.on('data', (piece: Buffer) => this.#takeDecoded(piece))
    decoder.on('drain', () => this.#controller?.resume())
    decoder.on('end', () => this.#finish())
    decoder.on('error', () => this.#fail(new EgressError('upstream_invalid', 'encoding', true)))
    return decoder
  }

  #takeDecoded(piece: Buffer): void {
    if (this.#settled) return
    this.#decodedBytes += piece.length
    try {
      requireModestRatio(this.#bytesIn, this.#decodedBytes)
      if (this.#decodedBytes > this.#limits.maxResponseBytes) throw new EgressError('upstream_too_large', 'body', true)
      this.#send(piece)
    } catch (error) {
      this.#fail(toEgressError(error, true))
    }
  }

  #send(chunk: Buffer): void {
    if (this.#mask === undefined) this.#emit(chunk)
    else this.#mask.write(chunk, this.#emit)
  }

  readonly #emit = (piece: Buffer): void => {
    // Destroyed but not yet closed: a write now would raise an error event on the response.
    if (this.#call.response.destroyed) return this.#fail(this.#clientGone())
    this.#bytesOut += piece.length
    if (this.#call.response.write(piece)) return
    if (!this.#listensForDrain) this.#call.response.on('drain', () => this.#flowAgain())
    this.#listensForDrain = true
    if (this.#decoder === undefined) this.#controller?.pause()
    else this.#decoder.pause()
  }

  /** Called by a decoder's event, where what is thrown would end the process. */
  #finish(): void {
    if (this.#settled) return
    try {
      this.#mask?.flush(this.#emit)
      if (!this.#settled) this.#call.response.end()
    } catch (error) {
      this.#fail(toEgressError(error, true))
    }
  }

  #flowAgain(): void {
    if (this.#decoder === undefined) this.#controller?.resume()
    else this.#decoder.resume()
  }

  #startQuietly(): void {
    if (!this.#settled && this.#bytesOut === 0 && this.#gathered.length === 0) this.#call.response.flushHeaders()
  }

  /** The response is closed: delivered, or broken by whoever held the other end. */
  #conclude(): void {
    if (!this.#call.response.writableFinished) this.#fail(this.#clientGone())
    else if (!this.#settled) this.#settle(() => this.#resolve(this.#result()))
  }

  readonly #onAbort = (): void => this.#fail(this.#clientGone())

  #timeOut(): void {
    // With the provider's part done, it is the caller who doesn't read.
    this.#fail(this.#upstreamDone ? this.#clientGone() : new EgressError('upstream_timeout', 'total', this.#controller !== undefined))
  }

  #clientGone(): EgressError {
    return new EgressError('client_gone', 'connection', this.#controller !== undefined)
  }

  #fail(error: EgressError): void {
    // What came before it is the caller's, and counts.
    this.#handOn()
    if (this.#settled) return
    this.#failure = error
    this.#settle(() => {
      this.#controller?.abort(error)
      this.#body?.destroy()
      this.#decoder?.destroy()
      if (!this.#headSent) this.#reject(error)
      else {
        this.#call.response.destroy()
        this.#resolve({ ...this.#result(), aborted: error.code })
      }
    })
  }

  #settle(conclude: () => void): void {
    this.#settled = true
    clearTimeout(this.#timer)
    this.#call.signal?.removeEventListener('abort', this.#onAbort)
    conclude()
  }

  #result(): ForwardResult {
    return {
      status: this.#status,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      firstByteMs: this.#firstByteMs,
      durationMs: performance.now() - this.#startedAt,
    }
  }
}

function namesAny(received: ParsedHeaders, group: readonly string[]): boolean {
  for (let at = 0; at < group.length; at += 2) if (received[group[at]!] !== undefined) return true
  return false
}

function requireSendable(call: ForwardCall): void {
  if (!METHOD.test(call.method) || REFUSED_METHODS.has(call.method)) throw new EgressError('egress_refused', 'method')
  if (call.contentLength !== undefined && call.contentLength > call.maxRequestBytes) throw new EgressError('request_too_large', 'length')
  if (call.signal?.aborted === true || call.response.destroyed) throw new EgressError('client_gone', 'connection')
}

function maskFor(call: ForwardCall): SecretMask | undefined {
  if (call.inject.length === 0 && call.mask === undefined) return undefined
  const mask = new SecretMask(echoesOf(call.inject, call.mask))
  return mask.idle ? undefined : mask
}

function namesOf(headers: readonly string[]): ReadonlySet<string> | undefined {
  if (headers.length === 0) return undefined
  const names = new Set<string>()
  for (let i = 0; i < headers.length; i += 2) names.add(headers[i]!.toLowerCase())
  return names
}
