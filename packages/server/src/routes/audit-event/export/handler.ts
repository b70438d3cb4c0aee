import { formatId } from '@sallyport/core'
import { exportText, hasFilter } from '../../../audit/index.ts'
import { implement } from '../../operation.ts'
import { recordedExport, startExport, tooMany } from '../../recorded-export.ts'

/** Each reads the whole log. */
const EXPORT = recordedExport({ what: 'log', began: 'audit_log.exported', ended: 'audit_log.export_ended', perHour: 20 })

export const auditExport = implement('auditExport', (call) => {
  const { deps, ids, query } = call
  const { format, ...filter } = query
  const isCsv = format === 'csv'
  const set = Object.fromEntries(Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
  return startExport(call, EXPORT, {
    type: isCsv ? 'text/csv; charset=utf-8; header=present' : 'application/jsonl; charset=utf-8',
    filename: `audit-${formatId('org', ids.org)}.${isCsv ? 'csv' : 'jsonl'}`,
    detail: { format, filter: set },
    endDetail: { format, filtered: hasFilter(filter) },
    async open(count) {
      const { checkpointer } = deps
      const end = await checkpointer.checkpoint(ids.org)
      if (end === undefined) throw tooMany('Another export of this log began at this moment.')
      const keys = await checkpointer.keys()
      const signEnd = (its: Parameters<typeof checkpointer.exportEnd>[0]) => checkpointer.exportEnd(its)
      return exportText(deps.database, { org: ids.org, through: end.seq, filter, format, keys, opener: deps.personal, end: signEnd }, count)
    },
  })
})
