/**
 * Owns the way to the application's OpenTelemetry. Refuses to bring one along: the API is looked up when it is asked for, and where it is not
 * installed nothing is traced. Where it is, spans go to whatever provider the application registered, now or later. Refuses to let that one's
 * failure be the work's: a token that has just come must not be lost for a span.
 */
import type * as api from '@opentelemetry/api'
import type { OpenSpan, Span, SpanStart, Traces } from './traces.ts'
import { failureType, noSpan, noTraces } from './traces.ts'

type Api = typeof api

/** Longest text of an attribute, in UTF-16 units. */
const MAX_ATTRIBUTE = 1024
/** By this key the SDKs of OpenTelemetry mark what is not to be traced; its name is part of their contract with instrumentations. */
const SUPPRESSED = 'OpenTelemetry SDK Context Key SUPPRESS_TRACING'

/** Traces by the application's OpenTelemetry, if it has the API (version 1) installed; by nothing otherwise. Never rejects for its absence. */
export async function openTelemetry(scope: string, version: string): Promise<Traces> {
  const found = await lookUp()
  return found === undefined ? noTraces : new OpenTelemetryTraces(found, scope, version)
}

async function lookUp(): Promise<Api | undefined> {
  try {
    return await import('@opentelemetry/api')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

class OpenTelemetryTraces implements Traces {
  readonly #api: Api
  readonly #tracer: api.Tracer
  readonly #suppressed: symbol

  constructor(found: Api, scope: string, version: string) {
    this.#api = found
    // A proxy: a provider that is registered later is found by it.
    this.#tracer = found.trace.getTracer(scope, version)
    this.#suppressed = found.createContextKey(SUPPRESSED)
  }

  within<T>({ name, kind = 'internal', attributes = {} }: SpanStart, work: (span: Span) => Promise<T>): Promise<T> {
    const { SpanKind } = this.#api
    const options = { kind: kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes: bounded(attributes) }
    let begun: Promise<T> | undefined
    quietly(() => void this.#tracer.startActiveSpan(name, options, (span) => (begun = this.#under(span, work))))
    return begun ?? work(noSpan)
  }

  async #under<T>(span: api.Span, work: (span: Span) => Promise<T>): Promise<T> {
    try {
      return await work(this.#spanOf(span))
    } catch (error) {
      this.#fail(span, failureType(error))
      throw error
    } finally {
      quietly(() => span.end())
    }
  }

  open({ name, kind = 'internal', attributes = {} }: SpanStart): OpenSpan {
    const { SpanKind, context, trace } = this.#api
    const options = { kind: kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes: bounded(attributes) }
    const span = quietly(() => this.#tracer.startSpan(name, options))
    if (span === undefined) return noTraces.open({ name })
    const under = trace.setSpan(context.active(), span)
    let open = true
    return {
      ...this.#spanOf(span),
      within: (work) => context.with(under, work),
      end: () => {
        if (open) quietly(() => span.end())
        open = false
      },
    }
  }

  apart<T>(work: () => T): T {
    return this.#api.context.with(this.#api.ROOT_CONTEXT, work)
  }

  unseen<T>(work: () => T): T {
    return this.#api.context.with(this.#api.context.active().setValue(this.#suppressed, true), work)
  }

  #spanOf(span: api.Span): Span {
    return {
      recording: quietly(() => span.isRecording()) ?? false,
      set: (attributes) => quietly(() => void span.setAttributes(bounded(attributes))),
      fail: (type) => this.#fail(span, type),
    }
  }

  /** Without a message: whoever wants the words has the error. */
  #fail(span: api.Span, type: string): void {
    quietly(() => {
      span.setAttribute('error.type', type.slice(0, MAX_ATTRIBUTE))
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR })
    })
  }
}

function bounded(attributes: SpanStart['attributes'] & object): api.Attributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, MAX_ATTRIBUTE) : value]),
  )
}

/** Processors and exporters are the application's, and what they throw comes out of the calls on a span. */
function quietly<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch {
    return undefined
  }
}
