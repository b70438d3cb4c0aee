/**
 * Owns the proof of gateway keys, in the order that costs a stranger the most and us the least:
 *
 *   text                 parsed without I/O: length, alphabet, checksum
 *   proven lately?       one hash and one map: read at most 10 s ago (30 s while the database is away), not expired   -> done
 *   address              over its budget of failures, and nothing in memory speaks for the key                      -> overloaded
 *   row by id            from memory for 5 s, one question per id at a time, few questions at a time
 *   HMAC of the secret   peppered, compared in constant time; an unknown id is compared with a dummy
 *   life                 environment, revocation, expiry by the database's clock
 *   argon2id             once per process, text and key version; two at a time, a short queue
 *
 * Refuses to keep a key's text, to run the slow hash for anything that failed before it, and to say which step failed.
 */
import { SCOPES } from '@sallyport/contract'
import type { Scope } from '@sallyport/contract'
import {
  createTextIndex,
  digestEquals,
  FairTurns,
  hasCode,
  hmacSha256,
  mintGatewayKey,
  parseAddressRange,
  parseGatewayKey,
  randomBytes,
  TransientMap,
} from '@sallyport/core'
import type { Clock, Environment, GatewayKeyParts, KeyId, KeyObject, Logger, OrgId, Secret } from '@sallyport/core'
import { keySender } from '../db/index.ts'
import type { Database, KeyRecord, Lookups } from '../db/index.ts'
import { FailureBudget } from './failure-budget.ts'
import { IdentityError, putOff, REFUSED_KEY } from './identity-error.ts'
import { argon2idHasher } from './key-hasher.ts'
import type { KeyHasher } from './key-hasher.ts'
import { KeyReader } from './key-reader.ts'
import type { KeyReading } from './key-reader.ts'
import type { KeyBounds, KeyPrincipal } from './principal.ts'
import { RecentMap } from './recent-map.ts'

export interface KeyAuthenticator {
  /** The caller behind a key that was proven a moment ago, or undefined. No I/O, one hash; for the path of every call. */
  cached(text: string): KeyPrincipal | undefined
  /**
   * What memory alone says of a text: its caller; that it is refused, `unauthenticated` or `overloaded`, which is counted as `authenticate` would; or
   * undefined, and `authenticate` has to find out. No I/O, nothing awaited, and no error made: this is all that a bad key costs.
   */
  judge(text: string, address: () => string): KeyPrincipal | IdentityError | undefined
  /**
   * The caller behind a key. `address` is the client's, as judged by trusted proxies; its failures are counted.
   * @throws IdentityError `unauthenticated` (whatever was wrong), `overloaded`, `database_unavailable`.
   */
  authenticate(text: string, address: string): Promise<KeyPrincipal>
  /**
   * A new key's text, which is shown once and kept nowhere, and the two hashes that are stored.
   * @param org whose turn it takes
   * @throws IdentityError `overloaded` when too much hashing waits.
   */
  mint(environment: Environment, keyId: KeyId, org: OrgId): Promise<MintedKey>
  /** Forgets everything and stops listening. Later calls are refused as `unauthenticated`. */
  close(): void
}

export interface MintedKey {
  readonly text: Secret
  /** `api_key.secret_hmac`: 32 bytes. */
  readonly hmac: Buffer
  /** `api_key.secret_argon2id`: a PHC string. */
  readonly argon2id: string
}

/** Bounds in memory, time and work. The defaults suit one node; every field is a positive number. */
export interface KeyAuthenticatorLimits {
  /** Age at which a proven key is read again: how late a revocation is seen when its notification never comes. */
  readonly freshMs: number
  /** Age up to which a proven key goes on while it can't be read again. */
  readonly provenMs: number
  /** Pause between two tries to read a proven key while the database is away. */
  readonly retryMs: number
  readonly maxProven: number
  /** Age at which a row, or the absence of one, is read again. */
  readonly rememberMs: number
  readonly maxRemembered: number
  readonly maxLookupsInFlight: number
  readonly failureBurst: number
  readonly failuresPerSecond: number
  readonly maxAddresses: number
  readonly hashesAtOnce: number
  readonly hashQueue: number
}

export const KEY_AUTHENTICATOR_LIMITS: KeyAuthenticatorLimits = {
  freshMs: 10_000,
  provenMs: 30_000,
  retryMs: 1_000,
  maxProven: 10_000,
  rememberMs: 5_000,
  maxRemembered: 10_000,
  maxLookupsInFlight: 256,
  failureBurst: 100,
  failuresPerSecond: 10,
  maxAddresses: 10_000,
  hashesAtOnce: 2,
  hashQueue: 64,
}

