/**
 * Owns how much a new key may be given: never more than its maker has, in anything (DESIGN 4.2, battery T-10). The maker is read from the
 * database now, not from what authentication remembers: a key revoked a second ago makes no more keys.
 */
import { operations, ROLE_CONTAINS } from '@sallyport/contract'
import type { Operation, Role, Scope } from '@sallyport/contract'
import { areWithin, parseAddressRange } from '@sallyport/core'
import type { AddressRange, ConnectionId, OrgId } from '@sallyport/core'
import { isAdmitted } from '../../../access/index.ts'
import { keySender } from '../../../db/index.ts'
import type { Database, KeySender, PersonStanding } from '../../../db/index.ts'
import { notFound, ProblemError } from '../../../http/index.ts'
import { standingOf } from '../../../identity/index.ts'
import type { KeyPrincipal, PersonPrincipal, Principal } from '../../../identity/index.ts'

/** Keys above a key: its maker, that one's maker, and so on. Each is asked for whenever the key is read. `key_lookup` follows twice as many. */
const MAX_MAKERS = 8

export interface WantedKey {
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** Null: it does not expire. */
  readonly expiresInS: number | null
  /** Null: as the maker. */
  readonly allowedAddresses: readonly string[] | null
  /** Null: as the maker. Judged by `checkedOrigins`. */
  readonly allowedOrigins: readonly string[] | null
  /** Null: as the maker. */
  readonly sender: KeySender | null
}

export interface Grant {
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** By the database's clock. */
  readonly expiresAt: Date | null
  readonly allowedAddresses: readonly string[] | null
  readonly allowedOrigins: readonly string[] | null
  readonly sender: KeySender | null
}

/** What the maker is, as the database says at this moment. */
interface Maker {
  readonly now: Date
  readonly mayGive: (scope: Scope) => boolean
  readonly connection: ConnectionId | null
  readonly expiresAt: Date | null
  /** Keys that would stand above the one that is made. */
  readonly makers: number
  /** Lists along its line; it may be used from where all of them say. */
  readonly allowedAddresses: readonly (readonly string[])[]
  /** The same of pages. */
  readonly allowedOrigins: readonly (readonly string[])[]
  readonly sender: KeySender | null
}

/**
 * The key that may be made.
 * @throws ProblemError `insufficient_scope` or `forbidden` when more is wanted than the maker has, `unauthenticated` when the maker ended
 * meanwhile, `validation_failed` for a range that is none. Nothing is narrowed in silence but what a key is bound to: its connection, its
 * addresses, its pages and its sender hold for the keys that it makes.
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
  return {
    scopes: [...new Set(wanted.scopes)],
    connection: maker.connection ?? wanted.connection,
    expiresAt,
    allowedAddresses: addressesWithin(maker, wanted.allowedAddresses) ?? maker.allowedAddresses[0] ?? null,
    allowedOrigins: originsWithin(maker, wanted.allowedOrigins) ?? maker.allowedOrigins[0] ?? null,
    sender: senderFrom(maker, wanted.sender),
  }
}

/** The ranges as they were asked for. @throws ProblemError as `grantFrom`. */
function addressesWithin(maker: Pick<Maker, 'allowedAddresses'>, wanted: readonly string[] | null): readonly string[] | null {
  if (wanted === null) return null
  const ranges = wanted.map(requireRange)
  for (const list of maker.allowedAddresses) {
    if (!areWithin(ranges, list.map(requireRange))) throw new ProblemError('forbidden', "A key can't be used from where its maker can't.")
  }
  return wanted
}

/** @throws ProblemError as `grantFrom`. */
function originsWithin({ allowedOrigins }: Pick<Maker, 'allowedOrigins'>, wanted: readonly string[] | null): readonly string[] | null {
  const isWithin = wanted === null || allowedOrigins.every((list) => wanted.every((origin) => list.includes(origin)))
  if (!isWithin) throw new ProblemError('forbidden', "A key can't be used by pages that its maker can't be used by.")
  return wanted
}

function requireRange(text: string, index: number): AddressRange {
  const range = parseAddressRange(text)
  if (typeof range !== 'string') return range
  const faults = [{ pointer: `/body/allowed_addresses/${index}`, reason: range }]
  throw new ProblemError('validation_failed', 'A range of addresses is not one.', { faults })
}

