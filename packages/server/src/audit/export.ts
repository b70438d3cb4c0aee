/**
 * Owns an export of one organization's log as text: JSON Lines, which proves itself (see export-file.ts), and CSV for people. Refuses to hold
 * more than a page of it, and to hand a spreadsheet anything that it would compute.
 *
 * JSON Lines: the first line says what it is and lists the public keys, then events and checkpoints as `storedLog` orders them, and the last
 * line says, signed, that it is the last. An export made with a filter says so in its first line, and proves nothing as a whole.
 */
import { formatId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { auditEventListFiltered } from '../db/index.ts'
import type { AuditEventFilter, AuditSigningKey, Database, StoredAuditEvent } from '../db/index.ts'
import { checkpointLine } from './checkpoint.ts'
import { csvRow } from './csv.ts'
import type { ExportEnd } from './export-end.ts'
import { storedLog } from './stored-log.ts'

export type ExportFormat = 'jsonl' | 'csv'

export interface ExportWanted {
  readonly org: OrgId
  /** The last event that is exported. */
  readonly through: bigint
  readonly filter: AuditEventFilter
  readonly format: ExportFormat
  readonly keys: readonly AuditSigningKey[]
  /** Signs its end. */
  readonly end: (end: ExportEnd) => Promise<string>
}

export const EXPORT_VERSION = 1
const PAGE = 1_000
/** Text is handed on in pieces of about this many characters. */
const PIECE = 64 * 1024
const COLUMNS = ['seq', 'at', 'actor', 'action', 'target', 'detail', 'prev_hash', 'hash'] as const

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
export function eventLine({ seq, at, actor, action, target, detail, prevHash, hash }: StoredAuditEvent): string {
  const head = JSON.stringify({ type: 'event', seq: seq.toString(), at, actor, action, target })
  // Stored in the spelling that was hashed, which is JSON already.
  return `${head.slice(0, -1)},"detail":${detail},"prev_hash":"${prevHash.toString('hex')}","hash":"${hash.toString('hex')}"}`
}

async function* jsonLines(database: Pick<Database, 'withTenant'>, wanted: ExportWanted, onEvent: () => void): AsyncGenerator<string> {
  yield `${JSON.stringify(firstLine(wanted))}\n`
  let end: ExportEnd = { org: wanted.org, events: 0n, head: Buffer.alloc(32) }
  const told = (event: StoredAuditEvent): string => {
    end = { org: wanted.org, events: end.events + 1n, head: event.hash }
    onEvent()
    return `${eventLine(event)}\n`
  }
  if (hasFilter(wanted.filter)) {
    for await (const event of filteredEvents(database, wanted)) yield told(event)
  } else {
    for await (const entry of storedLog(database, wanted.org, wanted.through)) {
      if ('event' in entry) yield told(entry.event)
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
  for await (const { seq, at, actor, action, target, detail, prevHash, hash } of filteredEvents(database, wanted)) {
    onEvent()
    yield csvRow([seq.toString(), at, actor, action, target, detail, prevHash.toString('hex'), hash.toString('hex')])
  }
}

async function* filteredEvents(
  database: Pick<Database, 'withTenant'>,
  { org, through, filter }: ExportWanted,
): AsyncGenerator<StoredAuditEvent> {
  for (let after = 0n; ;) {
    const page = await database.withTenant(org, (tx) => auditEventListFiltered(tx, filter, { after, limit: PAGE }, 'ascending'))
    for (const event of page) if (event.seq <= through) yield event
    const last = page.at(-1)
    if (page.length < PAGE || last === undefined || last.seq >= through) return
    after = last.seq
  }
}

export function hasFilter(filter: AuditEventFilter): boolean {
  return Object.values(filter).some((value) => value !== undefined)
}
