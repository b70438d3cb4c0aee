/**
 * Owns the port for traces: spans around what takes time. Refuses texts that come from outside as names, and failures' words: a span that
 * failed says by which of our codes. Who makes a span sees to it that its attributes are kinds, numbers and places, never ids of people.
 */
import { SallyportError } from '../kernel/index.ts'

/** Names of OpenTelemetry where it has one, ours with the prefix `sallyport.`. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

/** What is known of a span when it begins. */
export interface SpanStart {
  /** Of few words, the same for all calls of a kind. */
  readonly name: string
  /** `client`: a call to another machine. */
  readonly kind?: 'internal' | 'client'
  readonly attributes?: SpanAttributes
}

/** One piece of work in a trace. Its values are metadata: never a token, an address of an account, or a body. */
export interface Span {
  /** False where nobody looks: what only a span wants need not be made. */
  readonly recording: boolean
  set(attributes: SpanAttributes): void
  /** Marks it as failed: one of our codes, a status of HTTP, or the name of an outcome. */
  fail(type: string): void
}

/** A span that outlives one stretch of work: for what is done in pieces, whenever somebody asks for the next. */
export interface OpenSpan extends Span {
  /** Runs one piece of it: spans begun by it belong to this one, whoever asked. */
  within<T>(work: () => T): T
  /** Idempotent. */
  end(): void
}

/** The port to whatever traces there are; it does nothing where there are none. */
export interface Traces {
  /** Runs `work` in a span, to which spans begun by it belong. Gives what it gives; its failure marks the span and goes on. */
  within<T>(start: SpanStart, work: (span: Span) => Promise<T>): Promise<T>
  /** Begins a span under the one that stands; whoever opens it ends it. */
  open(start: SpanStart): OpenSpan
  /** Runs `work` outside of every span: for what outlives whoever began it. */
  apart<T>(work: () => T): T
  /** Runs `work` so that others who trace for the application make no spans of it: they would write down its URL. */
  unseen<T>(work: () => T): T
}

/** Where nobody looks. */
export const noSpan: Span = { recording: false, set: () => undefined, fail: () => undefined }

/** Nobody looks. */
export const noTraces: Traces = {
  within: (_start, work) => work(noSpan),
  open: () => ({ ...noSpan, within: (work) => work(), end: () => undefined }),
  apart: (work) => work(),
  unseen: (work) => work(),
}

/** What a failure is called in a span: our code, or `_OTHER` as the semantic conventions have it for what has no name of few. */
export function failureType(error: unknown): string {
  return error instanceof SallyportError ? error.code : '_OTHER'
}
