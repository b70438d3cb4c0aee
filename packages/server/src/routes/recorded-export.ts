/**
 * Owns how something is exported over HTTP: on record before the first byte goes out and again at its end with what went out, at most so often an hour,
 * and one at a time of an organization on each node, so that a few callers don't take all connections to the database. Refuses to let half an export look
 * whole: a failure in the middle cuts the answer, and an export that was broken off is on record as that.
 */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { formatId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { JsonObject } from '../audit/index.ts'
import { auditCountRecent } from '../db/index.ts'
import type { Database } from '../db/index.ts'
import { ProblemError } from '../http/index.ts'
import { principalRef } from '../identity/index.ts'
import type { Principal } from '../identity/index.ts'

interface ExportCall {
  readonly principal: Principal
  readonly ids: { readonly org: OrgId }
  readonly deps: { readonly database: Pick<Database, 'withTenant'> }
  readonly reply: FastifyReply
}

/** One kind of export. Made once for each, since it counts what is under way. */
export interface RecordedExport {
  /** What is exported, for people: `log`. */
  readonly what: string
  /** Of the events before the first byte and after the last. */
  readonly began: string
  readonly ended: string
  readonly perHour: number
  readonly underWay: Set<OrgId>
}

export interface ExportedText {
  readonly type: string
  readonly filename: string
  /** For the event before the first byte. */
  readonly detail: JsonObject
  /** For the one after the last, beside `rows` and `complete`. */
  readonly endDetail?: JsonObject
  /** The text in pieces, `count` called for each row that is in them. What it throws before that is the answer. */
  open(count: () => void): Promise<AsyncIterable<string>>
}

const HOUR_S = 3_600
const RETRY_S = 60

export function recordedExport(of: Omit<RecordedExport, 'underWay'>): RecordedExport {
  return { ...of, underWay: new Set() }
}

/** @throws ProblemError `rate_limited`, and whatever `open` throws */
export async function startExport(call: ExportCall, of: RecordedExport, text: ExportedText): Promise<Readable> {
  const { org } = call.ids
  if (of.underWay.has(org)) throw tooMany(`An export of this ${of.what} is under way on this node.`)
  of.underWay.add(org)
  try {
    await begin(call, of, text)
    let rows = 0
    const pieces = await text.open(() => (rows += 1))
    void call.reply.header('content-type', text.type)
    void call.reply.header('content-disposition', `attachment; filename="${text.filename}"`)
    const stream = Readable.from(
      recorded(call, of, text, pieces, () => rows),
      { objectMode: true, highWaterMark: 1 },
    )
    // Whatever becomes of it: a caller may be gone before the first byte.
    stream.once('close', () => of.underWay.delete(org))
    return stream
  } catch (error) {
    of.underWay.delete(org)
    throw error
  }
}

export function tooMany(detail: string): ProblemError {
  return new ProblemError('rate_limited', detail, { retryAfterS: RETRY_S })
}

function begin({ deps, ids, principal }: ExportCall, { began, what, perHour }: RecordedExport, { detail }: ExportedText): Promise<void> {
  return deps.database.withTenant(ids.org, async (tx) => {
    if ((await auditCountRecent(tx, began, HOUR_S)) >= perHour) throw tooMany(`This ${what} was exported ${perHour} times within an hour.`)
    await appendAudit(tx, { action: began, actor: principalRef(principal), target: formatId('org', ids.org), detail })
  })
}

async function* recorded(
  { deps, ids, principal }: ExportCall,
  { ended }: RecordedExport,
  { endDetail = {} }: ExportedText,
  pieces: AsyncIterable<string>,
  rows: () => number,
): AsyncGenerator<Buffer> {
  let complete = false
  try {
    for await (const piece of pieces) yield Buffer.from(piece, 'utf8')
    complete = true
  } finally {
    const event = { action: ended, actor: principalRef(principal), target: formatId('org', ids.org) }
    await deps.database.withTenant(ids.org, (tx) => appendAudit(tx, { ...event, detail: { ...endDetail, rows: rows(), complete } }))
  }
}
