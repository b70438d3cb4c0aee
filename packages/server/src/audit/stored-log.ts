/** Owns reading one organization's stored log through, in the order in which it is proven and exported. Refuses to hold more than two pages of it. */
import type { OrgId } from '@sallyport/core'
import { auditEndFind, auditEventListAscending, checkpointListAscending } from '../db/index.ts'
import type { AuditHead, Database, StoredAuditEvent, StoredCheckpoint, TenantTx } from '../db/index.ts'
import { verifyLog } from './chain.ts'
import type { AuditVerification, LogEntry, OutsideCheckpoints } from './chain.ts'
import type { PersonalFacts, PersonalOpener } from './personal.ts'
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

/**
 * Events up to `through`, each checkpoint behind its event. Checkpoints for events that are missing come last.
 * @param opener opens what they say of people; absent: it stays sealed
 */
export async function* storedLog(database: Reading, org: OrgId, through: bigint, opener?: PersonalOpener): AsyncGenerator<LogEntry> {
  const checkpoints = storedCheckpoints(database, org)[Symbol.asyncIterator]()
  let next = await checkpoints.next()
  for await (const { event, facts } of storedEvents(database, org, through, opener)) {
    yield { event, facts }
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

/** `facts`: what it says of a person; undefined for nothing, and for what was forgotten. */
export interface OpenedEvent {
  readonly event: StoredAuditEvent
  readonly facts: PersonalFacts | undefined
}

async function* storedEvents(database: Reading, org: OrgId, last: bigint, opener: PersonalOpener | undefined): AsyncGenerator<OpenedEvent> {
  for (let after = 0n; after < last;) {
    const page = await database.withTenant(org, async (tx) =>
      withFacts(tx, await auditEventListAscending(tx, { after, limit: PAGE }), opener),
    )
    for (const each of page) if (each.event.seq <= last) yield each
    if (page.length < PAGE) return
    after = page.at(-1)!.event.seq
  }
}

/** Each event with what it says of a person, where that can be opened. */
export async function withFacts(
  tx: TenantTx,
  events: readonly StoredAuditEvent[],
  opener: PersonalOpener | undefined,
): Promise<OpenedEvent[]> {
  const isAbout = opener !== undefined && events.some(({ personal }) => personal !== null)
  const opened = isAbout ? await opener.open(tx, events) : undefined
  return events.map((event) => ({ event, facts: opened?.get(event.seq) }))
}

async function* storedCheckpoints(database: Reading, org: OrgId): AsyncGenerator<StoredCheckpoint> {
  for (let after = 0n; ;) {
    const page = await database.withTenant(org, (tx) => checkpointListAscending(tx, { after, limit: PAGE }))
    yield* page
    if (page.length < PAGE) return
    after = page.at(-1)!.number
  }
}
