import { formatId } from '@sallyport/core'
import { implement } from '../../operation.ts'
import { recordedExport, startExport } from '../../recorded-export.ts'
import { organizationLines } from './lines.ts'

/** Each reads everything. */
const EXPORT = recordedExport({ what: 'organization', began: 'organization.exported', ended: 'organization.export_ended', perHour: 10 })

export const organizationExport = implement('organizationExport', (call) => {
  const { deps, ids, query } = call
  const requests = query.requests === 'true'
  return startExport(call, EXPORT, {
    type: 'application/jsonl; charset=utf-8',
    filename: `organization-${formatId('org', ids.org)}.jsonl`,
    detail: { requests },
    endDetail: { requests },
    open: (count) =>
      Promise.resolve(
        organizationLines(deps.database, { org: ids.org, publicUrl: deps.publicUrl, requests, at: new Date(deps.now()) }, count),
      ),
  })
})
