import { SallyportError } from '@sallyport/core'

/**
 * - `event_refused`: what came is not an event of this source: unsigned, signed by another, too old, for somebody else, or unreadable.
 * - `event_source_unknown`: nothing receives events at this address.
 */
export type EventErrorCode = 'event_refused' | 'event_source_unknown'

/** How RFC 8935 section 2.4 calls it. */
export type SetErrorCode = 'invalid_request' | 'invalid_key' | 'invalid_issuer' | 'invalid_audience' | 'authentication_failed'

/** `message` is a sentence of ours, safe to send; nothing of the event is in it. */
export class EventError extends SallyportError<EventErrorCode> {
  readonly reason: SetErrorCode

  constructor(code: EventErrorCode, message: string, reason: SetErrorCode = 'invalid_request') {
    super(code, message, { publicDetail: message })
    this.reason = reason
  }
}

export function refusedEvent(message: string, reason?: SetErrorCode): EventError {
  return new EventError('event_refused', message, reason)
}