export interface KeyAuthenticatorOptions {
  readonly lookups: Pick<Lookups, 'keyLookup'>
  readonly onChange: Database['onChange']
  /** `vault.systemSecret('key_pepper')`. */
  readonly pepper: KeyObject
  readonly clock: Clock
  readonly logger: Logger
  readonly hasher?: KeyHasher
  readonly limits?: Partial<KeyAuthenticatorLimits>
}

export function createKeyAuthenticator(options: KeyAuthenticatorOptions): KeyAuthenticator {
  return new CachingKeyAuthenticator(options)
}

/** A key that was proven. Times are monotonic, and neither is later than the key's own expiry. */
interface Proven {
  readonly principal: KeyPrincipal
  /** From here on it is read again. */
  readonly freshUntil: number
  /** From here on it is worth nothing, whether or not it can be read. */
  readonly deadline: number
}

/** A proof under way. Stale once its key changed meanwhile: then its outcome is neither given nor kept, and it begins again. */
interface Proof {
  readonly keyId: KeyId
  readonly outcome: Promise<Proven>
  stale: boolean
}

/** A key's text is 81 characters; longer ones are not worth an HMAC. */
const LONGEST_TEXT = 128
/** Compared with when there is no row. Nobody knows it, so nothing equals it. */
const DUMMY_HMAC = randomBytes(32)
/** A proof begins again when its key changed meanwhile. More often than this in one call is no accident. */
const MAX_RESTARTS = 3

const KNOWN_SCOPES: ReadonlySet<string> = new Set(SCOPES)

class CachingKeyAuthenticator implements KeyAuthenticator {
  readonly #pepper: KeyObject
  /** Under which the maps below keep a text: a heap dump holds nothing that a text's 256 random bits could be guessed from. */
  readonly #index = createTextIndex()
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #hasher: KeyHasher
  readonly #limits: KeyAuthenticatorLimits
  readonly #proven: RecentMap<string, Proven>
  /** Keys that changed since the proven ones were last looked at. They are taken out in one walk, since a line that ends may be very long. */
  readonly #changed = new Set<KeyId>()
  /** Texts that passed argon2id here, and for which version of their key. Without age: it spares work, and lets nobody in. */
  readonly #hashed: RecentMap<string, number>
  readonly #underWay = new TransientMap<string, Proof>()
  readonly #reader: KeyReader
  readonly #failures: FailureBudget
  /** Organizations take turns: the keys of one that come for the first time stand before nobody else's. */
  readonly #turns: FairTurns
  readonly #stopListening: () => void
  #closed = false

