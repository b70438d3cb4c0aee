/**
 * Owns the last line of an export: that it is whole, signed. Without it a log could be cut behind any checkpoint and pass for all of it.
 *
 *   statement = "sallyport/audit-export/2" 0x00 | RFC 8785 JSON of events, head, key, opened and org
 *
 * `events` is how many events the export has, as decimal text; `head` the last one's hash, zeroes for none; `org` the UUID. `opened` is a digest of all
 * lines that say what was opened of personal facts, which no hash of an event covers:
 *
 *   opened = SHA-256( opened before, 32 bytes | line ), zeroes before the first
 *
 * Exports of version 1 have neither such lines nor `opened`, and "1" in the statement.
 */
import { sha256 } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { canonicalJson } from './canonical-json.ts'
import type { CurrentSigner } from './signing-keys.ts'

export interface ExportEnd {
  readonly org: OrgId
  readonly events: bigint
  /** 32 bytes. */
  readonly head: Buffer
  /** 32 bytes; null in an export of version 1. */
  readonly opened: Buffer | null
}

/** The end of an export in which nothing stands yet. */
export function exportBeginning(org: OrgId, version: 1 | 2 = 2): ExportEnd {
  return { org, events: 0n, head: Buffer.alloc(32), opened: version === 1 ? null : Buffer.alloc(32) }
}

/** The end behind another line of opened facts. */
export function behindOpened(end: ExportEnd, line: string): ExportEnd {
  return { ...end, opened: sha256(end.opened ?? Buffer.alloc(32), line) }
}

export function endStatement({ org, events, head, opened }: ExportEnd, key: string): Buffer {
  const said = { events: events.toString(), head: head.toString('hex'), key, ...(opened && { opened: opened.toString('hex') }), org }
  const domain = `sallyport/audit-export/${opened === null ? 1 : 2}\0`
  return Buffer.concat([Buffer.from(domain, 'latin1'), Buffer.from(canonicalJson(said), 'utf8')])
}

export function endLine(end: ExportEnd, { id, signer }: CurrentSigner): string {
  return spelled(end, id, signer.sign(endStatement(end, id)))
}

/** Who signed `line`, when it is the last line of exactly this export; else undefined. Whether the signature is theirs is the caller's to check. */
export function readEnd(line: string, end: ExportEnd): { readonly key: string; readonly signature: Buffer } | undefined {
  const [, key = '', text = ''] = /"key":"([0-9A-Za-z-]{1,64})","signature":"([\w-]{86})"\}$/u.exec(line) ?? []
  const signature = Buffer.from(text, 'base64url')
  return spelled(end, key, signature) === line ? { key, signature } : undefined
}

function spelled({ events, head, opened }: ExportEnd, key: string, signature: Buffer): string {
  return JSON.stringify({
    type: 'end',
    events: events.toString(),
    head: head.toString('hex'),
    ...(opened && { opened: opened.toString('hex') }),
    key,
    signature: signature.toString('base64url'),
  })
}
