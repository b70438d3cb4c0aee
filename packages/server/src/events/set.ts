/**
 * Owns security event tokens (RFC 8417) as they are pushed (RFC 8935): their verification, and what the events of RISC and CAEP come down to here.
 * Refuses tokens that could be taken for something else: one without the claim `events` is no event, whoever signed it.
 */
import { JwtError, Secret, verifyJwt } from '@sallyport/core'
import type { JwtAlgorithm, JwtErrorCode, KeySets, VerifiedJwt } from '@sallyport/core'
import type { EventSource, EventSubject, StreamStatus } from '../db/index.ts'
import { refusedEvent } from './errors.ts'
import type { SetErrorCode } from './errors.ts'
import type { Effect, Notice, Received } from './notice.ts'

const ALGORITHMS: readonly JwtAlgorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
/** Transmitters go on trying for days; what is older is not taken, so that a receipt need not be kept for ever. */
const MAX_AGE_S = 14 * 86_400
const TOLERANCE_S = 300
const MAX_EVENTS = 16
const MAX_TEXT = 512

const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const OAUTH = 'https://schemas.openid.net/secevent/oauth/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'

interface Meaning {
  readonly effect: Effect
  readonly tellProvider: boolean
}

const END: Meaning = { effect: 'end', tellProvider: true }
/** The provider has ended the grant itself. */
const ENDED: Meaning = { effect: 'end', tellProvider: false }
const RENEW: Meaning = { effect: 'renew', tellProvider: false }
const NOTE: Meaning = { effect: 'note', tellProvider: false }

/** Everything else that is signed is put on record and no more. */
const MEANING: ReadonlyMap<string, Meaning> = new Map([
  [`${RISC}account-disabled`, END],
  [`${RISC}account-purged`, ENDED],
  [`${RISC}credential-compromise`, END],
  [`${RISC}identifier-recycled`, END],
  [`${RISC}sessions-revoked`, END],
  [`${RISC}account-credential-change-required`, RENEW],
  [`${OAUTH}tokens-revoked`, ENDED],
  [`${CAEP}session-revoked`, END],
  [`${CAEP}credential-change`, RENEW],
  [`${CAEP}token-claims-change`, RENEW],
])
const VERIFICATION: ReadonlySet<string> = new Set([`${RISC}verification`, `${SSF}verification`])
const STREAM_UPDATED = `${SSF}stream-updated`

type SetSource = Pick<EventSource, 'issuers' | 'audiences' | 'keysUri' | 'untyped'>

/** @throws EventError; JwtError `jwt_keys_unavailable`, after which the same token may be sent again. */
export async function receiveSet(source: SetSource, body: Buffer, keySets: KeySets, now: number): Promise<Received> {
  const token = await verified(source, new Secret(body.toString('latin1').trim()), keySets, now)
  const events = eventsOf(token)
  const status = streamStatus(events.find(([uri]) => uri === STREAM_UPDATED)?.[1])
  return {
    // Required by the policy.
    id: token.id!,
    notices: events.map(([uri, event]) => noticeOf(source, token, uri, event)),
    stream: { verified: events.some(([uri]) => VERIFICATION.has(uri)), status },
  }
}

async function verified(
  { issuers, audiences, keysUri, untyped }: SetSource,
  token: Secret,
  keySets: KeySets,
  now: number,
): Promise<VerifiedJwt> {
  try {
    return await verifyJwt(
      token,
      {
        issuers,
        audiences,
        algorithms: ALGORITHMS,
        type: { name: 'secevent+jwt', absent: untyped ? 'taken' : 'refused' },
        required: ['iat', 'jti', 'events'],
        maxAgeS: MAX_AGE_S,
        toleranceS: TOLERANCE_S,
        keys: keySets.at(keysUri ?? ''),
      },
      now,
    )
  } catch (error) {
    const refusal = error instanceof JwtError ? REFUSALS[error.code] : undefined
    if (refusal === undefined) throw error
    throw refusedEvent(refusal[1], refusal[0])
  }
}

