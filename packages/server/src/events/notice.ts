/** Owns what a verified event comes down to here, whichever provider sent it. Refuses anything that only one of them knows. */
import type { EventSubject, StreamStatus } from '../db/index.ts'

/**
 * - `end`: the connections of the subject end.
 * - `renew`: something about their tokens changed: they are renewed, which finds out whether the grant lives.
 * - `note`: put on record.
 */
export type Effect = 'end' | 'renew' | 'note'

export interface Notice {
  /** For the log: the event's own short name. */
  readonly event: string
  readonly effect: Effect
  /** The grant may still live at the provider, and is taken back there too. */
  readonly tellProvider: boolean
  /** Undefined when it names nobody that could be found here. */
  readonly subject: EventSubject | undefined
  /** When it happened there, in milliseconds since the epoch; null when the event does not say. */
  readonly at: number | null
}

export interface Received {
  /** The sender's own id of this event: it is acted on once. */
  readonly id: string
  readonly notices: readonly Notice[]
  /** About the way it came rather than about somebody. */
  readonly stream?: { readonly verified: boolean; readonly status: StreamStatus | undefined }
}

export const note = (event: string): Notice => ({ event, effect: 'note', tellProvider: false, subject: undefined, at: null })
