import { formatId, usdOf } from '@sallyport/core'
import type { OrgId, UsageId } from '@sallyport/core'
import { csvRow } from '../../../audit/index.ts'
import { usageList } from '../../../db/index.ts'
import type { Database, UsageRow, UsageSpan } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { recordedExport, startExport } from '../../recorded-export.ts'

const EXPORT = recordedExport({ what: 'use of models', began: 'usage.exported', ended: 'usage.export_ended', perHour: 20 })
const PAGE = 500

export const usageExport = implement('usageExport', (call) => {
  const { deps, ids, query } = call
  const { from, until } = query
  const filter = { from: from === undefined ? undefined : new Date(from), until: until === undefined ? undefined : new Date(until) }
  return startExport(call, EXPORT, {
    type: 'text/csv; charset=utf-8; header=present',
    filename: `usage-${formatId('org', ids.org)}.csv`,
    detail: { from: from ?? null, until: until ?? null },
    open: async (count) => csv(deps.database, ids.org, filter, count),
  })
})

const COLUMNS: readonly (readonly [string, (row: UsageRow) => string | number | null])[] = [
  ['at', ({ at }) => at.toISOString()],
  ['id', ({ id }) => formatId('use', id)],
  ['request', ({ request }) => formatId('req', request)],
  ['project', ({ project }) => formatId('proj', project)],
  ['environment', ({ environment }) => environment],
  ['key', ({ key }) => formatId('key', key)],
  ['end_user', ({ endUser }) => endUser],
  ['provider', ({ provider }) => provider],
  ['model', ({ model }) => model],
  ['route', ({ route }) => route],
  ['status', ({ status }) => status],
  ['error', ({ error }) => error],
  ['source', ({ source }) => source],
  ['input_tokens', ({ inputTokens }) => inputTokens],
  ['cached_tokens', ({ cachedTokens }) => cachedTokens],
  ['cache_write_tokens', ({ writtenTokens }) => writtenTokens],
  ['output_tokens', ({ outputTokens }) => outputTokens],
  ['reasoning_tokens', ({ reasoningTokens }) => reasoningTokens],
  ['cost_usd', ({ costNano }) => (costNano === null ? null : usdOf(costNano))],
  ['duration_ms', ({ durationUs }) => durationUs / 1_000],
  ['first_byte_ms', ({ firstByteUs }) => (firstByteUs === null ? null : firstByteUs / 1_000)],
]

/** Page by page, each in a transaction of its own: however slowly somebody reads, no transaction waits for that. What is not known is an empty cell. */
async function* csv(database: Pick<Database, 'withTenant'>, org: OrgId, filter: UsageSpan, count: () => void): AsyncGenerator<string> {
  yield csvRow(COLUMNS.map(([name]) => name))
  let after: UsageId | undefined
  for (;;) {
    const from = after
    const rows = await database.withTenant(org, (tx) => usageList(tx, undefined, filter, { after: from, limit: PAGE }))
    for (const _row of rows) count()
    yield rows.map((row) => csvRow(COLUMNS.map(([, cell]) => String(cell(row) ?? '')))).join('')
    if (rows.length < PAGE) return
    after = rows.at(-1)!.id
  }
}