  constructor(options: KeyAuthenticatorOptions) {
    const limits = { ...KEY_AUTHENTICATOR_LIMITS, ...options.limits }
    const { clock, lookups } = options
    this.#limits = limits
    this.#pepper = options.pepper
    this.#clock = clock
    this.#logger = options.logger
    this.#hasher = options.hasher ?? argon2idHasher
    this.#proven = new RecentMap(limits.maxProven)
    this.#hashed = new RecentMap(limits.maxProven)
    this.#reader = new KeyReader({
      lookups,
      clock,
      rememberMs: limits.rememberMs,
      maxRemembered: limits.maxRemembered,
      maxInFlight: limits.maxLookupsInFlight,
    })
    this.#failures = new FailureBudget({
      clock,
      burst: limits.failureBurst,
      perSecond: limits.failuresPerSecond,
      maxAddresses: limits.maxAddresses,
    })
    this.#turns = new FairTurns({ width: limits.hashesAtOnce, queue: limits.hashQueue })
    this.#stopListening = options.onChange((change) => {
      if (change === 'unknown') this.#forgetAll()
      else if (change.table === 'api_key') this.#forget(change.id as KeyId)
      // Rare: an archived project, a changed setting, an organization that goes. Its keys are read again, and not hashed again.
      else if (change.table === 'organization' || change.table === 'project') this.#forgetOrganization(change.org)
    })
  }

  cached(text: string): KeyPrincipal | undefined {
    return text.length > LONGEST_TEXT ? undefined : this.#recall(this.#index(text))
  }

  judge(text: string, address: () => string): KeyPrincipal | IdentityError | undefined {
    const index = text.length > LONGEST_TEXT ? undefined : this.#index(text)
    const recalled = index === undefined ? undefined : this.#recall(index)
    if (recalled !== undefined) return recalled
    const parts = this.#closed ? undefined : parseGatewayKey(text)
    if (index === undefined || parts === undefined) return REFUSED_KEY
    // What was proven here before is `authenticate`'s to forget.
    if (this.#hashed.has(index)) return undefined
    const known = this.#reader.remembered(parts.keyId)
    const matches = known !== undefined && this.#secretMatches(known.row, parts)
    if (matches && this.#isAlive(known.row!, known, parts)) return undefined
    return this.#judgeStranger(known !== undefined, matches, address())
  }

  /** Of a key that nothing in memory speaks for. */
  #judgeStranger(isKnown: boolean, matches: boolean, address: string): IdentityError | undefined {
    const retryAfterS = matches ? 0 : this.#failures.retryAfterS(address)
    if (retryAfterS > 0) return putOff(retryAfterS)
    if (!isKnown) return undefined
    this.#failures.fail(address)
    return REFUSED_KEY
  }

  async authenticate(text: string, address: string): Promise<KeyPrincipal> {
    const parts = this.#closed ? undefined : parseGatewayKey(text)
    if (parts === undefined) throw REFUSED_KEY
    const index = this.#index(text)
    const recalled = this.#recall(index)
    if (recalled !== undefined) return recalled
    this.#refuseOverBudget(index, parts, address)
    try {
      return await this.#prove(index, parts)
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error
      if (error.code === 'unauthenticated') {
        this.#failures.fail(address)
        this.#hashed.delete(index)
        this.#proven.delete(index)
      }
      const outlasted = error.code === 'database_unavailable' ? this.#outlast(index) : undefined
      if (outlasted === undefined) throw error
      return outlasted
    }
  }

  async mint(environment: Environment, keyId: KeyId, org: OrgId): Promise<MintedKey> {
    const { text, secret } = mintGatewayKey(environment, keyId)
    const argon2id = await this.#hashing(org, () => this.#hasher.hash(secret))
    return { text, hmac: hmacSha256(this.#pepper, secret), argon2id }
  }

  close(): void {
    this.#closed = true
    this.#stopListening()
    this.#forgetAll()
    this.#hashed.clear()
  }

  #recall(index: string): KeyPrincipal | undefined {
    const proven = this.#provenAt(index)
    return proven !== undefined && this.#clock.monotonic() < proven.freshUntil ? proven.principal : undefined
  }

  /** A key whose proof is not yet worthless, while the database is away. It is fresh for a moment again, so that few calls wait to find out. */
  #outlast(index: string): KeyPrincipal | undefined {
    const proven = this.#provenAt(index)
    const now = this.#clock.monotonic()
    if (proven === undefined || now >= proven.deadline) return undefined
    this.#proven.put(index, { ...proven, freshUntil: Math.min(now + this.#limits.retryMs, proven.deadline) })
    return proven.principal
  }

  /** Good keys never suffer for their neighbours: one that passed here before, or whose row in memory agrees, goes on. */
  #refuseOverBudget(index: string, parts: GatewayKeyParts, address: string): void {
    const retryAfterS = this.#failures.retryAfterS(address)
    if (retryAfterS === 0 || this.#hashed.has(index)) return
    const row = this.#reader.remembered(parts.keyId)?.row
    if (row !== undefined && this.#secretMatches(row, parts)) return
    throw putOff(retryAfterS)
  }

  /** Callers with the same text at the same moment share one proof; it is in the map before anything is awaited. */
  async #prove(index: string, parts: GatewayKeyParts): Promise<KeyPrincipal> {
    for (let restart = 0; restart <= MAX_RESTARTS; restart++) {
      if (this.#closed) throw REFUSED_KEY
      const proof = this.#underWay.get(index) ?? this.#begin(index, parts)
      const { principal } = await proof.outcome
      if (!proof.stale) return principal
    }
    throw new IdentityError('overloaded', 'the key kept changing while it was verified', { retryAfterS: 1 })
  }

  #begin(index: string, parts: GatewayKeyParts): Proof {
    const proof: Proof = { keyId: parts.keyId, outcome: this.#run(index, parts), stale: false }
    this.#underWay.set(index, proof)
    // Attached first, so it runs before those who wait go on. An abandoned proof has left the map already, and is not kept.
    const end = (proven: Proven | undefined) => {
      if (proof.stale) return
      this.#underWay.delete(index)
      if (proven !== undefined) this.#proven.put(index, proven)
    }
    proof.outcome.then(end, () => end(undefined))
    return proof
  }

  async #run(index: string, parts: GatewayKeyParts): Promise<Proven> {
    const reading = await this.#reader.read(parts.keyId, this.#hashed.has(index))
    const { row } = reading
    const matches = this.#secretMatches(row, parts)
    if (row === undefined || !matches || !this.#isAlive(row, reading, parts)) throw REFUSED_KEY
    await this.#hashOnce(index, row, parts)
    const until = (ageMs: number) => Math.min(reading.askedAt + ageMs, expiry(row, reading))
    return { principal: principalOf(row), freshUntil: until(this.#limits.freshMs), deadline: until(this.#limits.provenMs) }
  }

  /** Constant-time, and the same work for a key that doesn't exist. */
  #secretMatches(row: KeyRecord | undefined, parts: GatewayKeyParts): boolean {
    return digestEquals(hmacSha256(this.#pepper, parts.secret), row?.secretHmac ?? DUMMY_HMAC)
  }

  #isAlive(row: KeyRecord, reading: KeyReading, parts: GatewayKeyParts): boolean {
    return row.environment === parts.environment && row.revokedAt === null && this.#clock.monotonic() < expiry(row, reading)
  }

  async #hashOnce(index: string, row: KeyRecord, parts: GatewayKeyParts): Promise<void> {
    if (this.#hashed.get(index) === row.version) return
    const matches = await this.#hashing(row.org, () => this.#hasher.verify(row.secretArgon2id, parts.secret))
    if (!matches) {
      // The HMAC agreed and the slow hash doesn't: the row was not written by us, or the pepper leaked.
      this.#logger.error('a stored key has hashes that disagree', { keyId: row.id, org: row.org })
      throw REFUSED_KEY
    }
    this.#hashed.put(index, row.version)
  }

  #hashing<Result>(org: OrgId, task: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(org, task).catch((error: unknown) => {
      throw hasCode(error, 'queue_full')
        ? new IdentityError('overloaded', 'too many keys wait for their first verification', { retryAfterS: 1 })
        : error
    })
  }

  /** The proof of a text, if nothing was heard of its key since. */
  #provenAt(index: string): Proven | undefined {
    if (this.#changed.size > 0) {
      this.#proven.deleteWhere(({ principal }) => this.#changed.has(principal.keyId))
      this.#changed.clear()
    }
    return this.#proven.get(index)
  }

  #forget(keyId: KeyId): void {
    this.#reader.forget(keyId)
    this.#changed.add(keyId)
    // While nobody asks, no more is kept for them than there is to forget.
    if (this.#changed.size > this.#limits.maxProven) {
      this.#proven.clear()
      this.#changed.clear()
    }
    for (const [index, proof] of this.#underWay) if (proof.keyId === keyId) this.#abandon(index, proof)
  }

  /** Proofs under way may be of its keys: which key is whose is known only at their end. */
  #forgetOrganization(org: OrgId): void {
    this.#reader.forgetAll()
    this.#proven.deleteWhere(({ principal }) => principal.org === org)
    for (const [index, proof] of this.#underWay) this.#abandon(index, proof)
  }

  #forgetAll(): void {
    this.#reader.forgetAll()
    this.#proven.clear()
    this.#changed.clear()
    for (const [index, proof] of this.#underWay) this.#abandon(index, proof)
  }

  #abandon(index: string, proof: Proof): void {
    proof.stale = true
    this.#underWay.delete(index)
  }
}

