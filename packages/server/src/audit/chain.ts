/**
 * Owns the proof that an audit log is whole. Refuses to trust a stored hash: everything is computed again from what the event says.
 *
 *   hash = SHA-256( "sallyport/audit/1" 0x00 | prev_hash, 32 bytes | canonical event )
 *
 * The canonical event is RFC 8785 JSON of action, actor, at, detail, org, seq and target; see 0004_audit.sql, which computes the same.
 */
import { sha256 } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { auditEventListAscending, auditEndFind } from '../db/index.ts'
import type { AuditHead, Database, StoredAuditEvent } from '../db/index.ts'

export interface AuditFault {
  readonly seq: bigint
  /** `gap`: an event is missing before it. `link`: it does not follow the one before. `content`: it says other than was hashed. `head`: the log's counter knows of another end. */
  readonly reason: 'gap' | 'link' | 'content' | 'head'
}

export interface AuditVerification {
  readonly intact: boolean
  /** Events that were read; up to the fault, when there is one. */
  readonly events: bigint
  /** Hash of the last event that was found whole; null when there was none. */
  readonly head: Buffer | null
  readonly firstFault: AuditFault | null
}

const DOMAIN = Buffer.from('sallyport/audit/1\0', 'latin1')
const FIRST_PREVIOUS = Buffer.alloc(32)
const PAGE = 1_000

/** The hash that this event must have. */
export function auditEventHash(event: StoredAuditEvent): Buffer {
  const member = (name: string, value: string) => `"${name}":${JSON.stringify(value)}`
  const { action, actor, at, detail, org, seq, target } = event
  const members = [member('action', action), member('actor', actor), member('at', at), `"detail":${detail}`]
  const canonical = `{${[...members, member('org', org), member('seq', seq.toString()), member('target', target)].join(',')}}`
  return sha256(DOMAIN, event.prevHash, canonical)
}

/**
 * Walks events of one organization in ascending order from the first, and stops at the first fault. `head`: where the log says it ends;
 * without it a cut tail can't be noticed.
 */
export async function verifyChain(events: AsyncIterable<StoredAuditEvent>, head?: AuditHead): Promise<AuditVerification> {
  let seq = 0n
  let hash: Buffer = FIRST_PREVIOUS
  const fault = (at: bigint, reason: AuditFault['reason']): AuditVerification => ({
    intact: false,
    events: seq,
    head: seq === 0n ? null : hash,
    firstFault: { seq: at, reason },
  })
  for await (const event of events) {
    const reason = judge(event, seq, hash)
    if (reason !== undefined) return fault(event.seq, reason)
    seq = event.seq
    hash = event.hash
  }
  if (head !== undefined && (head.seq !== seq || !head.hash.equals(hash))) return fault(head.seq, 'head')
  return { intact: true, events: seq, head: seq === 0n ? null : hash, firstFault: null }
}

/** Reads the whole log in pages; events appended meanwhile are left to the next time. @throws DatabaseError. */
export async function verifyOrganization(database: Pick<Database, 'withTenant'>, org: OrgId): Promise<AuditVerification> {
  const { head, last } = await database.withTenant(org, auditEndFind)
  // Events beyond the counter are read as well: nobody appends them by the one way there is.
  return verifyChain(readThrough(database, org, last ?? 0n), head ?? { seq: 0n, hash: FIRST_PREVIOUS })
}

function judge(event: StoredAuditEvent, seq: bigint, hash: Buffer): AuditFault['reason'] | undefined {
  if (event.seq !== seq + 1n) return 'gap'
  if (!event.prevHash.equals(hash)) return 'link'
  return auditEventHash(event).equals(event.hash) ? undefined : 'content'
}

async function* readThrough(database: Pick<Database, 'withTenant'>, org: OrgId, last: bigint): AsyncGenerator<StoredAuditEvent> {
  for (let after = 0n; after < last;) {
    const page = await database.withTenant(org, (tx) => auditEventListAscending(tx, { after, limit: PAGE }))
    for (const event of page) if (event.seq <= last) yield event
    if (page.length < PAGE) return
    after = page.at(-1)!.seq
  }
}
