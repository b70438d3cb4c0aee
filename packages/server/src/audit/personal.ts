/**
 * Owns the ports by which events say something of a person: sealed before it is hashed, opened for those who may see it. Refuses such facts in any other
 * form: what stands in `detail` stays in the log for ever.
 */
import type { StoredAuditEvent, TenantTx } from '../db/index.ts'
import type { AuditEvent } from './event.ts'

declare const sealed: unique symbol
/** What an event says of a person, in base64url, for whoever has that person's key. */
export type SealedPersonal = string & { readonly [sealed]: true }

/** As `email`, `name`, `address` (where a call came from) and `user_agent`. */
export type PersonalFacts = Readonly<Record<string, string>>

export interface AboutPerson {
  /** By whose wish the facts go: the outside id of a person, an invitation or a key. */
  readonly subject: string
  /** Those that are null are not known. */
  readonly facts: Readonly<Record<string, string | null>>
  /** How long they have been known, in milliseconds; absent: as long as the transaction they are said in. Rather too long than too short. */
  readonly ageMs?: number
}

export interface PersonalSealer {
  /**
   * The facts for this event, whose action and target they are bound to. Undefined when none is known, for a subject that was forgotten since they were, in
   * an organization that is on its way out, and while they can't be sealed: an event says less then. The first of a subject makes its key, in the same
   * transaction; of several subjects, who seals in the order of their text waits for nobody who waits for it. @throws DatabaseError
   */
  seal(tx: TenantTx, event: Pick<AuditEvent, 'action' | 'target'>, about: AboutPerson): Promise<SealedPersonal | undefined>
}

export interface PersonalOpener {
  /** By the event's number what it says, for those events that say something still. */
  open(tx: TenantTx, events: readonly StoredAuditEvent[]): Promise<ReadonlyMap<bigint, PersonalFacts>>
}
