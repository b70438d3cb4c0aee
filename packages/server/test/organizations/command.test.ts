/** `sallyport organizations`, on a database of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, newId } from '@sallyport/core'
import { organizationsCommand } from '../../src/cli/organizations.ts'
import { loadConfig } from '../../src/config.ts'
import { membershipPut, organizationCreate, organizationFind } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

const ROOT_KEY = `r1:${'0123456789abcdef'.repeat(4)}`
const org = newId('org')
const id = formatId('org', org)

let fresh: FreshDatabase
let database: Database
let folder: string
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  folder = await mkdtemp(join(tmpdir(), 'sallyport-organizations-'))
  const owner = await database.lookups.personUpsert({ id: newId('user'), issuer: 'https://issuer.test', subject: 'ada', name: 'Ada' })
  await database.withTenant(org, async (tx) => {
    await organizationCreate(tx, { name: 'Ada & Co' })
    await membershipPut(tx, owner, 'OWNER')
  })
})
afterAll(async () => {
  await fresh?.drop()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

/** As `main.ts` runs it. What a command refuses is what it throws. */
async function organizations(...words: string[]): Promise<{ code: number; text: string } | { refused: string }> {
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
    return { code: await organizationsCommand(context), text: printed.join('\n') }
  } catch (error) {
    return { refused: (error as Error).message }
  }
}

const stateNow = async (): Promise<string | undefined> => (await database.withTenant(org, organizationFind))?.state

async function actions(): Promise<string[]> {
  const rows = await fresh.asSuperuser<{ action: string }>(`select action from sallyport.audit_event where org_id = '${org}' order by seq`)
  return rows.map(({ action }) => action)
}

describe('sallyport organizations', { timeout: 300_000 }, () => {
  it('lists them with their state and owners', async () => {
    const listed = await organizations('list', '--json')
    expect(listed).toMatchObject({ code: 0 })
    expect(JSON.parse((listed as { text: string }).text)).toMatchObject([{ id, name: 'Ada & Co', state: 'active', owners: 1 }])
    expect(await organizations('list')).toMatchObject({ code: 0, text: expect.stringContaining('1 organizations.') as string })
  })

  it('exports one whole, on record', async () => {
    const answer = await organizations('export', id, '--without-requests')
    const lines = (answer as { text: string }).text.split('\n').map((line) => JSON.parse(line) as { type: string })
    expect(lines[0]).toMatchObject({ type: 'sallyport-organization-export', org: id, requests: false })
    expect(lines.at(-1)).toMatchObject({ type: 'end', rows: { organization: 1, member: 1 } })
    expect(await actions()).toEqual(['organization.exported', 'organization.export_ended'])
  })

  it('deletes one whose name is typed out, and takes that back while it waits', async () => {
    expect(await organizations('delete', id, '--confirm', 'ada & co')).toMatchObject({
      refused: expect.stringContaining('not its name') as string,
    })
    expect(await stateNow()).toBe('active')
    const made = await organizations('delete', id, '--confirm', 'Ada & Co', '--grace-s', '3600', '--json')
    expect(JSON.parse((made as { text: string }).text)).toMatchObject({ id, state: 'waiting' })
    expect(await stateNow()).toBe('deleting')
    expect(await organizations('delete', id, '--confirm', 'Ada & Co')).toMatchObject({
      refused: expect.stringContaining('already') as string,
    })
    expect(await organizations('restore', id)).toMatchObject({ code: 0 })
    expect(await stateNow()).toBe('active')
    expect(await organizations('restore', id)).toMatchObject({ refused: expect.stringContaining('not being deleted') as string })
    expect((await actions()).slice(2)).toEqual(['organization.deletion_requested', 'organization.deletion_cancelled'])
  })

  it('knows no organization that is not there', async () => {
    for (const verb of [['export'], ['restore'], ['delete', '--confirm', 'x']]) {
      const [word, ...rest] = verb
      expect(await organizations(word!, formatId('org', newId('org')), ...rest)).toMatchObject({
        refused: expect.stringContaining('no organization') as string,
      })
    }
  })

  it.each([
    [],
    ['list', id],
    ['export'],
    ['export', 'org_nonsense'],
    ['export', id, '--confirm', 'x'],
    ['delete', id],
    ['delete', '--confirm', 'Ada & Co'],
    ['delete', id, '--confirm', 'Ada & Co', '--grace-s', '-1'],
    ['delete', id, '--confirm', 'Ada & Co', '--grace-s', '2592001'],
    ['delete', id, '--confirm', 'Ada & Co', '--wait-for-providers-s', '1e3'],
    ['delete', id, '--confirm', 'Ada & Co', '--without-requests'],
    ['delete', id, id, '--confirm', 'Ada & Co'],
    ['restore', id, '--yes'],
    ['lost', id],
  ])('does nothing and says how it is used: %j', async (...words) => {
    expect(await organizations(...words)).toMatchObject({ code: 2, text: expect.stringContaining('sallyport organizations') as string })
    expect(await stateNow()).toBe('active')
  })
})
