import { describe, expect, it } from 'vitest'
import { createLogger, MetricsRegistry, newId, SallyportError } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { DatabaseError } from '../db/index.ts'
import type { TenantTx } from '../db/index.ts'
import { METRICS } from '../metrics/index.ts'
import { createContentLog } from './content-log.ts'
import type { HeardPart } from './content-log.ts'

const org = newId('org')
const place = { project: newId('proj'), environment: 'test' } as const

function part(bytes = 10, over: Partial<HeardPart> = {}): HeardPart {
  const content = Buffer.alloc(bytes, 'x')
  return {
    org,
    place,
    request: newId('req'),
    part: 'prompt',
    provider: 'openai',
    endUser: null,
    since: 0,
    status: 200,
    bytes,
    content,
    ...over,
  }
}

/** A log over a database that answers as `answer` does. */
function setup(answer: (org: OrgId, fn: (tx: TenantTx) => Promise<unknown>) => Promise<unknown>, maxHeldBytes = 100) {
  const printed: string[] = []
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void printed.push(line) })
  const metrics = new MetricsRegistry(METRICS)
  const database = { withTenant: answer as never }
  const log = createContentLog({ database, vault: { seal: async () => Buffer.alloc(0) }, logger, metrics, maxHeldBytes })
  const counted = (outcome: string): number => {
    const line = metrics
      .render()
      .split('\n')
      .find((one) => one.startsWith(`sallyport_stored_content_total{outcome="${outcome}"}`))
    return Number(line?.split(' ')[1] ?? 0)
  }
  return { log, printed, counted }
}

describe('the log of what is kept', () => {
  it('takes no more than it may hold, and says once that something is dropped', () => {
    const { log, printed, counted } = setup(() => new Promise(() => undefined))
    const other = newId('org')
    expect([log.enter(org, 60), log.enter(org, 60), log.enter(other, 40), log.enter(other, 1)]).toEqual([true, false, true, false])
    log.drop()
    log.drop()
    expect([counted('dropped'), printed.length]).toEqual([2, 1])
    log.leave(other, 40)
    expect(log.enter(other, 40)).toBe(true)
  })

  it('D-14 has room for what others keep while one organization’s waits for a database that does not answer', () => {
    const { log } = setup(() => new Promise(() => undefined))
    let taken = 0
    while (log.enter(org, 1)) taken += 1
    expect(taken).toBe(50)
    expect(log.enter(newId('org'), 40)).toBe(true)
  })

  it('tries again while the database is away, and gives its room back once it wrote', async () => {
    let tries = 0
    const { log, counted } = setup(() => {
      if (++tries === 1) return Promise.reject(new SallyportError('database_unavailable', 'away'))
      return Promise.resolve(1)
    })
    expect(log.enter(org, 100)).toBe(true)
    log.put(part(100))
    expect(log.enter(org, 1)).toBe(false)
    await expect.poll(() => counted('stored')).toBe(1)
    expect([tries, log.enter(org, 100)]).toEqual([2, true])
  })

  it('drops what can not be written, of that organization alone, and says nothing of what it was', async () => {
    const other = newId('org')
    const { log, printed, counted } = setup((of) => (of === org ? Promise.reject(new Error('refused')) : Promise.resolve(1)))
    for (const each of [part(10), part(10, { org: other })]) {
      expect(log.enter(each.org, 10)).toBe(true)
      log.put(each)
    }
    await expect.poll(() => [counted('dropped'), counted('stored')]).toEqual([1, 1])
    expect(printed.join()).not.toContain('xxxx')
    expect(log.enter(org, 100)).toBe(true)
  })

  it('D-14 waits for nobody: organizations whose rows can not be written for a while keep no other waiting', async () => {
    const [stuck, busy] = [new Set(Array.from({ length: 2 }, () => newId('org'))), newId('org')]
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    let tries = 0
    const { log, counted } = setup((of) => {
      if (of === busy && ++tries < 3) return Promise.reject(new DatabaseError('database_unavailable', 'busy', { sqlState: '55P03' }))
      return (stuck.has(of) ? over : Promise.resolve()).then(() => 1)
    }, 1_000)
    const put = (to: OrgId): void => {
      expect(log.enter(to, 10)).toBe(true)
      log.put(part(10, { org: to }))
    }
    for (const each of [...stuck, busy]) put(each)
    for (let n = 1; n <= 3; n++) {
      put(newId('org'))
      await expect.poll(() => counted('stored'), { timeout: 20_000 }).toBeGreaterThanOrEqual(n)
    }
    end()
    await expect.poll(() => [tries, counted('stored')], { timeout: 20_000 }).toEqual([3, 6])
    expect(counted('dropped')).toBe(0)
    await log.close(10_000)
  })

  it('writes what it holds before it closes, and drops what it can not write in time', async () => {
    const wrote = setup(() => Promise.resolve(1))
    wrote.log.enter(org, 10)
    wrote.log.put(part())
    await wrote.log.close(10_000)
    expect(wrote.counted('stored')).toBe(1)
    const away = setup(() => Promise.reject(new SallyportError('database_unavailable', 'away')))
    away.log.enter(org, 10)
    away.log.put(part())
    await away.log.close(0)
    away.log.put(part())
    await expect.poll(() => away.counted('dropped')).toBe(2)
    expect(away.log.enter(org, 1)).toBe(false)
  })
})
