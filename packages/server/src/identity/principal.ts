/** Owns who a caller is once proven. Refuses anything a caller merely claims: every field comes from the
 * database, or from a token that was verified. */
import { ROLES } from '@sallyport/contract'
import type { Role, Scope } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { AddressRange, ConnectionId, Environment, KeyId, OrgId, ProjectId, UserId } from '@sallyport/core'
import type { KeySender, SignIn, Standing } from '../db/index.ts'
import { readPolicy } from './sign-in-policy.ts'
import type { StoredPolicy } from './sign-in-policy.ts'

/** From where, and by whom alone, a key may be used. Judged on every call by the key guard (`binding/`). */
export interface KeyBounds {
  /** Lists along the line of the key's makers, its own first: the caller's address must lie in each. */
  readonly addresses: readonly (readonly AddressRange[])[]
  /** Lists along the same line: the call must come from a page whose exact origin each has. Without one, from whoever has the key. */
  readonly origins: readonly (readonly string[])[]
  readonly sender: KeySender | null
}

/** A gateway key: one project or the organization, one environment, a set of scopes. */
export interface KeyPrincipal {
  readonly kind: 'key'
  readonly keyId: KeyId
  readonly org: OrgId
  /** Null: of the organization. It manages all its projects, and calls nothing. */
  readonly project: ProjectId | null
  readonly environment: Environment
  readonly scopes: ReadonlySet<Scope>
  /** The one connection the key may use; null: any of its environment. */
  readonly connection: ConnectionId | null
  /** How uses of credentials are recorded in the key's organization: `strict` waits for the commit, `batched` doesn't. */
  readonly auditUseMode: 'strict' | 'batched'
  /** Null: from anywhere, by whoever has it. */
  readonly bounds: KeyBounds | null
}

/** A signed-in person. What they may do depends on the organization: an organization that isn't in the map is not theirs. */
export interface PersonPrincipal {
  readonly kind: 'person'
  readonly userId: UserId
  readonly name: string
  /** Believed: an issuer that may speak for the address called it verified. In lower case. */
  readonly email: string | null
  /** `session`: by the console's cookie. `token`: by an issuer's token on this very call. */
  readonly via: 'session' | 'token'
  /** SHA-256 of the session's token, or the issuer's: names it without being able to open anything. */
  readonly sessionHash: Buffer
  readonly signIn: SignIn
  readonly memberships: ReadonlyMap<OrgId, Role>
  /** What they are in organizations on their way out, of which nothing is theirs but to take that back. */
  readonly closing?: ReadonlyMap<OrgId, Role>
  /** Of the organizations above, those that ask how their people sign in. */
  readonly signInPolicies: ReadonlyMap<OrgId, StoredPolicy>
}

export type Principal = KeyPrincipal | PersonPrincipal

/** How a caller is named in audit events and answers: `key_...` or `user_...`. */
export function principalRef(principal: Principal): string {
  return principal.kind === 'key' ? formatId('key', principal.keyId) : formatId('user', principal.userId)
}

const KNOWN_ROLES: ReadonlySet<string> = new Set(ROLES)

/** What a person is where. A role that this version doesn't know gives nothing, and a policy that it can't read admits nobody. */
export function standingOf(standings: readonly Standing[]): Pick<PersonPrincipal, 'memberships' | 'closing' | 'signInPolicies'> {
  const known = standings.filter(({ role }) => KNOWN_ROLES.has(role))
  const asked = known.map(({ org, signIn }) => [org, readPolicy(signIn)] as const)
  return {
    memberships: rolesIn(known.filter(({ closing }) => closing !== true)),
    closing: rolesIn(known.filter(({ closing }) => closing === true)),
    signInPolicies: new Map(asked.filter((entry): entry is readonly [OrgId, StoredPolicy] => entry[1] !== undefined)),
  }
}

function rolesIn(standings: readonly Standing[]): ReadonlyMap<OrgId, Role> {
  return new Map(standings.map(({ org, role }) => [org, role]))
}
