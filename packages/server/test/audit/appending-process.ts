/**
 * Owns one process that appends without end in each way there is, and tells its parent of each event that was acknowledged: pairs of events of
 * one change (`pair/...`), uses of a strict organization (`use/...`). What was refused, as by a machine that is too busy, is told of nobody.
 */
import { createLogger, hasCode, Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit, createUseLog } from '../../src/audit/index.ts'
import { openDatabase } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'

const [org, round] = process.argv.slice(2) as [OrgId, string]
const url = new Secret(process.env['TEST_DATABASE_URL'] ?? '')
const logger = createLogger({ level: 'silent', format: 'json' })
const database = await opened()
const useLog = createUseLog({ database, personal: { seal: async () => undefined }, logger })
const event = (target: string) => ({ action: 'thing.changed', actor: 'system', target, detail: {} })

async function opened(): Promise<Database> {
  for (;;) {
    try {
      return await openDatabase({ url, logger })
    } catch (error) {
      if (!hasCode(error, 'database_unavailable')) throw error
    }
  }
}

async function acknowledged(target: string, append: () => Promise<unknown>): Promise<void> {
  try {
    await append()
  } catch (error) {
    if (!hasCode(error, 'database_unavailable') && !hasCode(error, 'audit_unavailable')) throw error
    // Refused at once, again and again, it must not keep the others from their turn.
    await new Promise((resolve) => setImmediate(resolve))
    return
  }
  process.send?.(target)
}

async function pairs(): Promise<never> {
  for (let n = 0; ; n++) {
    const [first, second] = ['a', 'b'].map((half) => `pair/${round}/${n}/${half}`)
    await acknowledged(second!, () => database.withTenant(org, (tx) => appendAudit(tx, event(first!), event(second!))))
  }
}

async function uses(lane: number): Promise<never> {
  for (let n = 0; ; n++) {
    const target = `use/${round}/${lane}/${n}`
    await acknowledged(target, async () => useLog.use(org, 'strict', event(target)))
  }
}

await Promise.all([pairs(), uses(0), uses(1)])
