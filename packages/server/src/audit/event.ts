/** Owns what an event says, and its form for the log. Refuses text the log can't hold, before it can block what is queued behind it. */
import { auditAppend } from '../db/index.ts'
import type { NewAuditEvent, TenantTx } from '../db/index.ts'
import { canonicalJson } from './canonical-json.ts'
import type { JsonObject } from './canonical-json.ts'
import type { SealedPersonal } from './personal.ts'

export interface AuditEvent {
  /** `noun.verb`. */
  readonly action: string
  /** `key_...`, `user_...` or `system`. */
  readonly actor: string
  /** What it was done to, by its outside id. */
  readonly target: string
  /** Facts; never a secret, a body or a query, and nothing of a person but ids of ours: it stays for ever. */
  readonly detail: JsonObject
  /** What it says of a person, as `PersonalSealer.seal` gave it. */
  readonly personal?: SealedPersonal | undefined
}

/**
 * Appends in the transaction of the change itself: both happen or neither. Call it last, because it holds the organization's log until
 * the transaction ends. @throws TypeError for an event the log can't hold; DatabaseError.
 */
export async function appendAudit(tx: TenantTx, ...events: readonly AuditEvent[]): Promise<void> {
  if (events.length > 0) await auditAppend(tx, events.map(storable))
}

/** Events that one statement appends. */
const BATCH = 1_000

/** The same of however many there are, one behind the other in this transaction. */
export async function appendAuditAll(tx: TenantTx, events: readonly AuditEvent[]): Promise<void> {
  for (let at = 0; at < events.length; at += BATCH) await appendAudit(tx, ...events.slice(at, at + BATCH))
}

/** @throws TypeError for empty or malformed text, and as `canonicalJson` does. */
export function storable({ action, actor, target, detail, personal }: AuditEvent): NewAuditEvent {
  const event = {
    action: text(action, 'action'),
    actor: text(actor, 'actor'),
    target: text(target, 'target'),
    detail: canonicalJson(detail),
  }
  return personal === undefined ? event : { ...event, personal }
}

function text(value: string, name: string): string {
  if (value === '' || value.includes('\0') || !value.isWellFormed()) throw new TypeError(`${name} of an audit event is empty or malformed`)
  return value
}
