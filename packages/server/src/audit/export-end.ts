/**
 * Owns the last line of an export: that it is whole, signed. Without it a log could be cut behind any checkpoint and pass for all of it.
 *
 *   statement = "sallyport/audit-export/1" 0x00 | RFC 8785 JSON of events, head, key and org
 *
 * `events` is how many events the export has, as decimal text; `head` the last one's hash, zeroes for none; `org` the UUID.
 */
import type { OrgId } from '@sallyport/core'
import { canonicalJson } from './canonical-json.ts'
import type { CurrentSigner } from './signing-keys.ts'

export interface ExportEnd {
  readonly org: OrgId
  readonly events: bigint
  /** 32 bytes. */
  readonly head: Buffer
}

const DOMAIN = Buffer.from('sallyport/audit-export/1\0', 'latin1')

export function endStatement({ org, events, head }: ExportEnd, key: string): Buffer {
  return Buffer.concat([DOMAIN, Buffer.from(canonicalJson({ events: events.toString(), head: head.toString('hex'), key, org }), 'utf8')])
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

function spelled({ events, head }: ExportEnd, key: string, signature: Buffer): string {
  return JSON.stringify({
    type: 'end',
    events: events.toString(),
    head: head.toString('hex'),
    key,
    signature: signature.toString('base64url'),
  })
}
