/**
 * Owns reading server-sent events (WHATWG HTML section 9.2) out of a body that arrives in pieces: pieces may end inside a line or a character. Refuses
 * an event above its limit, so that a peer that never ends a line costs bounded memory, and lines that are none of a stream of events, each of which costs more than a
 * hundred that are. Reconnecting (`id`, `retry`) is nobody's business here.
 */
import { createParser } from 'eventsource-parser'
import { SallyportError } from '../kernel/index.ts'

/** One event. `event` is undefined where the peer named none. */
export interface ServerSentEvent {
  readonly event: string | undefined
  readonly data: string
}

/** The ways in which a stream of events is refused. */
export type EventStreamErrorCode = 'event_too_large' | 'event_malformed'

/** A picture in an answer comes as one event, in base64. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024
/** Fields that the standard does not know, of one stream, beside one for each event: some peers may have one of their own. */
const MOST_UNKNOWN = 100
/** What a line holds beside its data: `data: `. */
const FIELD_NAME = 64

/** Of one body; not shared between bodies. */
export interface EventStream {
  /**
   * The events that these bytes complete, in order. An event without a blank line after it is none, as the standard has it.
   * @throws SallyportError `event_too_large`, `event_malformed` where little of it is a stream of events, and again at every later call.
   */
  push(bytes: Uint8Array): readonly ServerSentEvent[]
}

/** A reader of one body. `maxEventChars`: of the data of one event, in UTF-16 units. */
export function eventStream({ maxEventChars = MAX_EVENT_CHARS }: { readonly maxEventChars?: number } = {}): EventStream {
  // The parser takes the byte order mark away, once; a decoder that did too would take a second one.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let events: ServerSentEvent[] = []
  let refused: SallyportError<EventStreamErrorCode> | undefined
  let unknown = 0
  const parser = createParser({
    maxBufferSize: maxEventChars + FIELD_NAME,
    onEvent: ({ event, data }) => {
      unknown = Math.max(-MOST_UNKNOWN, unknown - 1)
      if (data.length > maxEventChars) refused ??= tooLarge()
      else if (refused === undefined) events.push({ event, data })
    },
    // The parser makes an Error with its stack for each: to throw is what ends that.
    onError: ({ type }) => {
      if (type === 'max-buffer-size-exceeded') refused ??= tooLarge()
      else if (++unknown > MOST_UNKNOWN) throw (refused ??= malformed())
    },
  })
  return {
    push(bytes) {
      if (refused === undefined) parser.feed(decoder.decode(bytes, { stream: true }))
      if (refused !== undefined) throw refused
      const complete = events
      events = []
      return complete
    },
  }
}

function tooLarge(): SallyportError<EventStreamErrorCode> {
  return new SallyportError('event_too_large', 'an event of the stream is above its limit')
}

function malformed(): SallyportError<EventStreamErrorCode> {
  return new SallyportError('event_malformed', 'what should be a stream of events holds other lines')
}
