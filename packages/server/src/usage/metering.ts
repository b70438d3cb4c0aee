/**
 * Owns what the model plane tells of a call so that its use is known: what it asks for, before it goes out, and what of its answer passes by. Refuses to
 * hand anything on: a tap that is in trouble costs figures, never the call.
 */
import type { ModelProvider, ParsedHeaders, RequestId } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'

/** A call that is about to go out, once for each provider that is tried. */
export interface MeteredCall {
  readonly principal: KeyPrincipal
  /** As in the call's record. Several tries of one call share it. */
  readonly request: RequestId
  readonly method: string
  readonly provider: Pick<ModelProvider, 'id' | 'dialect'>
  /** Below the provider's base, beginning with a slash; with or without its query. */
  readonly path: string
  /** The named route that chose the provider, or null. */
  readonly route: string | null
  /** As the application names them, or null. */
  readonly endUser: string | null
  /** As the body names it; undefined where the body was not read. What the path names need not be said. */
  readonly model: string | undefined
  /** The most that the caller lets the model write; undefined when that isn't known. */
  readonly maxOutputTokens: number | undefined
  /** How many answers the model is to write, which `maxOutputTokens` counts together; undefined: one. */
  readonly answers?: number | undefined
  /** It is worked on after its answer, which says nothing of its use then; nor does anything that comes later. */
  readonly background?: boolean | undefined
  /** It has a body of which nothing was understood. Its provider may: one that is encoded, or in other letters than UTF-8, says as much as any. */
  readonly opaque?: boolean | undefined
  /** Of the request; undefined when that isn't known beforehand. */
  readonly bodyBytes: number | undefined
}

/** A call whose body was not read yet. */
export interface ArrivingCall extends Pick<MeteredCall, 'principal' | 'method' | 'path'> {
  /** Of the body, as the caller says it. */
  readonly type: string | undefined
}

/** How a metered call ended. Without a member: the whole answer passed by. */
export interface MeteredEnd {
  /** Why the answer was cut after its head, as `ForwardResult.aborted`. */
  readonly aborted?: string | undefined
  /** The code of what went wrong before there was an answer. */
  readonly error?: string | undefined
  /** Nothing left for the provider, so nothing can have been used. */
  readonly unsent?: boolean | undefined
}

/** Watches one call. No method waits, and none throws. */
export interface Metering {
  /** The answer's head. */
  answered(status: number, headers: ParsedHeaders): void
  /** A piece of the answer's body as it passes on, decoded; looked at, never kept. */
  chunk(bytes: Uint8Array): void
  /** Exactly once, whatever became of the call. What comes after the first is ignored. */
  end(outcome: MeteredEnd): void
}

export interface UsageMeter {
  /**
   * Whether the call's body says something that must be known before it goes out: only then is it read beforehand, within a bound. Decided from what is
   * known here; the first question of a caller may be a promise.
   */
  wantsBody(call: ArrivingCall): boolean | Promise<boolean>
  /**
   * Sets aside what the call may cost. At once in the common case.
   * @throws BudgetError `budget_exceeded`, at once or in the promise, when a hard budget has not enough left, or can't be asked; nothing is set aside then.
   */
  begin(call: MeteredCall): Metering | Promise<Metering>
}
