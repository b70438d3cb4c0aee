/**
 * Owns Slack's events as far as they are about grants (https://docs.slack.dev/reference/events). Refuses requests whose time is more than five minutes
 * off, and to read anything before the signature over time and raw bytes was found right.
 *
 * Slack names users and workspaces. An account here is the user's id, `{team}:{user}`, or the id of the workspace alone.
 */
import type { Secret } from '@sallyport/core'
import { refusedEvent } from './errors.ts'
import type { Headers } from './github.ts'
import { note } from './notice.ts'
import type { Notice, Received } from './notice.ts'
import { isSignedBy } from './signature.ts'

export interface SlackReceived extends Received {
  /** To be sent back: Slack asks whether the address is ours. */
  readonly challenge?: string
}

const WINDOW_MS = 300_000
const TIMESTAMP = /^\d{1,12}$/u
/** Of users and workspaces; and of events, which begin with `Ev`. */
const ID = /^[A-Z0-9]{1,64}$/u
const EVENT_ID = /^[\w-]{1,128}$/u
const CHALLENGE = /^[\w-]{1,256}$/u

interface Payload {
  readonly type?: unknown
  readonly challenge?: unknown
  readonly event_id?: unknown
  readonly event_time?: unknown
  readonly team_id?: unknown
  readonly event?: { readonly type?: unknown; readonly tokens?: unknown } | null
}

/** @param now wall time in milliseconds. @throws EventError */
export function receiveSlack(secret: Secret, headers: Headers, body: Buffer, parse: (body: Buffer) => unknown, now: number): SlackReceived {
  const timestamp = headers['x-slack-request-timestamp'] ?? ''
  const timely = TIMESTAMP.test(timestamp) && Math.abs(now - Number(timestamp) * 1000) <= WINDOW_MS
  if (!timely || !isSignedBy(secret, [`v0:${timestamp}:`, body], headers['x-slack-signature'], 'v0='))
    throw refusedEvent('The signature is missing, wrong or too old.', 'authentication_failed')
  const payload = (parse(body) ?? {}) as Payload
  const { challenge, event_id } = payload
  if (payload.type === 'url_verification' && typeof challenge === 'string' && CHALLENGE.test(challenge)) {
    return { id: `challenge ${challenge}`, notices: [], stream: { verified: true, status: undefined }, challenge }
  }
  if (payload.type !== 'event_callback' || typeof event_id !== 'string' || !EVENT_ID.test(event_id))
    throw refusedEvent('This is no event of the Events API.')
  return { id: event_id, notices: [noticeOf(payload)] }
}

function noticeOf({ event, team_id: team, event_time }: Payload): Notice {
  const at = typeof event_time === 'number' && Number.isSafeInteger(event_time) ? event_time * 1000 : null
  if (event?.type === 'app_uninstalled' && isId(team)) {
    return { event: 'app_uninstalled', effect: 'end', tellProvider: false, subject: { accounts: [team], prefix: `${team}:` }, at }
  }
  if (event?.type !== 'tokens_revoked') return note(event?.type === 'app_uninstalled' ? 'app_uninstalled' : 'unknown')
  const users = usersOf(event.tokens)
  const accounts = users.flatMap((user) => (isId(team) ? [user, `${team}:${user}`] : [user]))
  return { event: 'tokens_revoked', effect: 'end', tellProvider: false, subject: accounts.length === 0 ? undefined : { accounts }, at }
}

/** Users whose tokens are over, people's and bots' alike. */
function usersOf(tokens: unknown): readonly string[] {
  const { oauth, bot } = (tokens ?? {}) as { readonly oauth?: unknown; readonly bot?: unknown }
  return [oauth, bot].flatMap((list) => (Array.isArray(list) ? list.slice(0, 1000).filter(isId) : []))
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}
