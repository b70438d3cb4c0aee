/**
 * Owns people who come with an outside issuer's token on the call itself: verified, known by (issuer, subject), with what they are where, a few
 * seconds old at most. Refuses to remember a token (memory is keyed by its hash), to outlive its end, and to let strangers' tokens stand before
 * those that were somebody's here.
 */
import { claimedIssuer, FairTurns, hasCode, JwtError, newId, sha256, TransientMap } from '@sallyport/core'
import type { Clock, Logger, Secret, UserId } from '@sallyport/core'
import type { Change, Database, Lookups, SignIn } from '../db/index.ts'
import { FailureBudget } from './failure-budget.ts'
import { IdentityError, unauthenticated } from './identity-error.ts'
import type { OutsideIssuers } from './outside-issuers.ts'
import { judgeOutsideToken } from './outside-token.ts'
import type { OutsideSignIn } from './outside-token.ts'
import { standingOf } from './principal.ts'
import type { PersonPrincipal } from './principal.ts'
import { RecentMap } from './recent-map.ts'
import { asked, isEnded, isIn, isOf, isSignOut, signsOut } from './sessions.ts'

export interface People {
  /**
   * The person behind a token, made known when unknown. Roles, the end of its session and its issuer's keys are at most `rememberMs` and
   * `believeMs` old.
   * @param address the client's, as judged by trusted proxies: tokens that are refused are counted against it
   * @throws IdentityError `unauthenticated`, `overloaded`, `database_unavailable`; JwtError `jwt_keys_unavailable`.
   */
  authenticate(token: Secret, address: string): Promise<PersonPrincipal>
  /** The same, read now, with when the token was made and how long a console session for it may live, in seconds. */
  signIn(token: Secret, address: string): Promise<{ readonly person: PersonPrincipal; readonly issuedAt: Date; readonly sessionS: number }>
  /**
   * Ends the session at its issuer that the token belongs to, as far as this installation goes: its console sessions, and its tokens. Here at once, on
   * other nodes within `rememberMs`. False when the token names none.
   * @throws IdentityError `database_unavailable`
   */
  end(signIn: SignIn): Promise<boolean>
  /** As `Sessions.forgetEnded`. */
  forgetEnded(issuerSession: Buffer | null, people: readonly UserId[]): void
  /** The kind of a configured issuer; undefined for any other text. */
  issuerKind(issuer: string): 'oidc' | 'supabase' | undefined
}

export interface PeopleLimits {
  /** Age at which what a person is where is read again. */
  readonly rememberMs: number
  /** Age at which a token is verified again: a key that its issuer took back is believed no longer. */
  readonly believeMs: number
  readonly maxRemembered: number
  /** Judgements under way at once of tokens that were nobody's here yet: each issuer has its part, so that one that hangs takes none from the others. */
  readonly maxInFlight: number
  /** Such tokens that wait for one, and for how long. */
  readonly maxWaiting: number
  readonly patienceMs: number
  /** As for keys (KeyAuthenticatorLimits): refused tokens of one address. */
  readonly failureBurst: number
  readonly failuresPerSecond: number
  readonly maxAddresses: number
}

export const PEOPLE_LIMITS: PeopleLimits = {
  rememberMs: 5_000,
  believeMs: 60_000,
  maxRemembered: 10_000,
  maxInFlight: 64,
  maxWaiting: 64,
  patienceMs: 5_000,
  failureBurst: 100,
  failuresPerSecond: 10,
  maxAddresses: 10_000,
}

export interface PeopleOptions {
  readonly issuers: OutsideIssuers
  readonly lookups: Pick<Lookups, 'personSignIn' | 'signInEnd'>
  /** As `SessionsOptions.onChange`. */
  readonly onChange?: Database['onChange']
  readonly clock: Clock
  readonly logger: Logger
  readonly limits?: Partial<PeopleLimits>
}

