/**
 * Owns the public keys of issuers, fetched through the one door out and remembered. Refuses to be driven by the tokens it serves: a made-up key
 * id costs at most one fetch per cool-down, whatever the flood; symmetric and private keys are dropped; sizes and counts are bounded.
 *
 * A set is asked for again when it is old, or when it lacks the key that a token names. When the issuer can't be reached the last good set goes on
 * being used until `MAX_STALE_MS`, and then nobody is believed.
 */
import { createLocalJWKSet } from 'jose'
import type { JWK, JWTVerifyGetKey } from 'jose'
import type { Egress } from '../http/index.ts'
import type { Clock } from '../kernel/index.ts'
import { JwtError } from './errors.ts'

/** What sets are fetched by, and how long they are believed. */
export interface KeySetOptions {
  /** Plain http is refused by its policy, and so is every address that is not public. */
  readonly egress: Pick<Egress, 'fetch'>
  readonly clock: Pick<Clock, 'monotonic'>
  /** Replaces the times below, all in milliseconds. */
  readonly times?: Partial<KeySetTimes>
}

/** Milliseconds, each. */
export interface KeySetTimes {
  /** Age from which a set is asked for again. */
  readonly freshMs: number
  /** Between two fetches of one set, failed ones included. */
  readonly coolDownMs: number
  /** Age of a set beyond which it is not used, whatever the issuer's state. */
  readonly maxStaleMs: number
}

const TIMES: KeySetTimes = { freshMs: 600_000, coolDownMs: 30_000, maxStaleMs: 86_400_000 }
const MAX_SETS = 1_000
const MAX_KEYS = 100
const FETCH_LIMITS = { maxBytes: 256 * 1024, totalTimeoutMs: 5_000 } as const

/** Gives the key for a token's protected header. Rejects with jose's own errors, which `verifyJwt` translates. */
export type FindVerificationKey = JWTVerifyGetKey

/** Verification keys by the address of their set. */
export interface KeySets {
  /** Keys of the set at `url`. Nothing is fetched until a token asks. */
  at(url: string): FindVerificationKey
}

interface Held {
  find: ReturnType<typeof createLocalJWKSet> | undefined
  /** By the monotonic clock; of the last success and of the last attempt. */
  gotAt: number
  triedAt: number
  fetching: Promise<void> | undefined
}

/** Sets of verification keys (RFC 7517 section 5) by their addresses, remembered and asked for anew by age or for an unknown key. */
export function createKeySets(options: KeySetOptions): KeySets {
  return new RememberedKeySets(options)
}

class RememberedKeySets implements KeySets {
  readonly #egress: Pick<Egress, 'fetch'>
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #times: KeySetTimes
  readonly #sets = new Map<string, Held>()

  constructor({ egress, clock, times }: KeySetOptions) {
    this.#egress = egress
    this.#clock = clock
    this.#times = { ...TIMES, ...times }
  }

  at(url: string): FindVerificationKey {
    return (header, token) => this.#key(url, header, token)
  }

  async #key(url: string, header: Parameters<FindVerificationKey>[0], token: Parameters<FindVerificationKey>[1]) {
    const held = this.#held(url)
    const now = this.#clock.monotonic()
    if (this.#isOlder(held, now, this.#times.freshMs)) await this.#refresh(url, held)
    try {
      return await this.#usable(held)(header, token)
    } catch (error) {
      if (!isUnknownKey(error) || !(await this.#refresh(url, held))) throw error
      return this.#usable(held)(header, token)
    }
  }

  #usable(held: Held): ReturnType<typeof createLocalJWKSet> {
    if (held.find !== undefined && !this.#isOlder(held, this.#clock.monotonic(), this.#times.maxStaleMs)) return held.find
    throw new JwtError('jwt_keys_unavailable', "the issuer's keys can't be had")
  }

  #isOlder({ find, gotAt }: Held, now: number, ageMs: number): boolean {
    return find === undefined || now - gotAt >= ageMs
  }

  /** True when the set was asked for again just now, by this caller or another it waited with; false within the cool-down. */
  async #refresh(url: string, held: Held): Promise<boolean> {
    const now = this.#clock.monotonic()
    if (held.fetching === undefined) {
      if (now - held.triedAt < this.#times.coolDownMs) return false
      held.triedAt = now
      held.fetching = this.#ask(url, held).finally(() => (held.fetching = undefined))
    }
    await held.fetching
    return true
  }

  /** A failure leaves the set as it was: who needs it finds out by its age. */
  async #ask(url: string, held: Held): Promise<void> {
    try {
      const response = await this.#egress.fetch(url, { headers: { accept: 'application/json' }, ...FETCH_LIMITS })
      if (response.status !== 200) return
      const keys = verificationKeys(JSON.parse(await response.text()))
      if (keys.length === 0) return
      held.find = createLocalJWKSet({ keys })
      held.gotAt = this.#clock.monotonic()
    } catch {
      // Unreachable, no JSON, or no key set: the same to whoever asks, and told to them as `jwt_keys_unavailable` in time.
    }
  }

  #held(url: string): Held {
    const known = this.#sets.get(url)
    if (known !== undefined) {
      // The least recently used goes first.
      this.#sets.delete(url)
      this.#sets.set(url, known)
      return known
    }
    const [oldest] = this.#sets.keys()
    if (oldest !== undefined && this.#sets.size >= MAX_SETS) this.#sets.delete(oldest)
    const made: Held = { find: undefined, gotAt: 0, triedAt: Number.NEGATIVE_INFINITY, fetching: undefined }
    this.#sets.set(url, made)
    return made
  }
}

const PUBLIC_KINDS: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])

/** The public signature keys of a JWK set (RFC 7517 section 5), at most 100. A shared secret published by mistake verifies nothing. */
function verificationKeys(set: unknown): JWK[] {
  if (typeof set !== 'object' || set === null || !('keys' in set) || !Array.isArray(set.keys)) return []
  return set.keys.slice(0, MAX_KEYS).filter((key: unknown): key is JWK => {
    if (typeof key !== 'object' || key === null) return false
    const { kty, use, d } = key as JWK
    return PUBLIC_KINDS.has(kty) && (use === undefined || use === 'sig') && d === undefined
  })
}

function isUnknownKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_JWKS_NO_MATCHING_KEY'
}
