/** Owns one try of a call: out through the door, its answer as it comes, and what is counted of it. Refuses to know whose call it is. */
import { Readable } from 'node:stream'
import { EgressError } from '../http/index.ts'
import type { Egress, ForwardCall } from '../http/index.ts'
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Metrics } from '../observability/index.ts'
import { faultOfError, faultOfStatus, PipelineError } from '../pipeline/index.ts'
import type { Answer, Call, Fault } from '../pipeline/index.ts'
import { AnswerSink } from './answer.ts'

export interface SendingParts {
  readonly egress: Pick<Egress, 'forward'>
  /** Of one try, to its last byte. Milliseconds. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly metrics: Metrics
  /** Shown the head of each answer that comes. */
  readonly onHead: (provider: string, host: string, headers: Headers) => void
  /** Told of each try and whose fault it was, if anybody's. */
  readonly onOutcome: (provider: string, fault: Fault) => void
}

/** Where a call goes, and what is put in last. */
export type Destination = Pick<ForwardCall, 'base' | 'path' | 'inject' | 'mask' | 'again'>

const MAX_REQUEST_BYTES = 1024 * 1024 * 1024

export class Sending {
  readonly #parts: SendingParts

  constructor(parts: SendingParts) {
    this.#parts = parts
  }

  /** Resolves with the answer's head. `own`: the signal of whoever asked; that of `call` may be another's as well. @throws EgressError */
  send(call: Call, destination: Destination, own: AbortSignal | undefined): Promise<Answer> {
    const { egress, timeoutMs, clock } = this.#parts
    const startedAt = clock.monotonic()
    const sink = new AnswerSink(call.method)
    const done = egress.forward({
      ...destination,
      method: call.method,
      headers: [...call.headers].flat(),
      ...bodyOf(call),
      maxRequestBytes: MAX_REQUEST_BYTES,
      response: sink,
      totalTimeoutMs: timeoutMs,
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    })
    const over = Promise.withResolvers<void>()
    const headed = sink.head.then((head): Answer => {
      this.#parts.onHead(call.provider, new URL(call.url).host, head.headers)
      return { ...head, ended: over.promise }
    })
    const whole = done.then(
      ({ status, aborted }) => {
        if (aborted !== undefined) sink.cut(causeOf(aborted, call, own))
        this.#count(call, startedAt, `${Math.floor(status / 100)}xx`, 'provider')
        this.#parts.onOutcome(call.provider, faultOfStatus(status))
        over.resolve()
        return headed
      },
      (error: unknown) => {
        const gone = hasCode(error, 'client_gone')
        this.#count(call, startedAt, gone ? '4xx' : '5xx', gone ? 'client' : 'gateway')
        this.#parts.onOutcome(call.provider, faultOfError(error, clock.monotonic() - startedAt, 0))
        throw error
      },
    )
    return Promise.race([headed, whole])
  }

  #count({ provider, method }: Call, startedAt: number, status: string, source: string): void {
    const { metrics, clock } = this.#parts
    metrics.count('http_requests_total', { provider, method, status, source })
    metrics.observe('http_request_duration_seconds', { provider }, (clock.monotonic() - startedAt) / 1000)
  }
}

function bodyOf({ body }: Call): { readonly body: Readable | null; readonly contentLength?: number } {
  if (body === null) return { body: null }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body
    return { body: Readable.from([bytes]), contentLength: bytes.length }
  }
  return { body: body instanceof Readable ? body : Readable.from(body) }
}

/** Why a body was cut: by whoever asked, by the deadline around the call, or by the provider. */
function causeOf(aborted: EgressError['code'], { signal }: Call, own: AbortSignal | undefined): unknown {
  if (own?.aborted === true) return own.reason
  return signal?.aborted === true ? new PipelineError('deadline_exceeded') : new EgressError(aborted, 'cut', true)
}
