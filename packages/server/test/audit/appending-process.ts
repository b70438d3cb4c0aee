/** Owns one process that appends pairs of events without end, and tells its parent of each pair that was committed. */
import { createLogger, Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit } from '../../src/audit/index.ts'
import { openDatabase } from '../../src/db/index.ts'

const [org, round] = process.argv.slice(2)
const url = new Secret(process.env['TEST_DATABASE_URL'] ?? '')
const database = await openDatabase({ url, logger: createLogger({ level: 'silent', format: 'json' }) })
for (let n = 0; ; n++) {
  const [first, second] = ['a', 'b'].map((half) => `${round}/${n}/${half}`)
  const event = (target: string) => ({ action: 'thing.changed', actor: 'system', target, detail: {} })
  await database.withTenant(org as OrgId, (tx) => appendAudit(tx, event(first!), event(second!)))
  process.send?.(second)
}
