import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createLogger, newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { createUseLog, verifyOrganization } from '../../src/audit/index.ts'
import type { AuditEvent, UseLog, UseLogOptions } from '../../src/audit/index.ts'
import { auditAppend, auditEventListAscending, DatabaseError, requestRecordList } from '../../src/db/index.ts'
import type { Database, RequestRecordRow } from '../../src/db/index.ts'
import { PoolShares } from '../../src/db/pool-shares.ts'
import { freshDatabase, lineTo, silent } from '../db/fresh-database.ts'
import type { FreshDatabase, Line } from '../db/fresh-database.ts'

let fresh: FreshDatabase
let line: Line
/** On a line that tests cut; `steady` is not. */
let database: Database
let steady: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  line = await lineTo(fresh.url)
  database = await fresh.open({ url: line.url })
  steady = await fresh.open()
})
afterAll(async () => {
  await fresh.drop()
  await line.cut()
})

const place = { project: newId('proj'), environment: 'test' } as const
const used = (target: number | string): AuditEvent => ({ action: 'credential.used', actor: 'system', target: String(target), detail: {} })
const record = (org: OrgId, over: Partial<RequestRecordRow> = {}): RequestRecordRow => ({
  org,
  id: newId('req'),
  at: new Date(),
  ...place,
  integrationSlug: null,
  connection: null,
  key: newId('key'),
  method: 'GET',
  path: '/',
  status: 200,
  source: 'provider',
  error: null,
  durationUs: 1,
  bytesIn: 0,
  bytesOut: 0,
  ...over,
})
const logOn = (over: Partial<UseLogOptions> = {}): UseLog =>
  createUseLog({ database: steady, personal: { seal: async () => undefined }, logger: silent, ...over })
const targets = async (org: OrgId): Promise<string[]> => {
  const events = await steady.withTenant(org, (tx) => auditEventListAscending(tx, { limit: 10_000 }))
  return events.map(({ target }) => target)
}
const records = (org: OrgId) => steady.withTenant(org, (tx) => requestRecordList(tx, place, { limit: 10_000 }))
/** What a strict use does beside resolving: nothing here waits for one by accident. */
const strictly = (log: UseLog, org: OrgId, event: AuditEvent): Promise<void> =>
  log.use(org, 'strict', event) ?? Promise.reject(new Error('did not wait'))
const admit = (log: UseLog, org: OrgId, event: AuditEvent): void => expect(log.use(org, 'batched', event)).toBeUndefined()

describe('a strict organization', () => {
  it('has its event committed before the use goes on', async () => {
    const log = logOn()
    const org = newId('org')
    for (let i = 0; i < 5; i++) {
      await strictly(log, org, used(i))
      expect(await targets(org)).toHaveLength(i + 1)
    }
    await log.close()
  })

  it('shares commits among uses that wait together', async () => {
    let commits = 0
    const counting: Pick<Database, 'withTenant'> = { withTenant: (org, fn) => ((commits += 1), steady.withTenant(org, fn)) }
    const log = logOn({ database: counting })
    const org = newId('org')
    await Promise.all(Array.from({ length: 200 }, (_, i) => strictly(log, org, used(i))))
    expect(await targets(org)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)))
    expect(commits).toBeLessThan(20)
    await log.close()
  })

  it('is refused while PostgreSQL is away, also behind records that are held, and served again afterwards', async () => {
    const log = logOn({ database })
    const [org, other] = [newId('org'), newId('org')]
    await strictly(log, org, used('before'))
    await line.cut()
    log.request(record(org))
    const refused = await Promise.allSettled([strictly(log, org, used('lost')), strictly(log, other, used('lost'))])
    expect(refused).toMatchObject([{ reason: { code: 'audit_unavailable' } }, { reason: { code: 'audit_unavailable' } }])
    // The record waits for its turn now; whoever comes behind it must not wait with it.
    await expect(strictly(log, org, used('lost'))).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(log.buffered).toBe(1)
    await line.restore()
    await expect
      .poll(
        () =>
          strictly(log, org, used('after')).then(
            () => 'done',
            () => 'refused',
          ),
        { timeout: 20_000 },
      )
      .toBe('done')
    await log.close()
    expect(await targets(org)).toEqual(['before', 'after'])
    expect(await targets(other)).toEqual([])
    expect(await records(org)).toHaveLength(1)
  })
})

