/**
 * Owns what follows from a provider's answer, for each kind of answer and each rotation profile. Refuses to end a grant before every version
 * that may still be good was tried, and to call a refresh token unspent that may not be.
 */
import { sha256 } from '../crypto/index.ts'
import { hasCode } from '../kernel/index.ts'
import { sameRefreshToken, writeTokenSet } from '../tokens/index.ts'
import type {
  BegunRefresh,
  CredentialRef,
  CredentialVersion,
  RefreshIntent,
  RefreshTrouble,
  RotationProfile,
  SpilledAnswer,
  TokenSet,
} from '../tokens/index.ts'
import type { RefreshAnswer } from '../oauth/index.ts'
import { pauseAfter } from './backoff.ts'
import { MAX_REMEMBERED, overIn, pauseInDoubt } from './course.ts'
import type { Course, Parts, Step } from './course.ts'
import { failureOf, overFailure, RefreshError } from './errors.ts'
import { failed, served } from './flight.ts'
import type { Landing } from './flight.ts'
import { storeNow } from './policy.ts'

const WRITES = 4

/** A landing, the next call, or undefined: look again. */
type Next = Landing | Step | undefined

/** Calls repeated at once when nobody knows what became of one; strict is never in a hurry. */
const QUICK: Readonly<Record<RotationProfile['kind'], number>> = { none: 2, grace: 3, strict: 0 }

/** @throws TokenError `store_unavailable` when the outcome can't be written; only tokens are kept until they can. */
export async function settle(parts: Parts, course: Course, begun: BegunRefresh, answer: RefreshAnswer): Promise<Next> {
  if (answer.kind === 'tokens') return await save(parts, course, begun, answer.tokens)
  if (answer.kind === 'refused') {
    if (parts.refusals.size >= MAX_REMEMBERED) parts.refusals.clear()
    parts.refusals.set(begun.intent.id, answer.trouble)
    return await insisting(parts, () => refused(parts, course, begun, answer.trouble))
  }
  if (answer.kind === 'unknown') return await unknown(parts, course, begun, answer)
  return await unspent(parts, course, begun, harmless(answer))
}

/** Step 7 and 8: sealed first, then saved, or kept until it can be. */
async function save(parts: Parts, course: Course, begun: BegunRefresh, tokens: TokenSet): Promise<Next> {
  const { store, unsaved } = parts
  const { flight, endpoint, reading } = course
  const { id: intent, generation, parentSeq } = begun.intent
  const answer = sealed(parts, course, begun, tokens)
  await parts.reach('answer_sealed')
  await parts.reach('settling')
  const keepsRefreshToken = sameRefreshToken(begun.parent.tokens, tokens)
  const brought = { intent, generation, parentSeq, tokens, keepsRefreshToken }
  let outcome
  try {
    outcome = await store.save(flight.ref, brought)
  } catch (error) {
    parts.logger.warn('An answer of a provider can not be saved now and is kept', { ref: flight.ref, error })
    await unsaved.keep({ ref: flight.ref, ...brought, answer })
    return { kind: 'served', fresh: { tokens, generation, seq: parentSeq, stale: false, unsaved: true } }
  }
  await parts.reach('settled')
  parts.learned.note(endpoint, begun.parent.tokens, tokens)
  if (outcome === 'ended') {
    await parts.revokeOrphan(flight.ref, tokens)
    return undefined
  }
  const wasWell = reading.state.failure === null && begun.intent.attempt === 1
  const kind = wasWell ? 'refreshed' : 'recovered'
  parts.tell({ kind, ref: flight.ref, provider: endpoint.provider, generation, health: 'active', trouble: null })
  return await newHead(parts, course, begun, tokens)
}

/** The head as it is now: ours, or the one that won. A store that goes away right here does not take the tokens along. */
async function newHead({ readings }: Parts, { flight }: Course, begun: BegunRefresh, tokens: TokenSet): Promise<Next> {
  const { generation, parentSeq: seq } = begun.intent
  const ours: Landing = { kind: 'served', fresh: { tokens, generation, seq, stale: false, unsaved: false } }
  const reading = await readings.readNow(flight.ref).catch(() => null)
  if (reading === null) return ours
  flight.reading = reading
  if (reading === undefined) return failed(new RefreshError('credential_absent'))
  return reading.state.status === 'active' ? served(reading) : failed(overFailure(reading.state.failure?.trouble ?? null))
}

