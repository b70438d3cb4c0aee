/**
 * Owns an export of one organization's log as text: JSON Lines, which proves itself (see export-file.ts), and CSV for people. Refuses to hold
 * more than a page of it, and to hand a spreadsheet anything that it would compute.
 *
 * JSON Lines: the first line says what it is and lists the public keys, then events and checkpoints as `storedLog` orders them, and the last
 * line says, signed, that it is the last. Behind an event that says something of a person stands a line with what was opened of it, if anything still
 * opens. An export made with a filter says so in its first line, and proves nothing as a whole.
 */
import { formatId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { auditEventListFiltered } from '../db/index.ts'
import type { AuditEventFilter, AuditSigningKey, Database, StoredAuditEvent } from '../db/index.ts'
import { canonicalJson } from './canonical-json.ts'
import { checkpointLine } from './checkpoint.ts'
import { csvRow } from './csv.ts'
import { behindOpened, exportBeginning } from './export-end.ts'
import type { ExportEnd } from './export-end.ts'
import type { PersonalFacts, PersonalOpener } from './personal.ts'
import { storedLog, withFacts } from './stored-log.ts'
import type { OpenedEvent } from './stored-log.ts'

export type ExportFormat = 'jsonl' | 'csv'

export interface ExportWanted {
  readonly org: OrgId
  /** The last event that is exported. */
  readonly through: bigint
  readonly filter: AuditEventFilter
  readonly format: ExportFormat
  readonly keys: readonly AuditSigningKey[]
  /** Opens what it says of people. */
  readonly opener: PersonalOpener
  /** Signs its end. */
  readonly end: (end: ExportEnd) => Promise<string>
}

export const EXPORT_VERSION = 2
const PAGE = 1_000
/** Text is handed on in pieces of about this many characters. */
const PIECE = 64 * 1024
const COLUMNS = ['seq', 'at', 'actor', 'action', 'target', 'detail', 'personal', 'prev_hash', 'hash'] as const

/** The text in pieces. `onEvent` is told of each event that was handed on. @throws DatabaseError. */
export async function* exportText(
  database: Pick<Database, 'withTenant'>,
  wanted: ExportWanted,
  onEvent: () => void,
): AsyncGenerator<string> {
  let piece = ''
  const lines = wanted.format === 'csv' ? csvLines(database, wanted, onEvent) : jsonLines(database, wanted, onEvent)
  for await (const line of lines) {
    piece += line
    if (piece.length < PIECE) continue
    yield piece
    piece = ''
  }
  yield piece
}

/** One line of an export, without its end: the one spelling that a verifier takes. */
export function eventLine({ seq, at, actor, action, target, detail, personal, prevHash, hash }: StoredAuditEvent): string {
  const head = JSON.stringify({ type: 'event', seq: seq.toString(), at, actor, action, target })
  const sealed = personal === null ? '' : `,"personal":${JSON.stringify(personal)}`
  // Stored in the spelling that was hashed, which is JSON already.
  return `${head.slice(0, -1)},"detail":${detail}${sealed},"prev_hash":"${prevHash.toString('hex')}","hash":"${hash.toString('hex')}"}`
}

/** What was opened of the personal facts of an event, behind it. */
export function openedLine(seq: bigint, facts: PersonalFacts): string {
  return `{"type":"opened","seq":"${seq}","facts":${canonicalJson(facts)}}`
}

async function* jsonLines(database: Pick<Database, 'withTenant'>, wanted: ExportWanted, onEvent: () => void): AsyncGenerator<string> {
  yield `${JSON.stringify(firstLine(wanted))}\n`
  let end = exportBeginning(wanted.org)
  const told = (event: StoredAuditEvent, facts: PersonalFacts | undefined): string => {
    end = { ...end, events: end.events + 1n, head: event.hash }
    onEvent()
    if (facts === undefined) return `${eventLine(event)}\n`
    const opened = openedLine(event.seq, facts)
    end = behindOpened(end, opened)
    return `${eventLine(event)}\n${opened}\n`
  }
  if (hasFilter(wanted.filter)) {
    for await (const { event, facts } of filteredEvents(database, wanted)) yield told(event, facts)
  } else {
    for await (const entry of storedLog(database, wanted.org, wanted.through, wanted.opener)) {
      if ('event' in entry) yield told(entry.event, entry.facts)
      else if ('checkpoint' in entry) yield `${checkpointLine(entry.checkpoint)}\n`
    }
  }
  yield `${await wanted.end(end)}\n`
}

function firstLine({ org, filter, keys }: ExportWanted): object {
  return {
    type: 'sallyport-audit-export',
    version: EXPORT_VERSION,
    org: formatId('org', org),
    filtered: hasFilter(filter),
    keys: keys.map(({ id, publicKey }) => ({ id, public_key: publicKey.toString('base64url') })),
  }
}

async function* csvLines(database: Pick<Database, 'withTenant'>, wanted: ExportWanted, onEvent: () => void): AsyncGenerator<string> {
  yield csvRow(COLUMNS)
  for await (const { event, facts } of filteredEvents(database, wanted)) {
    onEvent()
    const { seq, at, actor, action, target, detail, prevHash, hash } = event
    const personal = facts === undefined ? '' : canonicalJson(facts)
    yield csvRow([seq.toString(), at, actor, action, target, detail, personal, prevHash.toString('hex'), hash.toString('hex')])
  }
}

async function* filteredEvents(
  database: Pick<Database, 'withTenant'>,
  { org, through, filter, opener }: ExportWanted,
): AsyncGenerator<OpenedEvent> {
  for (let after = 0n; ;) {
    const page = await database.withTenant(org, async (tx) =>
      withFacts(tx, await auditEventListFiltered(tx, filter, { after, limit: PAGE }, 'ascending'), opener),
    )
    for (const each of page) if (each.event.seq <= through) yield each
    const last = page.at(-1)?.event
    if (page.length < PAGE || last === undefined || last.seq >= through) return
    after = last.seq
  }
}

export function hasFilter(filter: AuditEventFilter): boolean {
  return Object.values(filter).some((value) => value !== undefined)
}