export function createPeople(options: PeopleOptions): People {
  return new RememberingPeople(options)
}

/** As long as the database keeps it: a session may live at its issuer for as long as it is used there. */
const ENDED_FOR_S = 400 * 86_400
/** Of the issuer's clock against ours: as its tokens are judged (outside-issuers.ts). */
const TOLERANCE_MS = 60_000

interface Known {
  readonly come: OutsideSignIn
  readonly person: PersonPrincipal
  /** Monotonic. */
  readonly believedUntil: number
  readonly readUntil: number
}

class RememberingPeople implements People {
  readonly #issuers: OutsideIssuers
  readonly #lookups: PeopleOptions['lookups']
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #limits: PeopleLimits
  readonly #known: RecentMap<string, Known>
  readonly #inFlight = new TransientMap<string, Promise<Known>>()
  readonly #failures: FailureBudget
  readonly #strangers: FairTurns

  constructor({ issuers, lookups, onChange, clock, logger, limits }: PeopleOptions) {
    // It lasts as long as the database's feed, as that of sessions does.
    onChange?.((change) => this.#hear(change))
    this.#issuers = issuers
    this.#lookups = lookups
    this.#clock = clock
    this.#logger = logger
    this.#limits = { ...PEOPLE_LIMITS, ...limits }
    this.#known = new RecentMap(this.#limits.maxRemembered)
    const { maxInFlight, maxWaiting, patienceMs } = this.#limits
    const perLane = Math.max(1, Math.floor(maxInFlight / Math.max(1, issuers.size)))
    this.#strangers = new FairTurns({ width: maxInFlight, perLane, queue: maxWaiting, patienceMs })
    this.#failures = new FailureBudget({
      clock,
      burst: this.#limits.failureBurst,
      perSecond: this.#limits.failuresPerSecond,
      maxAddresses: this.#limits.maxAddresses,
    })
  }

  async authenticate(token: Secret, address: string): Promise<PersonPrincipal> {
    return (await this.#find(token, address)).person
  }

  async signIn(token: Secret, address: string): Promise<{ person: PersonPrincipal; issuedAt: Date; sessionS: number }> {
    const { person, come } = await this.#find(token, address, true)
    return { person, issuedAt: come.issuedAt, sessionS: come.sessionS }
  }

  async end({ issuerSession }: SignIn): Promise<boolean> {
    if (issuerSession === null) return false
    try {
      await asked(this.#lookups.signInEnd(issuerSession, ENDED_FOR_S))
    } finally {
      // After the answer; whoever is being read meanwhile loses its place, so that it is not remembered past the end.
      this.#known.deleteWhere(({ person }) => isOf(person, issuerSession))
      this.#inFlight.clear()
    }
    return true
  }

  forgetEnded(issuerSession: Buffer | null, people: readonly UserId[]): void {
    this.#known.deleteWhere(({ person }) => isEnded(person, issuerSession, people))
    this.#inFlight.clear()
  }

  issuerKind(issuer: string): 'oidc' | 'supabase' | undefined {
    return this.#issuers.of(issuer)[0]?.kind
  }

  #hear(change: Change | 'unknown'): void {
    if (change === 'unknown') this.#known.clear()
    else if (change.table === 'membership') this.#known.deleteWhere(({ person }) => person.userId === change.id)
    else if (change.table === 'organization') this.#known.deleteWhere(({ person }) => isIn(person, change.org))
    else if (isSignOut(change)) this.#known.deleteWhere(({ person }) => signsOut(change, person))
    else return
    this.#inFlight.clear()
  }

  async #find(token: Secret, address: string, now = false): Promise<Known> {
    const hash = sha256(token)
    const index = hash.toString('base64')
    const known = this.#known.get(index)
    if (known !== undefined && this.#hasEnded(known.come)) {
      this.#known.delete(index)
      throw unauthenticated()
    }
    if (!now && known !== undefined && this.#clock.monotonic() < known.readUntil) return known
    const underWay = this.#inFlight.get(index)
    if (underWay !== undefined) return underWay
    return known === undefined ? this.#meet(token, index, hash, address) : this.#started(index, this.#read(token, hash, known))
  }

  #hasEnded({ expiresAt }: OutsideSignIn): boolean {
    return this.#clock.now() >= expiresAt.getTime() + TOLERANCE_MS
  }

  /** A token that nobody came with yet, or not for long. */
  async #meet(token: Secret, index: string, hash: Buffer, address: string): Promise<Known> {
    const retryAfterS = this.#failures.retryAfterS(address)
    if (retryAfterS > 0) throw new IdentityError('overloaded', 'too many refused tokens from one address', { retryAfterS })
    try {
      return await this.#inTurn(token, () => this.#underWay(index, () => this.#read(token, hash)))
    } catch (error) {
      if (hasCode(error, 'queue_full')) throw new IdentityError('overloaded', 'too many tokens are being judged', { retryAfterS: 1 })
      if (error instanceof IdentityError && error.code === 'unauthenticated') this.#failures.fail(address)
      throw error
    }
  }

  /** A token of nobody that is configured is refused before anything is asked of anyone, and needs no turn. */
  #inTurn(token: Secret, judge: () => Promise<Known>): Promise<Known> {
    const issuer = claimedIssuer(token)
    return issuer === undefined || this.#issuers.of(issuer).length === 0 ? judge() : this.#strangers.run(issuer, judge)
  }

  /** Somebody with the same token may have begun while this one waited for its turn. */
  #underWay(index: string, read: () => Promise<Known>): Promise<Known> {
    return this.#inFlight.get(index) ?? this.#started(index, read())
  }

  #started(index: string, reading: Promise<Known>): Promise<Known> {
    this.#inFlight.set(index, reading)
    const settled = reading.then(
      (known) => {
        if (this.#inFlight.get(index) === reading) this.#known.put(index, known)
      },
      (error: unknown) => {
        if (error instanceof IdentityError && error.code === 'unauthenticated') this.#known.delete(index)
      },
    )
    void settled.finally(() => {
      if (this.#inFlight.get(index) === reading) this.#inFlight.delete(index)
    })
    return reading
  }

  async #read(token: Secret, hash: Buffer, before?: Known): Promise<Known> {
    const askedAt = this.#clock.monotonic()
    const stillBelieved = before !== undefined && askedAt < before.believedUntil
    const come = stillBelieved ? before.come : await this.#judge(token)
    const { subject, name, email, issuedAt, signIn } = come
    const { issuer, issuerSession } = signIn
    const read = await asked(this.#lookups.personSignIn({ id: newId('user'), issuer, subject, name, email, issuerSession, issuedAt }))
    if (read.ended) throw unauthenticated()
    const person = principal(read.userId, come, hash, standingOf(read.standings))
    const believedUntil = stillBelieved ? before.believedUntil : askedAt + this.#limits.believeMs
    return { come, person, believedUntil, readUntil: askedAt + this.#limits.rememberMs }
  }

  /** Why a token is refused is the operator's to know, and nobody else's. */
  async #judge(token: Secret): Promise<OutsideSignIn> {
    try {
      return await judgeOutsideToken(token, this.#issuers, this.#clock.now())
    } catch (error) {
      if (!(error instanceof JwtError) || error.code === 'jwt_keys_unavailable') throw error
      this.#logger.debug('A token was refused', { code: error.code })
      throw unauthenticated()
    }
  }
}

function principal(
  userId: UserId,
  { name, email, signIn }: OutsideSignIn,
  sessionHash: Buffer,
  standing: Pick<PersonPrincipal, 'memberships' | 'signInPolicies'>,
): PersonPrincipal {
  return Object.freeze({ kind: 'person', userId, name, email, via: 'token', sessionHash, signIn, ...standing })
}