function sealed({ logger }: Parts, { flight }: Course, begun: BegunRefresh, tokens: TokenSet): SpilledAnswer | undefined {
  const { id: intent, generation, parentSeq } = begun.intent
  try {
    return { ref: flight.ref, intent, generation, parentSeq, sealed: begun.seal(writeTokenSet(tokens)) }
  } catch (error) {
    logger.error('An answer could not be sealed; until it is saved, memory alone has it', { ref: flight.ref, error })
    return undefined
  }
}

/** Step 9: the head may have moved; a sibling may be the live one; else it is over. */
export async function refused(
  parts: Parts,
  course: Course,
  begun: Pick<BegunRefresh, 'intent' | 'parent'>,
  said: RefreshTrouble,
): Promise<Next> {
  const { store, readings } = parts
  const { flight } = course
  const { id, generation, headSeq, attempt } = begun.intent
  await parts.reach('settling')
  const reading = await readings.readNow(flight.ref)
  if (reading === undefined) return failed(new RefreshError('credential_absent'))
  flight.reading = reading
  const { state } = reading
  if (state.status !== 'active' || state.generation !== generation || state.head.seq !== headSeq) {
    await store.withdraw(flight.ref, id, null)
    parts.refusals.delete(id)
    return undefined
  }
  const profile = await parts.learned.profileOf(state, course.endpoint)
  course.tried.add(fingerprintOf(begun.parent))
  course.lost ||= attempt > 1 && profile.kind !== 'none'
  const sibling = (await hopeful(parts, course, profile)).at(0)
  if (sibling !== undefined) return { parentSeq: sibling.seq, replaces: id, attempt: 1 }
  const trouble = course.lost ? 'token_lost' : said
  const ended = await store.end(flight.ref, { generation, headSeq }, 'reconnect_required', trouble)
  parts.refusals.delete(id)
  if (!ended) return undefined
  await parts.reach('settled')
  const { provider } = course.endpoint
  parts.tell({ kind: 'ended', ref: flight.ref, provider, generation, health: 'reconnect_required', trouble })
  return failed(overFailure(trouble))
}

/**
 * Versions whose refresh token may be good, the most hopeful first. Where tokens rotate, one that has a successor is spent, and showing it is
 * theft; but within its grace it brings another successor when none of those that it brought is good any more.
 */
async function hopeful(
  { store, clock }: Parts,
  { flight, tried, reading }: Course,
  profile: RotationProfile,
): Promise<readonly CredentialVersion[]> {
  const siblings = await store.siblings(flight.ref)
  const { head } = reading.state
  const spent = spentTokens([head, ...siblings])
  const untried = [...new Map(siblings.toReversed().map((version) => [fingerprintOf(version), version])).values()]
    .toReversed()
    .filter((version) => !tried.has(fingerprintOf(version)) && fingerprintOf(version) !== fingerprintOf(head))
  if (profile.kind === 'none') return untried
  const unspent = untried.filter((version) => !spent.has(fingerprintOf(version)))
  if (profile.kind === 'strict') return unspent
  const graceFrom = storeNow(reading, clock.monotonic()) - profile.seconds * 1000
  return [...unspent, ...untried.filter((version) => (spent.get(fingerprintOf(version)) ?? 0) >= graceFrom)]
}

/** Refresh tokens that another one has succeeded, with when the last of those came. Versions of one token are one: some answers bring none. */
function spentTokens(versions: readonly CredentialVersion[]): ReadonlyMap<string, number> {
  const bySeq = new Map(versions.map((version) => [version.seq, version]))
  const spent = new Map<string, number>()
  for (const successor of versions) {
    const parent = successor.parentSeq === null ? undefined : bySeq.get(successor.parentSeq)
    if (parent === undefined || fingerprintOf(parent) === fingerprintOf(successor)) continue
    spent.set(fingerprintOf(parent), Math.max(successor.obtainedAt, spent.get(fingerprintOf(parent)) ?? 0))
  }
  return spent
}

function fingerprintOf({ tokens: { refreshToken } }: Pick<CredentialVersion, 'tokens'>): string {
  return refreshToken === null ? '' : sha256(refreshToken).toString('base64')
}

interface Unspent {
  readonly trouble: RefreshTrouble
  readonly leastMs?: number
  readonly providerError?: string | undefined
}

/** A refusal that is not written is heard again by whoever comes next, so a store that stumbles is asked again, while the lease is held. */
async function insisting(parts: Parts, write: () => Promise<Next>): Promise<Next> {
  for (let tries = 1; ; tries++) {
    try {
      return await write()
    } catch (error) {
      if (tries === WRITES || !hasCode(error, 'store_unavailable')) throw error
      await parts.pause(100 + 200 * parts.random())
    }
  }
}