function senderFrom(maker: Maker, wanted: KeySender | null): KeySender | null {
  if (maker.sender === null || wanted === null) return maker.sender ?? wanted
  if (wanted.kind === maker.sender.kind && wanted.thumbprint === maker.sender.thumbprint) return wanted
  throw new ProblemError('forbidden', 'This key is bound to its sender and makes keys for that one only.')
}

/** What a change binds a key to. Absent: as it is. */
export interface WantedBounds {
  readonly allowedAddresses?: readonly string[] | null
  readonly allowedOrigins?: readonly string[] | null
}

/**
 * The bounds that a key may be given later, by whoever changes it.
 * @throws ProblemError as `grantFrom`; `forbidden` also when a key that is held to addresses or pages would free another.
 */
export async function boundsFrom(lookups: Database['lookups'], principal: Principal, wanted: WantedBounds): Promise<WantedBounds> {
  const { allowedAddresses, allowedOrigins } = wanted
  const maker = principal.kind === 'key' ? await readKey(lookups, principal) : { allowedAddresses: [], allowedOrigins: [] }
  if (allowedAddresses === null && maker.allowedAddresses.length > 0) {
    throw new ProblemError('forbidden', 'This key is held to addresses, and frees no key from its own.')
  }
  if (allowedOrigins === null && maker.allowedOrigins.length > 0) {
    throw new ProblemError('forbidden', 'This key is held to web pages, and frees no key from its own.')
  }
  return {
    ...(allowedAddresses === undefined ? {} : { allowedAddresses: addressesWithin(maker, allowedAddresses) }),
    ...(allowedOrigins === undefined ? {} : { allowedOrigins: originsWithin(maker, allowedOrigins) }),
  }
}

async function readKey(lookups: Database['lookups'], principal: KeyPrincipal): Promise<Maker> {
  const key = await lookups.keyLookup(principal.keyId)
  const alive = key !== undefined && key.revokedAt === null && (key.expiresAt === null || key.expiresAt > key.now)
  if (!alive) throw ended()
  const own = new Set(key.scopes)
  return {
    now: key.now,
    mayGive: (scope) => own.has(scope),
    connection: key.connection,
    expiresAt: key.expiresAt,
    makers: key.makers + 1,
    allowedAddresses: key.allowedAddresses,
    allowedOrigins: key.allowedOrigins,
    sender: keySender(key.dpopThumbprint, key.certificateThumbprint),
  }
}

async function readPerson(lookups: Database['lookups'], principal: PersonPrincipal, org: OrgId): Promise<Maker> {
  const read = await standingNow(lookups, principal)
  const person = { ...principal, ...standingOf(read.standings) }
  const role = person.memberships.get(org)
  if (role === undefined) throw notFound()
  if (!isAdmitted(person, org, role)) throw ended()
  const mayGive = (scope: Scope): boolean => ROLE_CONTAINS[role].includes(roleBehind(scope))
  return { now: read.now, mayGive, connection: null, expiresAt: null, makers: 0, allowedAddresses: [], allowedOrigins: [], sender: null }
}

async function standingNow(lookups: Database['lookups'], principal: PersonPrincipal): Promise<Pick<PersonStanding, 'now' | 'standings'>> {
  if (principal.via === 'session') return (await lookups.sessionLookup(principal.sessionHash)) ?? gone()
  const read = await lookups.personStanding(principal.userId, principal.signIn.issuerSession)
  return read === undefined || read.ended ? gone() : read
}

function gone(): never {
  throw ended()
}

/** The maker is no longer what it was when the request was let in. */
export function ended(): ProblemError {
  return new ProblemError('unauthenticated', 'The credential has ended.')
}

/**
 * The role a person needs to give a scope away: the largest that any operation under the scope asks of people. Calling out is no
 * operation of the table; it is what developers make keys for. What lies above projects is opened by keys of the organization alone, which are an
 * administrator's to make.
 */
export function roleBehind(scope: Scope): Role {
  const asked = Object.values<Operation>(operations).flatMap(({ access }) =>
    access.scope === scope && access.role !== undefined && access.tenant !== 'org' ? [access.role] : [],
  )
  return [...asked, 'DEVELOPER' as const].reduce(
    (largest, role) => (ROLE_CONTAINS[role].includes(largest) ? role : largest),
    'VIEWER' as Role,
  )
}