describe('a batched organization', () => {
  it('waits for nothing, and has its events and records in order within a group', async () => {
    const log = logOn()
    const orgs = [newId('org'), newId('org')]
    for (let i = 0; i < 600; i++) {
      const org = orgs[i % 2]!
      expect(log.use(org, 'batched', used(i))).toBeUndefined()
      log.request(record(org))
    }
    await log.flush()
    expect(log.buffered).toBe(0)
    for (const [at, org] of orgs.entries()) {
      expect(await targets(org)).toEqual(Array.from({ length: 300 }, (_, i) => String(i * 2 + at)))
      expect(await records(org)).toHaveLength(300)
      expect((await verifyOrganization(steady, org)).intact).toBe(true)
    }
    await log.close()
  })

  it('D-18 is held while PostgreSQL is away up to the bound, then refused; nothing admitted is lost or doubled', async () => {
    const log = logOn({ database, maxBuffered: 40 })
    const org = newId('org')
    await line.cut()
    for (let i = 0; i < 20; i++) admit(log, org, used(i))
    expect(() => log.use(org, 'batched', used('one too many'))).toThrow(expect.objectContaining({ code: 'audit_unavailable' }) as Error)
    expect(() => log.use(org, 'strict', used('one too many'))).toThrow(expect.objectContaining({ code: 'audit_unavailable' }) as Error)
    for (let i = 0; i < 25; i++) log.request(record(org))
    expect(log.buffered).toBe(40)
    await line.restore()
    await log.flush()
    expect(await targets(org)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)))
    expect(await records(org)).toHaveLength(20)
    admit(log, org, used('again'))
    await log.close()
    expect((await targets(org)).at(-1)).toBe('again')
  })

  // The risk: COMMIT happened, its answer was lost, and trying again writes every event twice.
  it.each([
    ['did happen', true],
    ['did not happen', false],
  ])('is written once when the answer to a commit is lost and it %s', async (_name, happened) => {
    let failures = 2
    const deaf: Pick<Database, 'withTenant'> = {
      async withTenant(org, fn) {
        if (failures === 0) return steady.withTenant(org, fn)
        failures -= 1
        const lost = new DatabaseError('database_unavailable', 'the answer was lost')
        const done = steady.withTenant(org, async (tx) => {
          await fn(tx)
          if (!happened) throw lost
        })
        await done.catch(() => undefined)
        throw lost
      },
    }
    const log = logOn({ database: deaf })
    const org = newId('org')
    for (let i = 0; i < 3; i++) {
      admit(log, org, used('the same'))
      log.request(record(org))
    }
    await log.flush()
    expect(await targets(org)).toEqual(['the same', 'the same', 'the same'])
    expect(await records(org)).toHaveLength(3)
    await log.close()
  })

  it('keeps its events when PostgreSQL refuses the records beside them', async () => {
    const lines: string[] = []
    const log = logOn({ logger: createLogger({ level: 'error', format: 'json', write: (text) => lines.push(text) }) })
    const org = newId('org')
    admit(log, org, used('kept'))
    log.request(record(org, { source: 'nobody' as 'gateway' }))
    await log.flush()
    expect(await targets(org)).toEqual(['kept'])
    expect(await records(org)).toEqual([])
    expect(lines.join()).toContain('"dropped":1')
    await log.close()
  })
})

