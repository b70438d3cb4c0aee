/** `sallyport usage`, on a database of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, newId } from '@sallyport/core'
import { usageCommand } from '../../src/cli/usage.ts'
import { loadConfig } from '../../src/config.ts'
import { budgetInsert, usageInsertMany } from '../../src/db/index.ts'
import type { Database, UsageRow } from '../../src/db/index.ts'
import { freshDatabase, makeTenant } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'

const ROOT_KEY = `r1:${'0123456789abcdef'.repeat(4)}`
const DAYS = ['--from', '2026-03-01', '--to', '2026-03-31'] as const

let fresh: FreshDatabase
let database: Database
let folder: string
let first: Tenant
let second: Tenant
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  folder = await mkdtemp(join(tmpdir(), 'sallyport-usage-'))
  ;[first, second] = [await makeTenant(database), await makeTenant(database)]
  await spend(first, { costNano: 2_500_000_000 })
  await spend(first, { model: 'a-model-of-nobody', costNano: null })
  await spend(second, { model: 'a-model-of-nobody', costNano: null })
  await database.withTenant(first.org, (tx) =>
    budgetInsert(tx, {
      id: newId('bud'),
      holder: 'organization',
      holderId: first.org,
      amountNano: 10_000_000_000,
      period: 'month',
      enforcement: 'hard',
      unpriced: 'refuse',
      createdBy: 'user_x',
    }),
  )
})
afterAll(async () => {
  await fresh?.drop()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

async function spend({ org, project, environment }: Tenant, over: Partial<UsageRow>): Promise<void> {
  const at = new Date('2026-03-04T12:00:00Z')
  const row: UsageRow = {
    org,
    id: newId('use', at.getTime()),
    request: newId('req'),
    at,
    project,
    environment,
    key: newId('key'),
    endUser: null,
    provider: 'openai',
    model: 'gpt-4.1',
    route: null,
    status: 200,
    error: null,
    source: 'measured',
    inputTokens: 100,
    cachedTokens: 0,
    writtenTokens: 0,
    outputTokens: 10,
    reasoningTokens: 0,
    costNano: 0,
    durationUs: 1,
    firstByteUs: 1,
    ...over,
  }
  await database.withTenant(org, (tx) => usageInsertMany(tx, [{ row, charges: [], node: 'node-1' }]))
}

/** As `main.ts` runs it. What a command refuses is what it throws. */
async function usage(...words: string[]): Promise<{ code: number; text: string } | { refused: string }> {
  const env = {
    SALLYPORT_MODE: 'development',
    SALLYPORT_DATABASE_URL: fresh.url.reveal(),
    SALLYPORT_ENCRYPTION_KEYS: ROOT_KEY,
    SALLYPORT_DATA_DIR: folder,
    SALLYPORT_LOG_LEVEL: 'silent',
  }
  const args = words.filter((word) => word !== '--json')
  const printed: string[] = []
  const context = {
    config: loadConfig({ env, argv: [] }),
    args,
    json: args.length < words.length,
    print: (text: string) => void printed.push(text),
  }
  try {
    return { code: await usageCommand(context), text: printed.join('\n') }
  } catch (error) {
    return { refused: (error as Error).message }
  }
}

async function json(...words: string[]): Promise<unknown> {
  const answer = await usage(...words, '--json')
  return JSON.parse((answer as { text: string }).text)
}

describe('sallyport usage', { timeout: 300_000 }, () => {
  it('adds up each organization by itself, and never counts a call without a price as free', async () => {
    const reports = (await json('list', ...DAYS)) as { organization: string; data: object[] }[]
    expect(reports.map(({ organization }) => organization).toSorted()).toEqual(
      [first, second].map(({ org }) => formatId('org', org)).toSorted(),
    )
    const of = ({ org }: Tenant) => reports.find(({ organization }) => organization === formatId('org', org))?.data
    expect(of(first)).toMatchObject([{ calls: 2, unpriced_calls: 1, cost_usd: '2.5' }])
    expect(of(second)).toMatchObject([{ calls: 1, unpriced_calls: 1, cost_usd: '0' }])
    const { text } = (await usage('list', ...DAYS)) as { text: string }
    expect(text).toContain('2 calls  200 tokens read  20 written  2.5 USD  no price for 1 calls')
    expect(text).toContain('1 calls  100 tokens read  10 written  no price for 1 calls')
    expect(text).toContain('2 organizations.')
  })

  it('adds up one by what is asked for', async () => {
    const org = formatId('org', first.org)
    expect(await json('list', '--org', org, ...DAYS, '--by', 'day,model')).toMatchObject([
      {
        organization: org,
        group_by: ['day', 'model'],
        data: [
          { day: '2026-03-04', model: 'gpt-4.1', calls: 1 },
          { day: '2026-03-04', model: 'a-model-of-nobody', calls: 1 },
        ],
      },
    ])
  })

  it('lists budgets with what is spent and set aside', async () => {
    expect(await json('budgets')).toMatchObject([
      { organization: formatId('org', first.org), holder: 'organization', amount_usd: '10', spent_usd: '0', held_usd: '0' },
    ])
    expect(await usage('budgets')).toMatchObject({
      code: 0,
      text: expect.stringContaining('organization  10 USD a month  hard  0 spent  0 set aside') as string,
    })
    expect(await json('budgets', '--org', formatId('org', second.org))).toEqual([])
  })

  it('says what can not be added up, and knows no organization that is not there', async () => {
    expect(await usage('list', '--by', 'key,end_user')).toMatchObject({ refused: expect.stringContaining('not together') as string })
    expect(await usage('list', '--from', '2026-03-02', '--to', '2026-03-01')).toMatchObject({
      refused: expect.stringContaining('--from is not after --to') as string,
    })
    for (const verb of ['list', 'budgets']) {
      expect(await usage(verb, '--org', formatId('org', newId('org')))).toMatchObject({
        refused: expect.stringContaining('There is no organization') as string,
      })
    }
  })

  it.each([
    [],
    ['spend'],
    ['list', 'more'],
    ['list', '--org', 'proj_x'],
    ['list', '--from', 'yesterday'],
    ['list', '--from', '2026-02-30'],
    ['list', '--by', 'Day'],
    ['list', '--unknown'],
    ['budgets', '--by', 'day'],
  ])('shows how it is used for %j', async (...words) => {
    expect(await usage(...words)).toMatchObject({ code: 2, text: expect.stringContaining('sallyport usage list') as string })
  })
})
