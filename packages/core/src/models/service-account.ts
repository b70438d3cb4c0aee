/**
 * Owns the access tokens that a service account's key buys (RFC 7523 section 2.1): one purchase for all who wait, at the address of the provider's record and never
 * at one that the key's file names. Remembered until shortly before their end, sealed under a key of this process. Refuses to remember a caller's own, but for a moment
 * that it was refused, and to let one owner stand in every other's way.
 */
import { z } from 'zod'
import { generateKeyBytes, open, seal, sealingKey, sha256 } from '../crypto/index.ts'
import type { SealingKey, SealPlace } from '../crypto/index.ts'
import { EgressError } from '../http/index.ts'
import type { Egress } from '../http/index.ts'
import { JwtError, signAssertion } from '../jwt/index.ts'
import { SallyportError, Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { FairTurns } from '../pipeline/index.ts'
import { readServiceAccount } from './credential.ts'
import type { ModelProvider } from './schema.ts'

/** The provider takes no such credential: only another one helps. */
export type ModelKeyErrorCode = 'provider_key_rejected'

/** Never carries anything of the credential, or of what the provider said to it. */
export class ModelKeyError extends SallyportError<ModelKeyErrorCode> {}

/** What tokens are bought with, and where from. */
export interface AccessTokensOptions {
  readonly fetch: Egress['fetch']
  readonly clock: Clock
}

/** Whose tokens: all of one owner are forgotten together. */
export interface TokenWanted {
  /** The organization. */
  readonly owner: string
  readonly provider: Pick<ModelProvider, 'id' | 'tokens'>
  readonly credential: Secret
  /** Bought for this call alone. */
  readonly once: boolean
}

/** Access tokens of service accounts. */
export interface AccessTokens {
  /** @throws ModelKeyError; EgressError; PipelineError `queue_full` when too many are being bought for others; TypeError for a provider or a credential of another kind */
  of(wanted: TokenWanted): Promise<Secret>
  /** Undefined: all. */
  forget(owner: string | undefined): void
}

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** The longest that Google takes. */
const ASSERTION_LIFE_S = 3_600
const MARGIN_MS = 300_000
const MARGIN_PART = 0.1
const LONGEST_LIFE_S = 43_200
/** A key that was refused is not offered again for so long, however many call with it. */
const REST_MS = 5_000
const MAX_TOKENS = 10_000
/** Of callers' own credentials that were refused a moment ago. */
const MAX_RESTING = 10_000
const TIMEOUT_MS = 20_000
const MAX_ANSWER_BYTES = 64 * 1024
/** Purchases at once; of one owner a quarter of them, since a caller's own keys are bought for one by one. Patience is shorter than a purchase may take. */
const TURNS = { width: 64, perLane: 16, queue: 512, patienceMs: 10_000 }

const bought = z.object({ access_token: z.string().regex(/^[!-~]{1,8192}$/u), expires_in: z.number().positive() })

interface Kept {
  readonly owner: string
  readonly until: number
  /** A token, or why there is none. */
  readonly what: Buffer | ModelKeyError
}

interface Bought {
  readonly token: Secret
  readonly lifeMs: number
}

/** Safe for concurrent use. */
export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  return new Purchases(options)
}

class Purchases implements AccessTokens {
  readonly #o: AccessTokensOptions
  readonly #sealing: SealingKey
  readonly #kept = new Map<string, Kept>()
  readonly #buying = new Map<string, Promise<Secret>>()
  /** Apart from what is kept: bad credentials of callers are many, and take no good one's place. */
  readonly #resting = new Map<string, { readonly until: number; readonly why: ModelKeyError }>()
  readonly #buyingOnce = new Map<string, Promise<Secret>>()
  readonly #turns = new FairTurns(TURNS)
  /** Counts what was forgotten: a purchase that began before it is not remembered after it. */
  #epoch = 0

  constructor(options: AccessTokensOptions) {
    this.#o = options
    this.#sealing = processKey()
  }

