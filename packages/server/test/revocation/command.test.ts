import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId } from '@sallyport/core'
import { connect, createRevocationWorld, makeRevocableTenant, tokenSet } from './world.ts'
import type { RevocableTenant, RevocationWorld } from './world.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let world: RevocationWorld
let folder: string
let tenant: RevocableTenant
let org: string
beforeAll(async () => {
  world = await createRevocationWorld(inject('postgresUrl'))
  folder = await mkdtemp(join(tmpdir(), 'sallyport-connections-'))
  tenant = await makeRevocableTenant(world.nodes[0])
  org = formatId('org', tenant.org)
})
afterAll(async () => {
  await world?.close()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

function run(words: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = {
    PATH: process.env['PATH'],
    SALLYPORT_MODE: 'development',
    SALLYPORT_DATABASE_URL: world.db.url.reveal(),
    SALLYPORT_ENCRYPTION_KEYS: world.rootKeys,
    SALLYPORT_LOG_LEVEL: 'warn',
  }
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'connections', ...words.split(' ')], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

const statuses = async (): Promise<string[]> =>
  (await world.rows<{ status: string }>('select status from sallyport.connection where org_id = $1 order by id', [tenant.org])).map(
    ({ status }) => status,
  )

describe('sallyport connections', () => {
  it('N14 lists connections, ends one, shows what a filter would end, and ends that when it is told twice', async () => {
    const node = world.nodes[0]
    const first = await connect(node, tenant, tokenSet('one'), { endUser: 'grace', account: 'a' })
    await connect(node, tenant, tokenSet('two'), { endUser: 'alan', account: 'b' })
    const listed = await run(`list --org ${org} --json`)
    expect(JSON.parse(listed.stdout)).toMatchObject([{ end_user: 'grace', status: 'active', provider: 'github' }, { end_user: 'alan' }])
    expect(listed.stdout).not.toMatch(/access-|refresh-/u)

    expect(await run(`revoke ${formatId('conn', first)} --org ${org}`)).toMatchObject({ code: 0, stderr: '' })
    expect(await statuses()).toEqual(['revoked', 'active'])

    const shown = await run(`revoke --org ${org} --provider github --json`)
    expect([shown.code, JSON.parse(shown.stdout)]).toMatchObject([5, { dry_run: true, connections: 1, end_users: 1 }])
    expect(await statuses()).toEqual(['revoked', 'active'])

    const done = await run(`revoke --org ${org} --provider github --yes --json`)
    expect([done.code, JSON.parse(done.stdout)]).toMatchObject([0, { found: 1, ended: 1 }])
    expect(await statuses()).toEqual(['revoked', 'revoked'])
    // It can tell no provider itself, and gives nothing up: the gateways do.
    expect(await world.rows('select state from sallyport.revocation')).toEqual([{ state: 'waiting' }, { state: 'waiting' }])
    expect(world.provider.asked).toEqual([])
    while ((await node.service.queue.work()) > 0);
    expect(world.provider.asked).toHaveLength(4)
  })

  // A filter that falls away would end everything.
  it.each([
    'revoke',
    'revoke --everything --yes',
    'revoke --org ORG',
    'revoke --org ORG --yes',
    'revoke --org ORG --integration int_nonsense --yes',
    'revoke --org ORG --project proj_ --yes',
    'revoke --org ORG --environment staging --yes',
    'revoke --org ORG --everything --provider github --yes',
    'revoke conn_nonsense --org ORG',
    'revoke --org ORG --tenant x --yes',
    'list',
    'lost --org ORG',
  ])('ends nothing and says how it is used: %s', async (words) => {
    const before = await statuses()
    expect(await run(words.replace('ORG', org))).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('sallyport connections') as string,
    })
    expect(await statuses()).toEqual(before)
  })
})
