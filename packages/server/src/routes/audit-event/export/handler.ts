import { Readable } from 'node:stream'
import { formatId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit, exportText, hasFilter } from '../../../audit/index.ts'
import { auditCountRecent } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'

const HOUR_S = 3_600
/** Of one organization. Each reads the whole log. */
const PER_HOUR = 20
const RETRY_S = 60
const ACTION = 'audit_log.exported'

type ExportCall = Call<'auditExport'>

/** Logs that are being exported here: one at a time each, so that a few callers don't take all connections to the database. */
const underWay = new Set<OrgId>()

/**
 * On record before the first byte goes out, and again at its end with what went out; an export that was broken off says so. A failure in the
 * middle cuts the answer: half a log never looks whole.
 */
export const auditExport = implement('auditExport', async (call) => {
  const { ids, query, reply } = call
  if (underWay.has(ids.org)) throw tooMany('An export of this log is under way on this node.')
  underWay.add(ids.org)
  try {
    await begin(call)
    const end = await call.deps.checkpointer.checkpoint(ids.org)
    if (end === undefined) throw tooMany('Another export of this log began at this moment.')
    const extension = query.format === 'csv' ? 'csv' : 'jsonl'
    void reply.header(
      'content-type',
      query.format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/jsonl; charset=utf-8',
    )
    void reply.header('content-disposition', `attachment; filename="audit-${formatId('org', ids.org)}.${extension}"`)
    const text = Readable.from(recorded(call, end.seq), { objectMode: true, highWaterMark: 1 })
    // Whatever becomes of it: a caller may be gone before the first byte.
    text.once('close', () => underWay.delete(ids.org))
    return text
  } catch (error) {
    underWay.delete(ids.org)
    throw error
  }
})

function begin({ deps, ids, principal, query }: ExportCall): Promise<void> {
  const { format, ...filter } = query
  const detail = {
    format,
    filter: Object.fromEntries(Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
  }
  return deps.database.withTenant(ids.org, async (tx) => {
    if ((await auditCountRecent(tx, ACTION, HOUR_S)) >= PER_HOUR) throw tooMany(`This log was exported ${PER_HOUR} times within an hour.`)
    await appendAudit(tx, { action: ACTION, actor: principalRef(principal), target: formatId('org', ids.org), detail })
  })
}

async function* recorded(call: ExportCall, through: bigint): AsyncGenerator<Buffer> {
  const { deps, ids, principal, query } = call
  const { format, ...filter } = query
  let rows = 0
  let complete = false
  try {
    const { checkpointer } = deps
    const keys = await checkpointer.keys()
    const wanted = {
      org: ids.org,
      through,
      filter,
      format,
      keys,
      opener: deps.personal,
      end: (end: Parameters<typeof checkpointer.exportEnd>[0]) => checkpointer.exportEnd(end),
    }
    for await (const piece of exportText(deps.database, wanted, () => (rows += 1))) {
      yield Buffer.from(piece, 'utf8')
    }
    complete = true
  } finally {
    const detail = { format, rows, complete, filtered: hasFilter(filter) }
    await deps.database.withTenant(ids.org, (tx) =>
      appendAudit(tx, { action: 'audit_log.export_ended', actor: principalRef(principal), target: formatId('org', ids.org), detail }),
    )
  }
}

function tooMany(detail: string): ProblemError {
  return new ProblemError('rate_limited', detail, { retryAfterS: RETRY_S })
}
