/**
 * Owns proving an export, or reading a file of checkpoints, that lies outside the database: by nothing but its own lines and a public key.
 * Refuses a line in any other spelling than it was written in, and an export that was made with a filter, which can't be whole.
 */
import { createReadStream } from 'node:fs'
import { ed25519Verifier, parseId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import type { StoredAuditEvent, StoredCheckpoint } from '../db/index.ts'
import { AuditError } from './audit-error.ts'
import { canonicalJson } from './canonical-json.ts'
import type { JsonValue } from './canonical-json.ts'
import { formOf, verifyLog } from './chain.ts'
import type { AuditVerification, LogEntry, OutsideCheckpoints } from './chain.ts'
import { checkpointDigest, checkpointLine, checkpointStatement, decimal, digest, MOMENT, readCheckpoint } from './checkpoint.ts'
import { behindOpened, endStatement, exportBeginning, readEnd } from './export-end.ts'
import type { ExportEnd } from './export-end.ts'
import { EXPORT_VERSION, eventLine, openedLine } from './export.ts'
import type { PersonalFacts } from './personal.ts'

export type Lines = AsyncIterable<string>
export type OutsideByOrganization = ReadonlyMap<OrgId, OutsideCheckpoints>

/** Lines of a text file, without their ends. They end in a line feed and nothing else: Unicode's own separators may stand in a text. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

/** A public key as it is published: 43 digits of base64url. @throws AuditError `export_unreadable`. */
export function readPublicKey(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== 32 || bytes.toString('base64url') !== text)
    throw new AuditError('export_unreadable', 'a public key is 43 digits of base64url')
  return bytes
}

/**
 * Proves an export in JSON Lines.
 * @param trusted public keys of which one must have signed its end
 * @throws AuditError `export_unreadable` for what is no export, or a filtered one.
 */
export async function verifyExport(
  lines: Lines,
  trusted: readonly Buffer[],
  outside?: OutsideByOrganization,
): Promise<AuditVerification & { readonly org: OrgId }> {
  const reading = lines[Symbol.asyncIterator]()
  const first = await reading.next()
  const { org, keys, version } = readFirst(first.done === true ? '' : first.value)
  const known = outside?.get(org)
  const options = { org, keys, trusted, endsVouched: true, ...(known === undefined ? {} : { outside: known }) }
  const rest = { [Symbol.asyncIterator]: () => reading }
  return { ...(await verifyLog(entriesOf(rest, exportBeginning(org, version), believed(keys, trusted)), options)), org }
}

/** Public keys by id, as an export lists them: to be believed no more than it is. @throws AuditError `export_unreadable`. */
export async function readExportKeys(lines: Lines): Promise<ReadonlyMap<string, Buffer>> {
  for await (const line of lines) return readFirst(line).keys
  return readFirst('').keys
}

/**
 * Checkpoints that a gateway wrote outside, by organization, if they are signed by one of `keys`. `unreadable`: lines that are none, as a crash in
 * the middle of writing leaves one.
 */
export async function readCheckpoints(
  files: readonly Lines[],
  keys: ReadonlyMap<string, Buffer>,
): Promise<{ readonly byOrganization: OutsideByOrganization; readonly unreadable: number }> {
  const byOrganization = new Map<OrgId, Map<bigint, { seq: bigint; digest: Buffer }>>()
  const verifiers = new Map([...keys].map(([id, key]) => [id, ed25519Verifier(key)]))
  let unreadable = 0
  for (const lines of files) {
    for await (const line of lines) {
      if (line === '') continue
      const found = checkpointOf(line)
      if (found === undefined || verifiers.get(found.key)?.verify(checkpointStatement(found), found.signature) !== true) {
        unreadable += 1
        continue
      }
      const known = byOrganization.get(found.org) ?? new Map<bigint, { seq: bigint; digest: Buffer }>()
      known.set(found.number, { seq: found.seq, digest: checkpointDigest(found) })
      byOrganization.set(found.org, known)
    }
  }
  return { byOrganization, unreadable }
}

