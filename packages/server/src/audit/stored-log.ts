/** Owns reading one organization's stored log through, in the order in which it is proven and exported. Refuses to hold more than two pages of it. */
import type { OrgId } from '@sallyport/core'
import { auditEndFind, auditEventListAscending, checkpointListAscending } from '../db/index.ts'
import type { AuditHead, Database, StoredAuditEvent, StoredCheckpoint } from '../db/index.ts'
import { verifyLog } from './chain.ts'
import type { AuditVerification, LogEntry, OutsideCheckpoints } from './chain.ts'
import { signingKeys } from './signing-keys.ts'

type Reading = Pick<Database, 'withTenant'>

const PAGE = 1_000
const EMPTY: AuditHead = { seq: 0n, hash: Buffer.alloc(32) }

export interface BelievedInstead {
  /** Public keys of which one must have signed the last checkpoint; absent: those of the database are believed. */
  readonly trusted?: readonly Buffer[]
  readonly outside?: OutsideCheckpoints
}

/** Reads the whole log; what is appended meanwhile is left to the next time. @throws DatabaseError. */
export async function verifyOrganization(database: Reading, org: OrgId, believed: BelievedInstead = {}): Promise<AuditVerification> {
  const keys = new Map((await signingKeys({ database })).map(({ id, publicKey }) => [id, publicKey]))
  const { head, last } = await database.withTenant(org, auditEndFind)
  // Events beyond the counter are read as well: nobody appends them by the one way there is.
  const entries = storedLog(database, org, last ?? 0n)
  return verifyLog(entries, { org, head: head ?? EMPTY, keys, ...believed })
}

/** Events up to `through`, each checkpoint behind its event. Checkpoints for events that are missing come last. */
export async function* storedLog(database: Reading, org: OrgId, through: bigint): AsyncGenerator<LogEntry> {
  const checkpoints = storedCheckpoints(database, org)[Symbol.asyncIterator]()
  let next = await checkpoints.next()
  for await (const event of storedEvents(database, org, through)) {
    yield { event }
    while (next.done !== true && next.value.seq <= event.seq) {
      yield { checkpoint: next.value }
      next = await checkpoints.next()
    }
  }
  // Appended after `through` was asked for: they vouch for what is not read here, and are no news of this walk.
  const { last } = next.done === true ? { last: null } : await database.withTenant(org, auditEndFind)
  for (; next.done !== true; next = await checkpoints.next()) {
    if (next.value.seq <= through || last === null || next.value.seq > last) yield { checkpoint: next.value }
  }
}

async function* storedEvents(database: Reading, org: OrgId, last: bigint): AsyncGenerator<StoredAuditEvent> {
  for (let after = 0n; after < last;) {
    const page = await database.withTenant(org, (tx) => auditEventListAscending(tx, { after, limit: PAGE }))
    for (const event of page) if (event.seq <= last) yield event
    if (page.length < PAGE) return
    after = page.at(-1)!.seq
  }
}

async function* storedCheckpoints(database: Reading, org: OrgId): AsyncGenerator<StoredCheckpoint> {
  for (let after = 0n; ;) {
    const page = await database.withTenant(org, (tx) => checkpointListAscending(tx, { after, limit: PAGE }))
    yield* page
    if (page.length < PAGE) return
    after = page.at(-1)!.number
  }
}
