/**
 * Owns console sessions: one-time links that open them, tokens that carry them. Refuses to store a token: the database has its SHA-256,
 * which is enough for 256 random bits, and memory is keyed by the same. Refuses to let strangers' tokens stand before those that were sessions here.
 */
import { hasCode, randomToken, Secret, sha256, TransientMap } from '@sallyport/core'
import type { Clock, OrgId, UserId } from '@sallyport/core'
import type { Change, Database, Lookups, SessionStanding, SignIn } from '../db/index.ts'
import { FailureBudget } from './failure-budget.ts'
import { IdentityError, unauthenticated } from './identity-error.ts'
import { standingOf } from './principal.ts'
import type { PersonPrincipal } from './principal.ts'
import { LOCAL_ISSUER } from './outside-issuers.ts'
import { RecentMap } from './recent-map.ts'

export interface OpenedSession {
  /** The session's token, always fresh: a cookie set before signing in never becomes a session (J-19). */
  readonly token: Secret
  readonly person: { readonly userId: UserId; readonly name: string }
  readonly expiresAt: Date
}

export interface Sessions {
  /**
   * Trades a one-time link's token for a session. Of several that present one link, one gets a session.
   * @throws IdentityError `unauthenticated` for an unknown, used or expired link; `database_unavailable`.
   */
  openWithLink(token: Secret): Promise<OpenedSession>
  /**
   * A session for a person whose token was verified, signed in as that says, for `sessionS` at most.
   * @throws IdentityError `unauthenticated` when the token's own session is over, or every token of its age; `database_unavailable`.
   */
  openAs(person: UserId, by: { readonly signIn: SignIn; readonly issuedAt: Date; readonly sessionS: number }): Promise<OpenedSession>
  /**
   * The person behind a session's token, or undefined. Roles and the session's end elsewhere are seen within five seconds.
   * `address` is the client's, as judged by trusted proxies: tokens that are no session's are counted against it. A token that was one here
   * before is looked up whatever others send; so is any without an address, for callers who know that it was one.
   * @throws IdentityError `overloaded`, `database_unavailable`.
   */
  lookup(token: Secret, address?: string): Promise<PersonPrincipal | undefined>
  /** Ends a session: here at once, on other nodes within five seconds. True when there was one. @throws IdentityError `database_unavailable`. */
  close(token: Secret): Promise<boolean>
  /** Reads again, here, whatever was signed in by a session at an issuer that has ended (`People.end`). */
  forget(issuerSession: Buffer): void
  /** The same for a session at an issuer, or where none is named all, of people that their issuer has signed out. */
  forgetEnded(issuerSession: Buffer | null, people: readonly UserId[]): void
}

export interface SessionsOptions {
  readonly lookups: Pick<Lookups, 'sessionOpen' | 'sessionOpenAs' | 'sessionLookup' | 'sessionClose'>
  /** Roles that change, and organizations that change whom they take, are seen at once where it is given, else within `rememberMs`. */
  readonly onChange?: Database['onChange']
  readonly clock: Clock
  /** Whether sessions that were signed in by this issuer still count. Absent: those by links of the installation alone. */
  readonly takesIssuer?: (issuer: string) => boolean
  /** What a session by a one-time link is worth: whoever has one was at the terminal of the installation, and gave no second factor. */
  readonly linkAssurance: SignIn['assurance']
  readonly limits?: Partial<SessionLimits>
}

export interface SessionLimits {
  /** Life of a session. The database caps it at a day. */
  readonly ttlS: number
  /** Age at which a session is read again. */
  readonly rememberMs: number
  readonly maxRemembered: number
  /** Look-ups under way at once of tokens that were no session here yet. */
  readonly maxLookupsInFlight: number
  /** As for keys (KeyAuthenticatorLimits): unknown tokens of one address. */
  readonly failureBurst: number
  readonly failuresPerSecond: number
  readonly maxAddresses: number
}

export const SESSION_LIMITS: SessionLimits = {
  ttlS: 43_200,
  rememberMs: 5_000,
  maxRemembered: 10_000,
  maxLookupsInFlight: 64,
  failureBurst: 100,
  failuresPerSecond: 10,
  maxAddresses: 10_000,
}

export function createSessions(options: SessionsOptions): Sessions {
  return new CachingSessions(options)
}

/** A token of 32 random bytes in base64url. Anything else is refused before the database is asked. */
const TOKEN_BYTES = 32
const TOKEN = /^[A-Za-z0-9_-]{43}$/