function readFirst(line: string): { org: OrgId; keys: ReadonlyMap<string, Buffer>; version: 1 | 2 } {
  const said = parsed(line)
  const org = parseId('org', String(said?.['org']))
  const listed = said?.['keys']
  const version = said?.['version']
  const isRead = version === EXPORT_VERSION || version === 1
  if (said?.['type'] !== 'sallyport-audit-export' || !isRead || org === undefined || !Array.isArray(listed)) {
    throw new AuditError('export_unreadable', 'this is no export of an audit log in JSON Lines, or one of a newer version')
  }
  if (said['filtered'] !== false) {
    throw new AuditError('export_unreadable', 'this export was made with a filter, so that nothing can prove it whole: export without one')
  }
  if (JSON.stringify(said) !== line)
    throw new AuditError('export_unreadable', 'the first line of this export is in another spelling than it was written in')
  const keys = (listed as readonly { id?: unknown; public_key?: unknown }[]).map(
    ({ id, public_key: key }) => [String(id), readPublicKey(String(key))] as const,
  )
  return { org, keys: new Map(keys), version }
}

/** Of the keys that an export lists, those that were believed before. */
function believed(keys: ReadonlyMap<string, Buffer>, trusted: readonly Buffer[]): ReadonlyMap<string, Buffer> {
  return new Map([...keys].filter(([, key]) => trusted.some((one) => one.equals(key))))
}

/** @param keys of which one must have signed the end */
async function* entriesOf(lines: Lines, beginning: ExportEnd, keys: ReadonlyMap<string, Buffer>): AsyncGenerator<LogEntry> {
  let end = beginning
  let ended = false
  /** The event before this line, when it says something of a person. */
  let about: bigint | undefined
  for await (const line of lines) {
    // Nothing stands behind the end.
    if (ended) yield { fault: 'unfinished' }
    const said = readEnd(line, end)
    ended = said !== undefined
    if (said !== undefined) {
      if (!isSigned(said, end, keys)) yield { fault: 'signature' }
      continue
    }
    if (about !== undefined && end.opened !== null && isOpened(line, about)) {
      end = behindOpened(end, line)
      about = undefined
      continue
    }
    const entry = entryOf(end.org, line)
    about = undefined
    if ('event' in entry) {
      end = { ...end, events: end.events + 1n, head: entry.event.hash }
      if (entry.event.personal !== null) about = entry.event.seq
    }
    yield entry
  }
  if (!ended) yield { fault: 'unfinished' }
}

function isSigned(by: { readonly key: string; readonly signature: Buffer }, end: ExportEnd, keys: ReadonlyMap<string, Buffer>): boolean {
  const key = keys.get(by.key)
  return key !== undefined && ed25519Verifier(key).verify(endStatement(end, by.key), by.signature)
}

function entryOf(org: OrgId, line: string): LogEntry {
  const checkpoint = checkpointOf(line)
  if (checkpoint !== undefined) return { checkpoint }
  const event = eventOf(org, line)
  return event === undefined ? { fault: 'content' } : { event }
}

/** Whether the line says what was opened of the event before it. */
function isOpened(line: string, seq: bigint): boolean {
  const facts = parsed(line)?.['facts']
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return false
  return Object.values(facts).every((value) => typeof value === 'string') && openedLine(seq, facts as PersonalFacts) === line
}

function checkpointOf(line: string): StoredCheckpoint | undefined {
  const found = readCheckpoint(parsed(line))
  return found !== undefined && checkpointLine(found) === line ? found : undefined
}

function eventOf(org: OrgId, line: string): StoredAuditEvent | undefined {
  const said = parsed(line)
  const text = (name: string): string => String(said?.[name])
  const [seq, prevHash, hash, at] = [decimal(text('seq')), digest(text('prev_hash')), digest(text('hash')), text('at')]
  if (seq === undefined || prevHash === undefined || hash === undefined || !MOMENT.test(at)) return undefined
  try {
    const detail = canonicalJson(said?.['detail'] as JsonValue)
    const personal = said?.['personal'] === undefined ? null : text('personal')
    const named = { action: text('action'), actor: text('actor'), target: text('target') }
    const event = { org, seq, at, ...named, detail, form: formOf(personal), personal, prevHash, hash }
    return eventLine(event) === line ? event : undefined
  } catch {
    // No value of JSON that the log could hold.
    return undefined
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    // What is no JSON is no line of ours.
    return undefined
  }
}
