/** Owns what this folder asks of the database before anyone is authenticated. Refuses more than these answers: no list, no search. */
import type { ConnectionId, Environment, KeyId, OrgId, ProjectId, UserId } from '@sallyport/core'

/** A key as stored. Never leaves this folder. */
export interface KeyRecord {
  readonly org: OrgId
  readonly id: KeyId
  readonly project: ProjectId
  readonly environment: Environment
  /** Rises with every change of the secret. */
  readonly version: number
  readonly secretHmac: Buffer
  readonly secretArgon2id: string
  readonly scopes: readonly string[]
  readonly connection: ConnectionId | null
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly auditUseMode: 'strict' | 'batched'
  /** The database's clock when it answered. */
  readonly now: Date
}

export interface SessionRecord {
  readonly userId: UserId
  readonly name: string
  readonly expiresAt: Date
  readonly now: Date
  readonly memberships: readonly { readonly org: OrgId; readonly role: string }[]
}

/** All three throw a SallyportError `database_unavailable` when the database can't be reached. */
export interface IdentityLookups {
  keyLookup(id: KeyId): Promise<KeyRecord | undefined>
  /** Consumes the link whose hash it is, and stores the session's; undefined when there is no such link or it is over. */
  sessionOpen(linkHash: Buffer, sessionHash: Buffer, ttlS: number): Promise<{ userId: UserId; name: string; expiresAt: Date } | undefined>
  /** Only sessions that the database's clock says are not over. */
  sessionLookup(sessionHash: Buffer): Promise<SessionRecord | undefined>
  sessionClose(sessionHash: Buffer): Promise<boolean>
}

/** A row that changed somewhere, or `unknown`: changes may have been missed. */
export type IdentityChange = { readonly table: string; readonly id: string } | 'unknown'

/** Calls the listener for every change until the function it returns is called. */
export type ChangeFeed = (listener: (change: IdentityChange) => void) => () => void