const REFUSALS: Readonly<Record<JwtErrorCode, readonly [SetErrorCode, string] | undefined>> = {
  jwt_malformed: ['invalid_request', 'The body is no security event token.'],
  jwt_algorithm: ['invalid_key', 'The token is not signed in a way that is taken.'],
  jwt_type: ['invalid_request', 'The token is of another type than secevent+jwt.'],
  jwt_key_unknown: ['invalid_key', "None of the issuer's keys fits."],
  jwt_signature: ['authentication_failed', 'The signature is wrong.'],
  jwt_issuer: ['invalid_issuer', 'The token is by another issuer than this source takes.'],
  jwt_audience: ['invalid_audience', 'The token is for another audience.'],
  jwt_expired: ['invalid_request', 'The token is too old.'],
  jwt_claims: ['invalid_request', 'The token lacks a claim, or says that it is of the future.'],
  jwt_keys_unavailable: undefined,
}

type EventClaim = readonly [uri: string, event: Readonly<Record<string, unknown>>]

/** RFC 8417 section 2.2: an object with one member or more, each an object. */
function eventsOf({ claims }: VerifiedJwt): readonly EventClaim[] {
  const { events } = claims
  const found = isObject(events) ? Object.entries(events) : []
  if (found.length === 0 || found.length > MAX_EVENTS) throw refusedEvent('The claim events holds no events, or too many.')
  return found.map(([uri, event]) => {
    if (!isObject(event)) throw refusedEvent('An event is no object.')
    return [uri, event]
  })
}

function noticeOf(source: SetSource, token: VerifiedJwt, uri: string, event: Readonly<Record<string, unknown>>): Notice {
  const { effect, tellProvider } = MEANING.get(uri) ?? NOTE
  const known = MEANING.has(uri) || VERIFICATION.has(uri) || uri === STREAM_UPDATED
  const subject = subjectOf(source, token, event)
  const at = momentMs(event['event_timestamp']) ?? momentMs(token.claims['toe']) ?? momentMs(token.issuedAt)
  return { event: known ? uri.slice(uri.lastIndexOf('/') + 1) : 'unknown', effect, tellProvider, subject, at }
}

/** `sub_id` of the token (RFC 9493), the event's own `subject` as in RISC before that, or the token's `sub`. */
function subjectOf(source: SetSource, token: VerifiedJwt, event: Readonly<Record<string, unknown>>): EventSubject | undefined {
  const named = token.claims['sub_id'] ?? event['subject']
  const accounts = named === undefined ? [token.subject] : accountsOf(source, named)
  const texts = accounts.filter((account): account is string => isText(account))
  return texts.length === 0 ? undefined : { accounts: texts }
}

/** Accounts alone: an address or a telephone number may be several people's, and is nobody's for ever. */
function accountsOf(source: SetSource, subject: unknown): readonly unknown[] {
  if (!isObject(subject)) return []
  const named = subject['format'] ?? subject['subject_type'] ?? (subject['user'] === undefined ? undefined : 'complex')
  // RISC wrote `iss-sub` before there was a standard.
  const format = typeof named === 'string' ? named.replaceAll('-', '_') : ''
  if (format === 'iss_sub') return source.issuers.some((issuer) => issuer === subject['iss']) ? [subject['sub']] : []
  if (format === 'opaque') return [subject['id']]
  if (format === 'complex') return accountsOf(source, subject['user'])
  if (format === 'aliases' && Array.isArray(subject['identifiers'])) {
    return subject['identifiers'].slice(0, MAX_EVENTS).flatMap((one: unknown) => (isAliases(one) ? [] : accountsOf(source, one)))
  }
  return []
}

/** RFC 9493 section 3.2.8: aliases are not nested. */
function isAliases(subject: unknown): boolean {
  return isObject(subject) && subject['format'] === 'aliases'
}

function streamStatus(event: Readonly<Record<string, unknown>> | undefined): StreamStatus | undefined {
  return (['enabled', 'paused', 'disabled'] as const).find((status) => status === event?.['status'])
}

/** Seconds since the epoch; milliseconds where a number can only be that. */
function momentMs(value: unknown): number | null {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) return null
  return value < 1e11 ? value * 1000 : value
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
