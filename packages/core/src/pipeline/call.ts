/** Owns what passes through the pipeline: a call, its answer, and the shape of a policy between them. Refuses to know how a call is sent. */

export interface Call {
  /** In capitals. */
  readonly method: string
  /** Absolute. */
  readonly url: string
  /** Without the credential: that is put in behind the pipeline, on the last line. */
  readonly headers: Headers
  /** A stream is read once, so a call that has one is sent once. */
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array> | null
  readonly signal?: AbortSignal
  /** When the call is given up, by the monotonic clock. Milliseconds. */
  readonly deadline?: number
  /** It changes nothing, whatever its method says: it may be sent again, and what is kept stays. */
  readonly reads?: boolean
  /** The organization, or the instance of the SDK, on whose account the call is made. */
  readonly owner: string
  readonly integration: string
  /** The provider's id: a label of metrics. */
  readonly provider: string
  /** Whose credential; '' for none. */
  readonly connection: string
  /** Of that credential: rises whenever another grant takes its place. */
  readonly generation: number
  /** Which of the connection's quotas it counts against; absent where the provider has one for all calls. */
  readonly counted?: Counted
}

/** One of several quotas that a provider counts a connection's calls by. */
export interface Counted {
  /** A resource, or an endpoint: the same for all calls that count together. */
  readonly by: string
  /** The header of answers that names it, in lower case. Absent: answers say nothing of it, and speak of the call's own. */
  readonly saidIn?: string
}

/** What a provider answered, any status. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Read to its end or cancelled by whoever gets it. */
  readonly body: ReadableStream<Uint8Array> | null
  /**
   * Settles when the provider's part is done and its connection is free, read or not; never rejects. Whoever gives it ends the body itself when the
   * call's signal aborts. Absent: when the body has come to its end.
   */
  readonly ended?: Promise<void>
  /** It was kept: `fresh` without a question, `confirmed` by the provider, `stale` in place of a provider that fails. Absent: it has just come. */
  readonly kept?: 'fresh' | 'confirmed' | 'stale'
}

/** A way of sending a call. @throws EgressError, PipelineError. */
export type Send = (call: Call) => Promise<Answer>

/** What stands around a way of sending and is one itself. */
export type Policy = (next: Send) => Send

/** What fails together: the host that one owner reaches through one integration. */
export interface Place {
  readonly owner: string
  readonly integration: string
  /** A label of metrics. */
  readonly provider: string
  readonly host: string
}

export function placeOf({ owner, integration, provider, url }: Call): Place {
  return { owner, integration, provider, host: new URL(url).host }
}

/** The same for the same place, and for no other. */
export function placeKey({ owner, integration, host }: Place): string {
  return JSON.stringify([owner, integration, host])
}

export function circuitOf(call: Call): string {
  return placeKey(placeOf(call))
}

/** Whether it can be sent a second time. */
export function isReplayable({ body }: Call): boolean {
  return body === null || typeof body === 'string' || body instanceof Uint8Array
}

/** Lets go of an answer that nobody will read. A body that fails while it is dropped is of no interest any more. */
export async function discard(answer: Answer): Promise<void> {
  await answer.body?.cancel().catch(() => undefined)
}
