/**
 * Owns what a checkpoint says, byte by byte, and how it is written outside the database. Refuses to sign or to believe any other spelling.
 *
 *   statement = "sallyport/audit-checkpoint/1" 0x00 | RFC 8785 JSON of at, hash, key, number, org, previous and seq
 *   digest    = SHA-256( statement | signature, 64 bytes )      what the next checkpoint names as `previous`
 *
 * `number` and `seq` are decimal texts, `hash` and `previous` hex, `org` the UUID, as in the events themselves.
 */
import { formatId, parseId, sha256 } from '@sallyport/core'
import type { StoredCheckpoint } from '../db/index.ts'
import { canonicalJson } from './canonical-json.ts'

/** What is signed. */
export type CheckpointStatement = Omit<StoredCheckpoint, 'signature'>

const DOMAIN = Buffer.from('sallyport/audit-checkpoint/1\0', 'latin1')

export function checkpointStatement({ at, hash, key, number, org, previous, seq }: CheckpointStatement): Buffer {
  const said = {
    at,
    hash: hash.toString('hex'),
    key,
    number: number.toString(),
    org,
    previous: previous.toString('hex'),
    seq: seq.toString(),
  }
  return Buffer.concat([DOMAIN, Buffer.from(canonicalJson(said), 'utf8')])
}

export function checkpointDigest(checkpoint: StoredCheckpoint): Buffer {
  return sha256(checkpointStatement(checkpoint), checkpoint.signature)
}

/** One line of a file or a log, without its end. */
export function checkpointLine(checkpoint: StoredCheckpoint): string {
  return JSON.stringify({ type: 'checkpoint', ...checkpointJson(checkpoint) })
}

export function checkpointJson({ org, number, seq, hash, at, previous, key, signature }: StoredCheckpoint) {
  return {
    org: formatId('org', org),
    number: number.toString(),
    seq: seq.toString(),
    hash: hash.toString('hex'),
    at,
    previous: previous.toString('hex'),
    key,
    signature: signature.toString('base64url'),
  }
}

/** Back from a parsed line; undefined for what has not exactly the form. Whether it is true is told by its signature. */
export function readCheckpoint(value: unknown): StoredCheckpoint | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const text = (name: string): string => {
    const found: unknown = (value as Record<string, unknown>)[name]
    return typeof found === 'string' ? found : ''
  }
  const org = parseId('org', text('org'))
  const [number, seq] = [decimal(text('number')), decimal(text('seq'))]
  const [hash, previous] = [digest(text('hash')), digest(text('previous'))]
  const [at, key, signature] = [text('at'), text('key'), Buffer.from(text('signature'), 'base64url')]
  if (org === undefined || number === undefined || seq === undefined || hash === undefined || previous === undefined) return undefined
  if (!MOMENT.test(at) || key === '' || signature.length !== 64) return undefined
  return { org, number, seq, hash, at, previous, key, signature }
}

export const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/u

/** A positive number below 2^63, in its one spelling. */
export function decimal(text: string): bigint | undefined {
  return /^[1-9]\d{0,18}$/u.test(text) ? BigInt(text) : undefined
}

/** 32 bytes from their hex. */
export function digest(text: string): Buffer | undefined {
  return /^[0-9a-f]{64}$/u.test(text) ? Buffer.from(text, 'hex') : undefined
}
