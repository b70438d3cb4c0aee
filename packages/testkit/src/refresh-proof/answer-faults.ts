/**
 * Owns the list of ways in which a token endpoint's answer goes wrong, as one table (battery F-17, F-19). `before` faults leave the grant as it
 * was; `after` faults have spent the refresh token already. Refuses to know what a grant is.
 */
import type { ServerResponse } from 'node:http'
import type { ShowingTold } from './history.ts'

export interface AnswerFault {
  /** Whether the refresh token is spent before this is answered. */
  readonly commits: boolean
  /** False where the answer renews without a new refresh token. */
  readonly rotates: boolean
  /** What whoever reads the answer knows, when the grant was accepted. */
  readonly told: ShowingTold
  /** How it is answered. Gets the members of the lawful answer, or undefined before the books were opened. */
  readonly play: (response: ServerResponse, members: Members | undefined, slowMs: number) => void
}

export type Members = Readonly<Record<string, unknown>>

type Play = AnswerFault['play']

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers }).end(JSON.stringify(body))
}
const page =
  (status: number, headers: Record<string, string> = {}): Play =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'text/html', ...headers }).end('<!doctype html><title>One moment</title>')

/** Until the caller gives up. */
const silence: Play = () => undefined
const reset: Play = (response) => void response.socket?.resetAndDestroy()
const limited: Play = (response) => json(response, 429, { error: 'slow_down' }, { 'retry-after': '1' })
const errorInSuccess: Play = (response) => json(response, 200, { error: 'server_error' })
const truncated: Play = (response, members) => {
  const text = JSON.stringify(members)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(text.length) })
  response.write(text.slice(0, -20), () => response.socket?.resetAndDestroy())
}
/** Whole, and no JSON: a broken middlebox counted the bytes anew. */
const cutShort: Play = (response, members) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(members).slice(0, -20))
}
const slowBody: Play = (response, members, slowMs) => {
  const text = JSON.stringify(members)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(text.length) })
  response.write(text.slice(0, 10))
  const rest = setTimeout(() => response.end(text.slice(10)), slowMs)
  response.once('close', () => clearTimeout(rest))
}
const members =
  (change: (members: Record<string, unknown>) => void): Play =>
  (response, lawful) => {
    const changed = { ...lawful }
    change(changed)
    json(response, 200, changed)
  }

const before = (play: Play, told: ShowingTold = 'unclear'): AnswerFault => ({ commits: false, rotates: false, told, play })
const after = (play: Play, told: ShowingTold = 'unclear'): AnswerFault => ({ commits: true, rotates: true, told, play })
const lifetime = (value: unknown): AnswerFault =>
  after(
    members((answer) => (answer['expires_in'] = value)),
    'tokens',
  )

export const ANSWER_FAULTS = {
  before_silence: before(silence),
  before_reset: before(reset),
  before_500: before(page(500)),
  before_503: before(page(503, { 'retry-after': '1' })),
  before_429: before(limited, 'not_spent'),
  before_html: before(page(200)),
  before_error_in_success: before(errorInSuccess),
  after_silence: after(silence),
  after_reset: after(reset),
  after_500: after(page(500)),
  after_503: after(page(503, { 'retry-after': '1' })),
  after_html: after(page(200)),
  after_truncated: after(truncated),
  after_cut_short: after(cutShort),
  after_error_in_success: after(errorInSuccess),
  slow_body: after(slowBody, 'tokens'),
  no_refresh_token: {
    ...after(
      members((answer) => delete answer['refresh_token']),
      'tokens',
    ),
    rotates: false,
  },
  no_scope: after(
    members((answer) => delete answer['scope']),
    'tokens',
  ),
  no_lifetime: lifetime(undefined),
  lifetime_zero: lifetime(0),
  lifetime_negative: lifetime(-1),
  lifetime_text: lifetime('3600'),
  lifetime_huge: lifetime(1e12),
} as const satisfies Readonly<Record<string, AnswerFault>>

export type AnswerFaultName = keyof typeof ANSWER_FAULTS

export const ANSWER_FAULT_NAMES = Object.keys(ANSWER_FAULTS) as AnswerFaultName[]

/** Those that leave the caller without tokens although the refresh token was spent. */
export const COSTLY_FAULTS: readonly AnswerFaultName[] = ANSWER_FAULT_NAMES.filter(
  (name) => ANSWER_FAULTS[name].commits && ANSWER_FAULTS[name].told === 'unclear',
)
