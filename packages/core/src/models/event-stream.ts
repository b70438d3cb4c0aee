/**
 * Owns reading server-sent events (WHATWG HTML section 9.2) out of a body that arrives in pieces: pieces may end inside a line or a character. Refuses
 * an event above its limit, so that a peer that never ends a line costs bounded memory. Reconnecting (`id`, `retry`) is nobody's business here.
 */
import { createParser } from 'eventsource-parser'
import { SallyportError } from '../kernel/index.ts'

/** One event. `event` is undefined where the peer named none. */
export interface ServerSentEvent {
  readonly event: string | undefined
  readonly data: string
}

/** The one way in which a stream of events is refused. */
export type EventStreamErrorCode = 'event_too_large'

/** A picture in an answer comes as one event, in base64. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024
/** What a line holds beside its data: `data: `. */
const FIELD_NAME = 64

/** Of one body; not shared between bodies. */
export interface EventStream {
  /**
   * The events that these bytes complete, in order. An event without a blank line after it is none, as the standard has it.
   * @throws SallyportError `event_too_large`, and again at every later call.
   */
  push(bytes: Uint8Array): readonly ServerSentEvent[]
}

/** A reader of one body. `maxEventChars`: of the data of one event, in UTF-16 units. */
export function eventStream({ maxEventChars = MAX_EVENT_CHARS }: { readonly maxEventChars?: number } = {}): EventStream {
  // The parser takes the byte order mark away, once; a decoder that did too would take a second one.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let events: ServerSentEvent[] = []
  let tooLarge = false
  const parser = createParser({
    maxBufferSize: maxEventChars + FIELD_NAME,
    onEvent: ({ event, data }) => {
      if (data.length > maxEventChars) tooLarge = true
      else if (!tooLarge) events.push({ event, data })
    },
    onError: ({ type }) => {
      if (type === 'max-buffer-size-exceeded') tooLarge = true
    },
  })
  return {
    push(bytes) {
      if (!tooLarge) parser.feed(decoder.decode(bytes, { stream: true }))
      if (tooLarge) throw new SallyportError('event_too_large', 'an event of the stream is above its limit')
      const complete = events
      events = []
      return complete
    },
  }
}
