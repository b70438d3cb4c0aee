/**
 * Owns an issuer's books: grants, the chain of refresh tokens of each, and what showing one of them does under the grant's profile. Refuses to
 * know HTTP or faults. Tokens are `rt.{grant}.{serial}.{random}`, so that a history can name them without holding them.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { GrantRecord, IssuerProfile, ShowingOutcome } from './history.ts'

export interface Shown {
  readonly outcome: Exclude<ShowingOutcome, 'untouched'>
  /** The token to give: the successor, or for `kept` the same one. Undefined when the grant is refused. */
  readonly given: { readonly serial: number; readonly text: string } | undefined
}

interface IssuedToken {
  readonly text: string
  spentAt: number | null
  successor: number | null
  replaced: boolean
}

interface Grant {
  readonly id: string
  readonly client: string
  readonly profile: IssuerProfile
  readonly madeAt: number
  readonly tokens: IssuedToken[]
  ended: GrantRecord['ended']
}

const TOKEN = /^rt\.([A-Za-z0-9-]+)\.(\d{1,9})\.[\w-]+$/u

/** The grant and serial that a refresh token names; undefined when it is none of ours. */
export function readToken(text: string): { readonly grant: string; readonly serial: number } | undefined {
  const found = TOKEN.exec(text)
  return found === null ? undefined : { grant: found[1]!, serial: Number(found[2]) }
}

export class GrantLedger {
  readonly #grants = new Map<string, Grant>()

  /** A consent: a new grant with its first refresh token, serial 0. */
  open(client: string, profile: IssuerProfile, now: number): { readonly grant: string; readonly token: string } {
    const id = `g${this.#grants.size}-${randomBytes(3).toString('hex')}`
    const grant: Grant = { id, client, profile, madeAt: now, tokens: [], ended: null }
    this.#grants.set(id, grant)
    return { grant: id, token: issue(grant).text }
  }

  /** Whether `text` was given out here, to `client`. */
  knows(client: string, text: string): boolean {
    const named = readToken(text)
    const grant = named === undefined ? undefined : this.#grants.get(named.grant)
    const token = grant?.tokens[named!.serial]
    return grant?.client === client && token !== undefined && same(token.text, text)
  }

  /** Shows a token that is known. `rotate` false renews without a successor, as some providers do now and then. */
  show(text: string, now: number, rotate = true): Shown {
    const { grant: id, serial } = readToken(text)!
    const grant = this.#grants.get(id)!
    const token = grant.tokens[serial]!
    if (grant.ended !== null) return { outcome: 'ended', given: undefined }
    if (token.replaced) return { outcome: 'replaced', given: undefined }
    if (token.spentAt !== null) return this.#showSpent(grant, token, now)
    if (grant.profile.kind === 'none' || !rotate) return { outcome: 'kept', given: { serial, text } }
    return { outcome: 'rotated', given: this.#succeed(grant, token, now) }
  }

  #showSpent(grant: Grant, token: IssuedToken, now: number): Shown {
    const { profile } = grant
    const successor = grant.tokens[token.successor!]!
    const inGrace = profile.kind === 'grace' && now <= token.spentAt! + profile.seconds * 1000
    if (!inGrace || successor.spentAt !== null) {
      grant.ended = { by: 'reuse', at: now }
      return { outcome: 'reuse', given: undefined }
    }
    if (profile.again === 'same') return { outcome: 'again', given: { serial: token.successor!, text: successor.text } }
    successor.replaced = true
    // The window runs from the first use: showing it again does not stretch it.
    return { outcome: 'again', given: this.#succeed(grant, token, token.spentAt!) }
  }

  #succeed(grant: Grant, token: IssuedToken, spentAt: number): { serial: number; text: string } {
    token.spentAt = spentAt
    token.successor = grant.tokens.length
    return { serial: token.successor, text: issue(grant).text }
  }

  /** The person takes the grant back. False when it had ended. */
  revoke(id: string, now: number): boolean {
    const grant = this.#grants.get(id)
    if (grant === undefined || grant.ended !== null) return false
    grant.ended = { by: 'revoked', at: now }
    return true
  }

  records(now: number): GrantRecord[] {
    return [...this.#grants.values()].map((grant) => ({
      id: grant.id,
      client: grant.client,
      profile: grant.profile,
      madeAt: grant.madeAt,
      ended: grant.ended,
      live: grant.ended === null ? grant.tokens.flatMap((token, serial) => (accepted(grant, token, now) ? [serial] : [])) : [],
    }))
  }
}

function accepted({ profile, tokens }: Grant, token: IssuedToken, now: number): boolean {
  if (token.replaced) return false
  if (token.spentAt === null) return true
  return profile.kind === 'grace' && now <= token.spentAt + profile.seconds * 1000 && tokens[token.successor!]!.spentAt === null
}

function issue(grant: Grant): IssuedToken {
  const text = `rt.${grant.id}.${grant.tokens.length}.${randomBytes(18).toString('base64url')}`
  const token: IssuedToken = { text, spentAt: null, successor: null, replaced: false }
  grant.tokens.push(token)
  return token
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