function harmless(answer: RefreshAnswer & { kind: 'misconfigured' | 'limited' | 'unsent' }): Unspent {
  if (answer.kind === 'misconfigured') return { trouble: 'client_misconfigured', providerError: answer.providerError }
  return answer.kind === 'limited' ? { trouble: 'rate_limited', leastMs: answer.retryAfterMs } : { trouble: 'provider_down' }
}

/** The call spent nothing. After an earlier call of unknown outcome the intent stays, to say so. */
async function unspent(parts: Parts, course: Course, begun: BegunRefresh, { trouble, leastMs, providerError }: Unspent): Promise<Next> {
  const { random } = parts
  const { flight, endpoint, reading } = course
  const { intent } = begun
  const { state } = reading
  parts.unspent.add(intent)
  await parts.reach('settling')
  const profile = await parts.learned.profileOf(state, endpoint)
  const inDoubt = intent.attempt > 1 && profile.kind !== 'none'
  const pauseMs = pauseAfter(trouble, state.failure?.failures ?? 0, random, leastMs)
  const retryInMs = inDoubt ? pauseInDoubt(pauseMs, profile, intent.attempt) : pauseMs
  parts.unspent.owe(intent, { trouble, until: parts.clock.monotonic() + retryInMs, inDoubt })
  const noted = await writeUnspent(parts, flight.ref, intent, { trouble, retryInMs }, inDoubt)
  await parts.reach('settled')
  if (!noted) return undefined
  tellFailing(parts, course, inDoubt ? 'outcome_unknown' : 'degraded', trouble, providerError)
  return failed(failureOf(trouble, retryInMs))
}

/** False when the intent is not there any more. @throws TokenError `store_unavailable`; it is owed then. */
export async function writeUnspent(
  { store, unspent }: Pick<Parts, 'store' | 'unspent'>,
  ref: CredentialRef,
  intent: RefreshIntent,
  note: { readonly trouble: RefreshTrouble; readonly retryInMs: number },
  inDoubt: boolean,
): Promise<boolean> {
  const noted = inDoubt ? await store.doubt(ref, intent.id, note) : await store.withdraw(ref, intent.id, note)
  if (inDoubt) unspent.paid(intent)
  else unspent.forget(intent)
  return noted
}

/** Step 10. */
async function unknown(parts: Parts, course: Course, begun: BegunRefresh, answer: RefreshAnswer & { kind: 'unknown' }): Promise<Next> {
  const { store, random, clock, pause } = parts
  const { flight, endpoint, reading } = course
  const { intent } = begun
  const profile = await parts.learned.profileOf(reading.state, endpoint)
  if (course.quick < QUICK[profile.kind] && !isHalfOver(profile, course, storeNow(reading, clock.monotonic()))) {
    course.quick += 1
    await pause(100 + 200 * random())
    return { parentSeq: intent.parentSeq, replaces: intent.id, attempt: intent.attempt + 1 }
  }
  if (profile.kind === 'none' && answer.why !== 'malformed') return await unspent(parts, course, begun, { trouble: 'provider_down' })
  const trouble = answer.why === 'malformed' ? 'malformed' : 'outcome_unknown'
  const least = overIn(profile, course, { startedAt: intent.startedAt, isOurs: true }, parts.limits, clock.monotonic())
  const pauseMs = pauseAfter('outcome_unknown', reading.state.failure?.failures ?? 0, random, least)
  const retryInMs = pauseInDoubt(pauseMs, profile, intent.attempt)
  await parts.reach('settling')
  if (!(await store.doubt(flight.ref, intent.id, { trouble, retryInMs }, answer.raw))) return undefined
  await parts.reach('settled')
  tellFailing(parts, course, 'outcome_unknown', trouble)
  return failed(failureOf(trouble, retryInMs))
}

function isHalfOver(profile: RotationProfile, { since }: Course, now: number): boolean {
  return profile.kind === 'grace' && since !== null && now - since >= (profile.seconds * 1000) / 2
}

/** Once for each change of what is wrong. */
function tellFailing(
  parts: Parts,
  { flight, endpoint, reading: { state } }: Course,
  health: 'degraded' | 'outcome_unknown',
  trouble: RefreshTrouble,
  providerError?: string,
): void {
  const same = state.failure?.trouble === trouble && (state.intent?.state === 'unknown') === (health === 'outcome_unknown')
  if (same) return
  const named = providerError === undefined ? {} : { providerError }
  const { ref } = flight
  parts.tell({ kind: 'failing', ref, provider: endpoint.provider, generation: state.generation, health, trouble, ...named })
}