  async of({ owner, provider, credential, once }: TokenWanted): Promise<Secret> {
    const name = [owner, provider.id, sha256(credential).toString('hex')].join(' ')
    if (once) return this.#once(name, owner, provider, credential)
    const kept = this.#kept.get(name)
    if (kept !== undefined && this.#o.clock.monotonic() < kept.until) return this.#taken(name, kept.what)
    const buying = this.#buying.get(name) ?? this.#begin(name, owner, provider, credential)
    return buying
  }

  /** One purchase for all calls that wait for it, and none for a moment after a refusal. */
  #once(name: string, owner: string, provider: TokenWanted['provider'], credential: Secret): Promise<Secret> {
    const resting = this.#resting.get(name)
    if (resting !== undefined && this.#o.clock.monotonic() < resting.until) return Promise.reject(resting.why)
    const under = this.#buyingOnce.get(name)
    if (under !== undefined) return under
    const buying = this.#inTurn(owner, provider, credential)
      .then(
        ({ token }) => token,
        (error: unknown) => {
          if (error instanceof ModelKeyError) this.#rest(name, error)
          throw error
        },
      )
      .finally(() => this.#buyingOnce.delete(name))
    this.#buyingOnce.set(name, buying)
    return buying
  }

  #rest(name: string, why: ModelKeyError): void {
    this.#resting.delete(name)
    this.#resting.set(name, { until: this.#o.clock.monotonic() + REST_MS, why })
    if (this.#resting.size <= MAX_RESTING) return
    const oldest = this.#resting.keys().next()
    if (oldest.done !== true) this.#resting.delete(oldest.value)
  }

  #taken(name: string, what: Kept['what']): Secret {
    if (what instanceof ModelKeyError) throw what
    return open((id) => (id === this.#sealing.id ? this.#sealing : undefined), placeOf(name), what)
  }

  #begin(name: string, owner: string, provider: TokenWanted['provider'], credential: Secret): Promise<Secret> {
    const epoch = this.#epoch
    const buying = this.#inTurn(owner, provider, credential)
      .then(
        ({ token, lifeMs }) => {
          if (epoch === this.#epoch)
            this.#keep(name, { owner, until: this.#o.clock.monotonic() + lifeMs, what: seal(this.#sealing, placeOf(name), token) })
          return token
        },
        (error: unknown) => {
          if (error instanceof ModelKeyError && epoch === this.#epoch)
            this.#keep(name, { owner, until: this.#o.clock.monotonic() + REST_MS, what: error })
          throw error
        },
      )
      .finally(() => this.#buying.delete(name))
    this.#buying.set(name, buying)
    return buying
  }

  #keep(name: string, kept: Kept): void {
    this.#kept.delete(name)
    this.#kept.set(name, kept)
    if (this.#kept.size <= MAX_TOKENS) return
    const oldest = this.#kept.keys().next()
    if (oldest.done !== true) this.#kept.delete(oldest.value)
  }

  forget(owner: string | undefined): void {
    this.#epoch += 1
    if (owner === undefined) return this.#kept.clear()
    for (const [name, kept] of this.#kept) if (kept.owner === owner) this.#kept.delete(name)
  }

  #inTurn(owner: string, provider: TokenWanted['provider'], credential: Secret): Promise<Bought> {
    return this.#turns.run(owner, () => this.#buy(provider, credential))
  }

  async #buy({ tokens }: TokenWanted['provider'], credential: Secret): Promise<Bought> {
    if (tokens === undefined) throw new TypeError('a provider without a token endpoint')
    const assertion = await this.#assertion(tokens, credential)
    const response = await this.#o.fetch(tokens.endpoint, {
      method: 'POST',
      headers: { accept: 'application/json' },
      body: new URLSearchParams({ grant_type: GRANT, assertion }),
      totalTimeoutMs: TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
    })
    if (response.status >= 500 || response.status === 429) throw new EgressError('upstream_unreachable', 'token endpoint', true)
    if (response.status !== 200) throw rejected(`the token endpoint said ${response.status}`)
    const answer = bought.safeParse(jsonOf(await response.text()))
    if (!answer.success) throw new EgressError('upstream_invalid', 'token', true)
    const { access_token: token, expires_in: livesS } = answer.data
    const wholeMs = Math.min(livesS, LONGEST_LIFE_S) * 1_000
    return { token: new Secret(token), lifeMs: wholeMs - Math.min(MARGIN_MS, wholeMs * MARGIN_PART) }
  }

  async #assertion({ endpoint, scope }: NonNullable<ModelProvider['tokens']>, credential: Secret): Promise<string> {
    const { address, privateKey, keyId } = readServiceAccount(credential)
    try {
      const said = { issuer: address, audience: endpoint, now: this.#o.clock.now(), lifeS: ASSERTION_LIFE_S, claims: { scope }, keyId }
      return await signAssertion(privateKey, said)
    } catch (error) {
      if (error instanceof JwtError) throw rejected('a private key that does not sign')
      throw error
    }
  }
}

function rejected(why: string): ModelKeyError {
  return new ModelKeyError('provider_key_rejected', why, {
    publicDetail:
      'The provider gives no access token for this service account: its key was revoked or is another’s, or its clock and ours disagree.',
  })
}

/** What is remembered opens in this process alone. */
function processKey(): SealingKey {
  const bytes = generateKeyBytes()
  try {
    return sealingKey('process', bytes)
  } finally {
    bytes.fill(0)
  }
}

function placeOf(name: string): SealPlace {
  return { purpose: 'access-token', org: '', table: 'memory', column: 'token', record: name, seq: 0n }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