interface Remembered {
  readonly person: PersonPrincipal
  /** Monotonic. The end of its age or of the session, whichever comes first. */
  readonly deadline: number
}

class CachingSessions implements Sessions {
  readonly #lookups: SessionsOptions['lookups']
  readonly #clock: Clock
  readonly #takesIssuer: (issuer: string) => boolean
  readonly #linkAssurance: SignIn['assurance']
  readonly #limits: SessionLimits
  readonly #remembered: RecentMap<string, Remembered>
  readonly #inFlight = new TransientMap<string, Promise<PersonPrincipal | undefined>>()
  /** Hashes that were sessions here. Without age: it gives a place in the line, and lets nobody in. */
  readonly #known: RecentMap<string, true>
  readonly #failures: FailureBudget
  /** Look-ups under way of hashes that are not known. */
  #strangers = 0

  constructor(options: SessionsOptions) {
    const { lookups, onChange, clock, takesIssuer = (issuer) => issuer === LOCAL_ISSUER, limits } = options
    // It lasts as long as the database's feed, which is closed after everybody who asks here.
    onChange?.((change) => this.#hear(change))
    this.#lookups = lookups
    this.#clock = clock
    this.#takesIssuer = takesIssuer
    this.#linkAssurance = options.linkAssurance
    this.#limits = { ...SESSION_LIMITS, ...limits }
    this.#remembered = new RecentMap(this.#limits.maxRemembered)
    this.#known = new RecentMap(this.#limits.maxRemembered)
    this.#failures = new FailureBudget({
      clock,
      burst: this.#limits.failureBurst,
      perSecond: this.#limits.failuresPerSecond,
      maxAddresses: this.#limits.maxAddresses,
    })
  }

  async openWithLink(token: Secret): Promise<OpenedSession> {
    if (!TOKEN.test(token.reveal())) throw unauthenticated()
    return this.#opened((sessionHash) => this.#lookups.sessionOpen({ linkHash: sha256(token), sessionHash, ttlSeconds: this.#limits.ttlS }))
  }

  async openAs(person: UserId, { signIn, issuedAt, sessionS }: Parameters<Sessions['openAs']>[1]): Promise<OpenedSession> {
    const ttlSeconds = Math.min(sessionS, this.#limits.ttlS)
    return this.#opened((sessionHash) => this.#lookups.sessionOpenAs({ person, sessionHash, ttlSeconds, signIn, issuedAt }))
  }

  async #opened(open: (sessionHash: Buffer) => ReturnType<Lookups['sessionOpen']>): Promise<OpenedSession> {
    const token = newToken()
    const hash = sha256(token)
    const opened = await asked(open(hash))
    if (opened === undefined) throw unauthenticated()
    this.#known.put(hash.toString('base64'), true)
    return { token, person: { userId: opened.userId, name: opened.name }, expiresAt: opened.expiresAt }
  }

  async lookup(token: Secret, address?: string): Promise<PersonPrincipal | undefined> {
    if (!TOKEN.test(token.reveal())) return undefined
    const hash = sha256(token)
    const index = hash.toString('base64')
    const remembered = this.#remembered.get(index)
    if (remembered !== undefined && this.#clock.monotonic() < remembered.deadline) return remembered.person
    const underWay = this.#inFlight.get(index)
    if (underWay !== undefined) return underWay
    return address === undefined || this.#known.has(index) ? this.#read(index, hash) : this.#readStranger(index, hash, address)
  }

  async #readStranger(index: string, hash: Buffer, address: string): Promise<PersonPrincipal | undefined> {
    this.#refuseFlood(address)
    this.#strangers += 1
    try {
      const person = await this.#read(index, hash)
      if (person === undefined) this.#failures.fail(address)
      return person
    } finally {
      this.#strangers -= 1
    }
  }

  #refuseFlood(address: string): void {
    const retryAfterS = this.#failures.retryAfterS(address)
    if (retryAfterS > 0) throw new IdentityError('overloaded', 'too many unknown session tokens from one address', { retryAfterS })
    if (this.#strangers >= this.#limits.maxLookupsInFlight) {
      throw new IdentityError('overloaded', 'too many session lookups under way', { retryAfterS: 1 })
    }
  }

  async close(token: Secret): Promise<boolean> {
    if (!TOKEN.test(token.reveal())) return false
    const hash = sha256(token)
    const index = hash.toString('base64')
    try {
      return await asked(this.#lookups.sessionClose(hash))
    } finally {
      // After the answer, so that a lookup which overtook the end isn't remembered past it; a lookup under way loses its place.
      this.#remembered.delete(index)
      this.#inFlight.delete(index)
      this.#known.delete(index)
    }
  }

  #hear(change: Change | 'unknown'): void {
    if (change === 'unknown') this.#remembered.clear()
    else if (change.table === 'membership') this.#remembered.deleteWhere(({ person }) => person.userId === change.id)
    else if (change.table === 'organization') this.#remembered.deleteWhere(({ person }) => isIn(person, change.org))
    else if (isSignOut(change)) this.#remembered.deleteWhere(({ person }) => signsOut(change, person))
    else return
    // Whoever asked before the change may be answered by what was before it: nothing of that is kept, and nobody new waits for it.
    this.#inFlight.clear()
  }

  forget(issuerSession: Buffer): void {
    this.#remembered.deleteWhere(({ person }) => isOf(person, issuerSession))
    // What is being read was perhaps read before the end: it keeps its answer and loses its place.
    this.#inFlight.clear()
  }

  /** Decided as it is read, so that the setting holds for sessions that are there already. */
  #worthOf(signIn: SignIn): SignIn {
    return signIn.issuer === LOCAL_ISSUER ? { ...signIn, assurance: this.#linkAssurance } : signIn
  }

  forgetEnded(issuerSession: Buffer | null, people: readonly UserId[]): void {
    this.#remembered.deleteWhere(({ person }) => isEnded(person, issuerSession, people))
    this.#inFlight.clear()
  }

  #read(index: string, hash: Buffer): Promise<PersonPrincipal | undefined> {
    const askedAt = this.#clock.monotonic()
    const question = asked(this.#lookups.sessionLookup(hash)).then((row) => {
      // An issuer that an operator took out of the configuration has no say any more, whatever it said before.
      if (row === undefined || !this.#takesIssuer(row.signIn.issuer)) {
        this.#known.delete(index)
        return undefined
      }
      const person = personOf({ ...row, signIn: this.#worthOf(row.signIn) }, hash)
      const deadline = askedAt + Math.min(this.#limits.rememberMs, row.expiresAt.getTime() - row.now.getTime())
      if (this.#inFlight.get(index) === question) {
        this.#remembered.put(index, { person, deadline })
        this.#known.put(index, true)
      }
      return person
    })
    this.#inFlight.set(index, question)
    const end = () => {
      if (this.#inFlight.get(index) === question) this.#inFlight.delete(index)
    }
    question.then(end, end)
    return question
  }
}

/** Whether a person came by this session at an issuer. */
export function isOf({ signIn }: PersonPrincipal, issuerSession: Buffer): boolean {
  return signIn.issuerSession?.equals(issuerSession) === true
}

/** Whether word of an issuer may be about this person's session. One that names no session could be any of the person's. */
export function isEnded(person: PersonPrincipal, issuerSession: Buffer | null, people: readonly UserId[]): boolean {
  return (issuerSession !== null && isOf(person, issuerSession)) || people.includes(person.userId)
}

export function isSignOut({ table }: Change): boolean {
  return table === 'person' || table === 'sign_in'
}

/** Whether word of an end (0034_sign_ins_and_clients.sql) is about this sign-in. */
export function signsOut({ table, id }: Change, { userId, signIn }: PersonPrincipal): boolean {
  if (table === 'person') return id === userId
  return signIn.issuerSession?.toString('hex', 0, 16) === id.replaceAll('-', '')
}

/** Whether a person was found in an organization, one on its way out too. */
export function isIn({ memberships, closing }: PersonPrincipal, org: OrgId): boolean {
  return memberships.has(org) || closing?.has(org) === true
}

/** A fresh token for a session or a link. */
export function newToken(): Secret {
  return new Secret(randomToken(TOKEN_BYTES))
}

/** The answer, with an unreachable database said in this folder's words. */
export async function asked<Answer>(question: Promise<Answer>): Promise<Answer> {
  try {
    return await question
  } catch (error) {
    if (!hasCode(error, 'database_unavailable')) throw error
    throw new IdentityError('database_unavailable', 'the database could not be asked', { cause: error, retryAfterS: 1 })
  }
}

function personOf({ userId, name, email, signIn, standings }: SessionStanding, sessionHash: Buffer): PersonPrincipal {
  return Object.freeze({ kind: 'person', userId, name, email, via: 'session', sessionHash, signIn, ...standingOf(standings) })
}
