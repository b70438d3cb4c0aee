/** Owns who a caller is once proven. Refuses anything a caller merely claims: every field comes from the database. */
import type { Role, Scope } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { AddressRange, ConnectionId, Environment, KeyId, OrgId, ProjectId, UserId } from '@sallyport/core'
import type { KeySender } from '../db/index.ts'

/** From where, and by whom alone, a key may be used. Judged on every call by the key guard (`binding/`). */
export interface KeyBounds {
  /** Lists along the line of the key's makers, its own first: the caller's address must lie in each. */
  readonly addresses: readonly (readonly AddressRange[])[]
  readonly sender: KeySender | null
}

/** A gateway key: one project, one environment, a set of scopes. */
export interface KeyPrincipal {
  readonly kind: 'key'
  readonly keyId: KeyId
  readonly org: OrgId
  readonly project: ProjectId
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
  /** SHA-256 of the session's token: names the session without being able to open it. */
  readonly sessionHash: Buffer
  readonly memberships: ReadonlyMap<OrgId, Role>
}

export type Principal = KeyPrincipal | PersonPrincipal

/** How a caller is named in audit events and answers: `key_...` or `user_...`. */
export function principalRef(principal: Principal): string {
  return principal.kind === 'key' ? formatId('key', principal.keyId) : formatId('user', principal.userId)
}
