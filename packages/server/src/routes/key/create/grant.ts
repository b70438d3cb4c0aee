/**
 * Owns how much a new key may be given: never more than its maker has, in anything (DESIGN 4.2, battery T-10). The maker is read from the
 * database now, not from what authentication remembers: a key revoked a second ago makes no more keys.
 */
import { operations, ROLE_CONTAINS } from '@sallyport/contract'
import type { Operation, Role, Scope } from '@sallyport/contract'
import type { ConnectionId, OrgId } from '@sallyport/core'
import type { Database } from '../../../db/index.ts'
import { notFound, ProblemError } from '../../../http/index.ts'
import type { KeyPrincipal, PersonPrincipal, Principal } from '../../../identity/index.ts'

/** Keys above a key: its maker, that one's maker, and so on. Each is asked for whenever the key is read. `key_lookup` follows twice as many. */
const MAX_MAKERS = 8

export interface WantedKey {
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** Null: it does not expire. */
  readonly expiresInS: number | null
}

export interface Grant {
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** By the database's clock. */
  readonly expiresAt: Date | null
}

/** What the maker is, as the database says at this moment. */
interface Maker {
  readonly now: Date
  readonly mayGive: (scope: Scope) => boolean
  readonly connection: ConnectionId | null
  readonly expiresAt: Date | null
  /** Keys that would stand above the one that is made. */
  readonly makers: number
}

/**
 * The key that may be made.
 * @throws ProblemError `insufficient_scope` or `forbidden` when more is wanted than the maker has, `unauthenticated` when the maker ended
 * meanwhile. Nothing is narrowed in silence but the connection: a bound key makes keys bound to the same one.
 */
export async function grantFrom(lookups: Database['lookups'], principal: Principal, org: OrgId, wanted: WantedKey): Promise<Grant> {
  const maker = principal.kind === 'key' ? await readKey(lookups, principal) : await readPerson(lookups, principal, org)
  const tooMuch = wanted.scopes.filter((scope) => !maker.mayGive(scope))
  if (tooMuch.length > 0) throw new ProblemError('insufficient_scope', `A key can't be given what its maker lacks: ${tooMuch.join(', ')}.`)
  const expiresAt = wanted.expiresInS === null ? null : new Date(maker.now.getTime() + wanted.expiresInS * 1000)
  if (maker.expiresAt !== null && (expiresAt === null || expiresAt > maker.expiresAt)) {
    throw new ProblemError('forbidden', "A key can't outlive its maker: give an expires_in_s that ends no later.")
  }
  if (maker.makers > MAX_MAKERS) throw new ProblemError('forbidden', `Keys made by keys go ${MAX_MAKERS} deep at most.`)
  if (maker.connection !== null && wanted.connection !== null && wanted.connection !== maker.connection) {
    throw new ProblemError('forbidden', 'This key is bound to one connection and makes keys for that one only.')
  }
  return { scopes: [...new Set(wanted.scopes)], connection: maker.connection ?? wanted.connection, expiresAt }
}

async function readKey(lookups: Database['lookups'], principal: KeyPrincipal): Promise<Maker> {
  const key = await lookups.keyLookup(principal.keyId)
  const alive = key !== undefined && key.revokedAt === null && (key.expiresAt === null || key.expiresAt > key.now)
  if (!alive) throw ended()
  const own = new Set(key.scopes)
  return { now: key.now, mayGive: (scope) => own.has(scope), connection: key.connection, expiresAt: key.expiresAt, makers: key.makers + 1 }
}

async function readPerson(lookups: Database['lookups'], principal: PersonPrincipal, org: OrgId): Promise<Maker> {
  const session = await lookups.sessionLookup(principal.sessionHash)
  if (session === undefined) throw ended()
  const role = session.memberships.get(org)
  if (role === undefined) throw notFound()
  const mayGive = (scope: Scope): boolean => ROLE_CONTAINS[role].includes(roleBehind(scope))
  return { now: session.now, mayGive, connection: null, expiresAt: null, makers: 0 }
}

/** The maker is no longer what it was when the request was let in. */
export function ended(): ProblemError {
  return new ProblemError('unauthenticated', 'The credential has ended.')
}

/**
 * The role a person needs to give a scope away: the largest that any operation under the scope asks of people. Calling out is no
 * operation of the table; it is what developers make keys for.
 */
export function roleBehind(scope: Scope): Role {
  const asked = Object.values<Operation>(operations).flatMap(({ access }) =>
    access.scope === scope && access.role !== undefined ? [access.role] : [],
  )
  return [...asked, 'DEVELOPER' as const].reduce(
    (largest, role) => (ROLE_CONTAINS[role].includes(largest) ? role : largest),
    'VIEWER' as Role,
  )
}