describe('organizations beside each other', () => {
  /** Somebody who holds an organization's log, as a transaction that goes on and on does. */
  const holding = async (org: OrgId): Promise<() => Promise<void>> => {
    const { promise: over, resolve: release } = Promise.withResolvers<void>()
    const { promise: held, resolve: nowHeld } = Promise.withResolvers<void>()
    const transaction = steady.withTenant(org, async (tx) => {
      await auditAppend(tx, [])
      nowHeld()
      await over
    })
    await held
    return () => (release(), transaction)
  }

  it('D-14 A-09 do not wait for those whose log is held by somebody', async () => {
    const log = logOn({ database: await fresh.open({ poolSize: 12 }) })
    const slow = Array.from({ length: 4 }, () => newId('org'))
    const releases = await Promise.all(slow.map(holding))
    try {
      for (const org of slow) admit(log, org, used('waits'))
      const other = newId('org')
      for (let i = 0; i < 20; i++) await strictly(log, other, used(i))
      expect(await targets(other)).toHaveLength(20)
      expect(log.buffered).toBe(slow.length)
    } finally {
      for (const release of releases) await release()
    }
    await log.flush()
    for (const org of slow) expect(await targets(org)).toEqual(['waits'])
    await log.close()
  })

  it('D-14 A-09 are written while one is refused, again and again, and that one as soon as it can be', async () => {
    const refused = new Set<OrgId>()
    let refusals = 0
    const choosy: Pick<Database, 'withTenant'> = {
      withTenant: (org, fn) => {
        if (!refused.has(org)) return steady.withTenant(org, fn)
        refusals += 1
        // As when its log is held for longer than a statement waits.
        return Promise.reject(new DatabaseError('database_unavailable', 'busy', { sqlState: '55P03' }))
      },
    }
    const log = logOn({ database: choosy })
    const [bad, good] = [newId('org'), newId('org')]
    refused.add(bad)
    admit(log, bad, used('held'))
    log.request(record(bad))
    await expect.poll(() => refusals, { timeout: 20_000 }).toBeGreaterThan(1)
    await expect(strictly(log, bad, used('refused'))).rejects.toMatchObject({ code: 'audit_unavailable' })
    for (let i = 0; i < 5; i++) await strictly(log, good, used(i))
    refused.clear()
    await log.flush()
    expect(await targets(bad)).toEqual(['held'])
    expect(await records(bad)).toHaveLength(1)
    expect(await targets(good)).toHaveLength(5)
    await log.close()
  })

  it('D-14 A-09 are written while one gets no turn at the database, whose own requests wait for all that it has', async () => {
    const shares = new PoolShares(5)
    const [loud, good] = [newId('org'), newId('org')]
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
    // More than may go and wait, all together.
    const flood = Promise.allSettled(Array.from({ length: 2_000 }, () => shares.run(loud, () => held)))
    const log = logOn({ database: { withTenant: (org, fn) => shares.run(org, () => steady.withTenant(org, fn)) } })
    admit(log, loud, used('held'))
    await expect(strictly(log, loud, used('refused'))).rejects.toMatchObject({ code: 'audit_unavailable' })
    for (let i = 0; i < 5; i++) await strictly(log, good, used(i))
    expect(await targets(good)).toHaveLength(5)
    letGo()
    await flood
    await log.flush()
    expect(await targets(loud)).toEqual(['held'])
    await log.close()
  })

  it('D-14 hold no more than is free: one that can not be written leaves as much room as it takes', async () => {
    const log = logOn({ database, maxBuffered: 40 })
    const [greedy, other, third] = [newId('org'), newId('org'), newId('org')]
    const room = (org: OrgId): number => {
      for (let taken = 0; ; taken++) {
        try {
          void log.use(org, 'batched', used(taken))
        } catch (error) {
          expect(error).toMatchObject({ code: 'audit_unavailable' })
          return taken
        }
      }
    }
    await line.cut()
    expect([room(greedy), room(other), room(third)]).toEqual([20, 10, 5])
    for (let i = 0; i < 100; i++) log.request(record(greedy))
    log.request(record(other))
    expect(log.buffered).toBe(35 + 20 + 1)
    await line.restore()
    await log.flush()
    await log.close()
    expect([await targets(greedy), await targets(other), await targets(third)].map(({ length }) => length)).toEqual([20, 10, 5])
  })
})

describe('closing', () => {
  it('takes nothing more, writes what is there, and says what it could not', async () => {
    const log = logOn()
    const org = newId('org')
    admit(log, org, used('last'))
    const closing = log.close()
    expect(() => log.use(org, 'batched', used('late'))).toThrow(expect.objectContaining({ code: 'audit_unavailable' }) as Error)
    await closing
    expect(await targets(org)).toEqual(['last'])

    const never: Pick<Database, 'withTenant'> = { withTenant: () => Promise.reject(new DatabaseError('database_unavailable', 'away')) }
    const stuck = logOn({ database: never, closeTimeoutMs: 50 })
    admit(stuck, org, used('lost'))
    await expect(stuck.close()).rejects.toMatchObject({
      code: 'audit_unavailable',
      message: expect.stringContaining('1 audit events') as string,
    })
  })

  it('refuses at once what the log could never hold', async () => {
    const log = logOn()
    const org = newId('org')
    for (const bad of [
      { ...used(1), target: '' },
      { ...used(1), actor: 'a\0' },
      { ...used(1), action: '\udfff' },
      { ...used(1), detail: { nan: Number.NaN } },
    ]) {
      expect(() => log.use(org, 'batched', bad)).toThrow(TypeError)
    }
    expect(() => log.use('nobody' as OrgId, 'batched', used(1))).toThrow(TypeError)
    expect(log.buffered).toBe(0)
    await log.close()
  })
})
