import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { formatId, newId, RootKeyring, Secret } from '@sallyport/core'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'
import { fillTenant, keyText, openNode } from './rotation-world.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let fresh: FreshDatabase
let folder: string
beforeEach(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'))
})
afterEach(async () => {
  await fresh.drop()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `sallyport keys ...` as an operator does, with nothing of ours in the environment but what is given. */
function run(words: string, env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { PATH: process.env['PATH'], ...env } }
    execFile(process.execPath, [MAIN, 'keys', ...words.split(' ')], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

/** The same on the test's database with these root keys. */
function keys(rootKeys: string, words: string): Promise<Ended> {
  return run(words, {
    SALLYPORT_MODE: 'development',
    SALLYPORT_DATABASE_URL: fresh.url.reveal(),
    SALLYPORT_ENCRYPTION_KEYS: rootKeys,
    SALLYPORT_LOG_LEVEL: 'warn',
  })
}

async function json(rootKeys: string, words: string) {
  const { code, stdout, stderr } = await keys(rootKeys, `${words} --json`)
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

async function tenants(rootKeys: string, count: number): Promise<Tenant[]> {
  const database = await fresh.open()
  const node = await openNode(database, rootKeys)
  const made = await Promise.all(Array.from({ length: count }, () => fillTenant(database, node.vault, 3)))
  await node.close()
  return made
}

describe('sallyport keys', () => {
  it('S42 makes a root key that the gateway takes, without any configuration', async () => {
    const [one, two] = [await run('generate'), await run('generate --json')]
    expect([one.code, one.stderr]).toEqual([0, ''])
    const ring = RootKeyring.parse(new Secret(`${one.stdout.trim()},${(JSON.parse(two.stdout) as { entry: string }).entry}`))
    expect(ring.ids).toHaveLength(2)
  })

  it('S65 leads through a scheduled rotation of the root key: rotate, remove, start without the old one', async () => {
    const [r1, r2] = [keyText('r1'), keyText('r2')]
    await tenants(r1, 2)
    expect(await json(`${r2},${r1}`, 'rotate root')).toEqual({ to: 'r2', data_keys: 2, system_secrets: 0, unreadable: 0, left: { r1: 0 } })
    // The old key is out of the configuration, and the database still knows it: nothing is under it, so that is said and no more.
    const early = await keys(r2, 'status')
    expect(early).toMatchObject({ code: 0, stdout: expect.stringContaining('r1  unused') as string })
    expect(early.stderr).toContain('A root key is known to the database and not configured')
    expect(await json(r2, 'remove r1')).toEqual({ removed: 'r1' })
    const { root_keys: roots } = await json(r2, 'status')
    expect(roots).toEqual([{ id: 'r2', primary: true, days: 0, data_keys: 2, system_secrets: 0 }])
    expect(await json(r2, 'verify')).toMatchObject({ organizations: 2, dataKeys: 2, records: 6, faults: [] })
  })

  it('S65 turns data keys of one organization or all, and removes the emptied one', async () => {
    const r1 = keyText('r1')
    const [a] = (await tenants(r1, 2)) as [Tenant, Tenant]
    const org = formatId('org', a.org)
    const one = await json(r1, `rotate data --org ${org}`)
    expect(one).toMatchObject({ left: 0, organizations: [{ org, started: true, resealed: 3, unreadable: 0 }] })
    const [old] = Object.keys(one.organizations[0].left as object)
    const early = await keys(r1, `remove ${old} --org ${org}`)
    expect([early.code, early.stderr]).toEqual([4, expect.stringContaining('less than a day ago')])
    await fresh.asSuperuser("update sallyport.data_key set retired_at = now() - interval '2 days' where status = 'previous'")
    expect(await json(r1, `remove ${old} --org ${org}`)).toEqual({ removed: old })
    expect(await json(r1, 'rotate data')).toMatchObject({ left: 0, organizations: [{ started: true }, { started: true }] })
  })

  it('C-15 S65 answers a known root key with one command that leaves nothing under it', async () => {
    const [r1, r2] = [keyText('r1'), keyText('r2')]
    await tenants(r1, 2)
    const { code, stdout } = await keys(`${r2},${r1}`, 'rotate root --all-data')
    expect(code).toBe(0)
    expect(stdout).toContain('Renewed 2 data keys of 2 organizations; 6 records resealed, 0 left behind, 0 unreadable.')
    expect(stdout).toContain('Nothing is under r1 any more: sallyport keys remove r1')
    // As the runbook goes on: everything is proven, the known key is taken out, and what starts without it has everything.
    expect(await json(`${r2},${r1}`, 'verify')).toMatchObject({ organizations: 2, records: 6, faults: [] })
    expect(await json(r2, 'remove r1')).toEqual({ removed: 'r1' })
    expect((await json(r2, 'status')).root_keys.map(({ id }: { id: string }) => id)).toEqual(['r2'])
    expect(await json(r2, 'verify')).toMatchObject({ organizations: 2, records: 6, faults: [] })
  })

  it('C-15 replaces all keys of one organization made until a moment and ends its connections, once, and leaves the others alone', async () => {
    const r1 = keyText('r1')
    const [a, b] = (await tenants(r1, 2)) as [Tenant, Tenant]
    const org = formatId('org', a.org)
    const moment = new Date().toISOString()
    const contain = () => json(r1, `contain ${org} --exposed-until ${moment} --revoke`)
    const first = await contain()
    expect(first).toMatchObject({
      org,
      data_key: { renewed: true, unreadable: 0, left: 0 },
      root_key: { to: 'r1' },
      bulk_revocation: { found: 1 },
    })
    expect(await contain()).toMatchObject({
      data_key: { to: first.data_key.to, renewed: false, left: 0 },
      bulk_revocation: first.bulk_revocation,
    })
    const { data_keys: dataKeys } = await json(r1, 'status')
    // Of the other organization nothing was touched.
    const of = (one: Tenant) =>
      dataKeys.filter((key: { org: string }) => key.org === formatId('org', one.org)).map((key: { status: string }) => key.status)
    expect([of(a).toSorted(), of(b)]).toEqual([['current', 'previous'], ['current']])
    for (const words of [`contain ${org}`, `contain ${org} --exposed-until 2999-01-01T00:00:00Z`])
      expect((await keys(r1, words)).code).toBe(4)
    expect((await keys(r1, `contain ${org} --exposed-until yesterday`)).code).toBe(2)
  }, 120_000)

  it('C-09 refuses to remove what is in use, and says by how much', async () => {
    const [r1, r2] = [keyText('r1'), keyText('r2')]
    await tenants(r1, 2)
    const refused = await keys(`${r2},${r1}`, 'remove r1')
    expect(refused).toMatchObject({ code: 4, stdout: '' })
    expect(refused.stderr).toContain('root key "r1" still wraps 2 data keys')
  })

  // A backup from before the rotation is a database that has only ever seen the old key.
  it('S65 leads through a backup whose key is older: refused by its name, verified with it behind, rewrapped, and the old key can go', async () => {
    const [old, current] = [keyText('r1'), keyText('r2')]
    await tenants(old, 2)
    const refused = await keys(current, 'verify')
    expect(refused).toMatchObject({ code: 4, stdout: '' })
    expect(refused.stderr).toContain('root key "r1", which is not configured')
    expect(await json(`${current},${old}`, 'verify')).toMatchObject({ records: 6, faults: [] })
    expect(await json(`${current},${old}`, 'rotate root')).toMatchObject({ to: 'r2', data_keys: 2, left: { r1: 0 } })
    expect(await json(current, 'remove r1')).toEqual({ removed: 'r1' })
    expect(await json(current, 'verify')).toMatchObject({ records: 6, faults: [] })
  }, 120_000)

  it('C-09 starts without no key that something is under, and says which', async () => {
    const [r1, r2] = [keyText('r1'), keyText('r2')]
    await tenants(r1, 1)
    await tenants(`${r2},${r1}`, 1)
    for (const words of ['status', 'rotate root', 'verify']) {
      const refused = await keys(r2, words)
      expect(refused).toMatchObject({ code: 4, stdout: '' })
      expect(refused.stderr).toContain('root key "r1", which is not configured')
    }
  })

  it('forgets a root key of other bytes that nothing was ever sealed under, and takes the right one then', async () => {
    const [r1, wrong, right] = [keyText('r1'), keyText('r2'), keyText('r2')]
    await tenants(r1, 1)
    expect(await json(`${r1},${wrong}`, 'status')).toMatchObject({ root_keys: [{ id: 'r1' }, { id: 'r2', data_keys: 0 }] })
    const refused = await keys(`${right},${r1}`, 'rotate root')
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('root_key_wrong') as string })
    expect(refused.stderr).toContain('sallyport keys remove r2')
    expect(await json(`${right},${r1}`, 'remove r2')).toEqual({ removed: 'r2' })
    expect(await json(`${right},${r1}`, 'rotate root')).toMatchObject({ to: 'r2', data_keys: 1, left: { r1: 0 } })
  })

  it('N10 says what shredding would destroy, does nothing, and does it when told again', async () => {
    const r1 = keyText('r1')
    const [a] = (await tenants(r1, 2)) as [Tenant, Tenant]
    const org = formatId('org', a.org)
    const first = await keys(r1, `remove ${org} --shred`)
    expect(first.code).toBe(5)
    expect(first.stdout).toContain(`This would destroy 1 data keys of ${org}, and with them 3 sealed records`)
    expect(await json(r1, 'verify')).toMatchObject({ records: 6, destroyed: 0 })
    expect(await json(r1, `remove ${org} --shred --yes`)).toMatchObject({ org, shredded: true, records: 3 })
    expect(await json(r1, 'verify')).toMatchObject({ records: 3, destroyed: 3, faults: [] })
  })

  it('ends with 5 when something does not open, and names it', async () => {
    const r1 = keyText('r1')
    const [a, b] = (await tenants(r1, 2)) as [Tenant, Tenant]
    await fresh.asSuperuser(
      'update sallyport.data_key set wrapped = (select wrapped from sallyport.data_key where org_id = $1) where org_id = $2',
      [a.org, b.org],
    )
    const { code, stdout } = await keys(r1, 'verify')
    expect(code).toBe(5)
    expect(stdout).toContain(`${formatId('org', b.org)}  data_key  `)
  })

  it.each(['', 'rotate', 'rotate all', 'remove', 'status now', 'verify --orgs', `status --org ${newId('org')}`])(
    'answers "%s" with its usage and does nothing',
    async (words) => {
      const { code, stdout } = await keys(keyText('r1'), words)
      expect(code).toBe(2)
      expect(stdout).toContain('sallyport keys rotate root')
    },
  )
})
