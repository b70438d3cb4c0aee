/**
 * Owns the frame of a streamed answer: bytes to events, events to objects, and the one failure that ends it. Refuses to go on after a failure, and to
 * call an answer whole whose end the vendor never sent.
 */
import { SallyportError } from '../../kernel/index.ts'
import { isObject, parsed, writable } from './json.ts'
import type { Json } from './json.ts'
import type { AnswerStream, StreamFailure } from './translation.ts'
import { CUT, UNREADABLE, failureBody } from './vendor-failure.ts'
import type { VendorFailure } from './vendor-failure.ts'

/** What a vendor's file makes of its events. */
export interface VendorEvents {
  /** Objects for the caller; or the vendor's failure. */
  read(event: Json, name: string | undefined): readonly object[] | VendorFailure
  /** After the last event: what is left to say, or undefined when the answer was not at its end. */
  finish(): readonly object[] | undefined
}

/** One event of any framing: a name, where the framing has one, and a JSON text. */
export interface FramedEvent {
  readonly event: string | undefined
  readonly data: string
}

const isObjects = (made: readonly object[] | VendorFailure): made is readonly object[] => Array.isArray(made)

/** How a vendor puts events into bytes. */
export interface Framing {
  /** @throws SallyportError for bytes that are no events. */
  push(bytes: Uint8Array): readonly FramedEvent[]
}

export function eventAnswer(framing: Framing, events: VendorEvents): AnswerStream {
  return new EventAnswer(framing, events)
}

class EventAnswer implements AnswerStream {
  readonly #framing: Framing
  readonly #events: VendorEvents
  #failure: VendorFailure | undefined

  constructor(framing: Framing, events: VendorEvents) {
    this.#framing = framing
    this.#events = events
  }

  get failure(): StreamFailure | undefined {
    return this.#failure
  }

  push(bytes: Uint8Array): readonly object[] {
    const given: object[] = []
    for (const { event, data } of this.#framed(bytes)) {
      if (this.#failure !== undefined) break
      given.push(...this.#read(event, data))
    }
    return given
  }

  end(): readonly object[] {
    if (this.#failure !== undefined) return []
    return this.#events.finish() ?? this.#fail(CUT)
  }

  /** Bytes that are no events fail the answer like an event that can't be read. */
  #framed(bytes: Uint8Array): readonly FramedEvent[] {
    if (this.#failure !== undefined) return []
    try {
      return this.#framing.push(bytes)
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error
      return [{ event: undefined, data: '' }]
    }
  }

  #read(event: string | undefined, data: string): readonly object[] {
    const json = parsed(data)
    if (!isObject(json)) return this.#fail(UNREADABLE)
    const made = writable(() => this.#events.read(json, event)) ?? UNREADABLE
    return isObjects(made) ? made : this.#fail(made)
  }

  #fail(failed: VendorFailure): readonly object[] {
    this.#failure = failed
    return [failureBody(failed)]
  }
}