/**
 * When the key expires, on this process's monotonic clock. The database's `now` is taken to be the moment the question was sent, which
 * is no later than it really was: a key is refused early by at most one round trip, never late. The wall clock has no say.
 */
function expiry(row: KeyRecord, reading: KeyReading): number {
  return row.expiresAt === null ? Infinity : reading.askedAt + (row.expiresAt.getTime() - row.now.getTime())
}

function principalOf(row: KeyRecord): KeyPrincipal {
  return Object.freeze({
    kind: 'key',
    keyId: row.id,
    org: row.org,
    project: row.project,
    environment: row.environment,
    scopes: new Set(row.scopes.filter(isScope)),
    connection: row.connection,
    auditUseMode: row.auditUseMode,
    bounds: boundsOf(row),
  })
}

/** Parsed once for as long as the key is remembered. A range that can't be read holds no address. */
function boundsOf({ allowedAddresses, allowedOrigins: origins, dpopThumbprint, certificateThumbprint }: KeyRecord): KeyBounds | null {
  const sender = keySender(dpopThumbprint, certificateThumbprint)
  if (allowedAddresses.length === 0 && origins.length === 0 && sender === null) return null
  const addresses = allowedAddresses.map((list) => list.map(parseAddressRange).filter((range) => typeof range !== 'string'))
  return { addresses, origins, sender }
}

/** A scope that this version doesn't know gives nothing. */
function isScope(scope: string): scope is Scope {
  return KNOWN_SCOPES.has(scope)
}
