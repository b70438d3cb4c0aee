/**
 * Owns one process that appends without end in each way there is, and tells its parent of each event that was acknowledged: pairs of events of
 * one change (`pair/...`), uses of a strict organization (`use/...`).
 */
import { createLogger, Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit, createUseLog } from '../../src/audit/index.ts'
import { openDatabase } from '../../src/db/index.ts'

const [org, round] = process.argv.slice(2) as [OrgId, string]
const url = new Secret(process.env['TEST_DATABASE_URL'] ?? '')
const logger = createLogger({ level: 'silent', format: 'json' })
const database = await openDatabase({ url, logger })
const useLog = createUseLog({ database, personal: { seal: async () => undefined }, logger })
const event = (target: string) => ({ action: 'thing.changed', actor: 'system', target, detail: {} })

async function pairs(): Promise<never> {
  for (let n = 0; ; n++) {
    const [first, second] = ['a', 'b'].map((half) => `pair/${round}/${n}/${half}`)
    await database.withTenant(org, (tx) => appendAudit(tx, event(first!), event(second!)))
    process.send?.(second)
  }
}

async function uses(lane: number): Promise<never> {
  for (let n = 0; ; n++) {
    const target = `use/${round}/${lane}/${n}`
    await useLog.use(org, 'strict', event(target))
    process.send?.(target)
  }
}

await Promise.all([pairs(), uses(0), uses(1)])
