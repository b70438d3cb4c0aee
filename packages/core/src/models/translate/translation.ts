/**
 * Owns what a translation is: OpenAI's API on our side, a vendor's own words on the other. Refuses nothing itself; the vendors' files do.
 */
/** What of OpenAI's API is asked for. */
export type ModelOperation = 'chat' | 'responses' | 'embeddings'

/** A parsed JSON body of OpenAI's API. `model` is already the vendor's own name, without the provider in front. */
export type Asked = Readonly<Record<string, unknown>>

/** What goes to the vendor. */
export interface VendorRequest {
  /** Below the provider's base, with a query where the vendor wants one; every name in it is percent-encoded. */
  readonly path: string
  /** May be nested as deeply as the caller's: `JSON.stringify` throws a RangeError for what is too deep. */
  readonly body: object
  /** Beside the content type and the record's default headers. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** What goes to the caller: OpenAI's answer, or an error in its shape. */
export interface CallerAnswer {
  readonly status: number
  readonly body: object
}

/** Why a streamed answer is no whole answer. */
export interface StreamFailure {
  /** What the status would have been, had nothing been sent yet. */
  readonly status: number
  /** As in OpenAI's error. */
  readonly code: string | null
}

/** One streamed answer on its way. Its bytes are the vendor's, decoded. Nothing of it throws: a failure is an event like the others. */
export interface AnswerStream {
  /** The objects of OpenAI's API that these bytes complete; `eventText` writes them. After a failure there are none. */
  push(bytes: Uint8Array): readonly object[]
  /** What is left when the vendor's answer has ended; holds an error when it ended in the middle. */
  end(): readonly object[]
  /** Set with the error that was given out; `[DONE]` is not said after it. */
  readonly failure: StreamFailure | undefined
}

/** One operation at one provider. Pure but for the time and the ids that answers carry; safe to share between calls. */
export interface Translation {
  /** The provider speaks OpenAI's words itself: the answer and its stream pass as they are, and need no reading. */
  readonly native: boolean
  /** @throws TranslationError for what can't be said in the vendor's words; nothing is dropped in silence. */
  request(asked: Asked): VendorRequest
  /** Of an answer in one piece, an error included. `json` is undefined where the body was no JSON. */
  answer(status: number, json: unknown, asked: Asked): CallerAnswer
  /** Of a streamed answer whose status was 200. */
  stream(asked: Asked): AnswerStream
}

/** Where answers get their time and their ids. */
export interface Stamps {
  /** Whole seconds since the epoch. */
  seconds(): number
  /** Unlike every other: letters and digits. */
  id(): string
}

/** What ends a stream of chat completions that went well. */
export const DONE = 'data: [DONE]\n\n'

/** One object of a stream as a server-sent event. Those of the Responses API carry their type as the event's name too. */
export function eventText(item: object): string {
  const named = 'type' in item && typeof item.type === 'string' ? `event: ${item.type}\n` : ''
  return `${named}data: ${JSON.stringify(item)}\n\n`
}
