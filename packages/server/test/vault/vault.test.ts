import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import {
  createLogger,
  CryptoError,
  envelopeKeyId,
  generateKeyBytes,
  hmacSha256,
  KeySourceError,
  ManualClock,
  MetricsRegistry,
  newId,
  RootKeyring,
  seal,
  Secret,
} from '@sallyport/core'
import type { KeyWrapper, OrgId } from '@sallyport/core'
import { auditEventList, dataKeyList, organizationCreate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { INSTALLATION, verifyOrganization } from '../../src/audit/index.ts'
import { METRICS } from '../../src/metrics/index.ts'
import { createVault } from '../../src/vault/index.ts'
import type { TenantPlace, Vault } from '../../src/vault/index.ts'
import { freshDatabase, silent } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

const PLACE: TenantPlace = { purpose: 'credential', table: 'credential_version', column: 'sealed', record: 'a-record', seq: 1n }
const keyText = (...ids: string[]): string => ids.map((id) => `${id}:${generateKeyBytes().toString('hex')}`).join()
const ringText = keyText('r1')
const r8 = keyText('r8')
const canary = new Secret(`canary-${newId('req')}`)

let fresh: FreshDatabase
let database: Database
let vault: Vault
const clock = new ManualClock()

const vaultOf = (text: string, on: Database = database): Vault =>
  createVault({ database: on, keyring: RootKeyring.parse(new Secret(text)), clock, logger: silent })

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  vault = vaultOf(ringText)
  await vault.checkRootKeys()
})
afterAll(async () => {
  vault.close()
  await fresh.drop()
})

async function makeOrganization(): Promise<OrgId> {
  const org = newId('org')
  await database.withTenant(org, (tx) => organizationCreate(tx, { name: 'An organization' }))
  return org
}

const sealOne = (org: OrgId, by: Vault = vault): Promise<Buffer> => database.withTenant(org, (tx) => by.seal(tx, PLACE, canary))
const keysOf = (org: OrgId) => database.withTenant(org, dataKeyList)

describe('sealing', () => {
  it('makes one data key per organization, whoever comes first, and opens what any of them sealed', async () => {
    const org = await makeOrganization()
    const others = [vault, vaultOf(ringText), vaultOf(ringText)]
    const envelopes = await Promise.all(Array.from({ length: 12 }, (_, i) => sealOne(org, others[i % 3])))
    expect(await keysOf(org)).toMatchObject([{ rootKeyId: 'r1', status: 'current' }])
    for (const envelope of envelopes) expect((await vault.open(org, PLACE, envelope)).reveal()).toBe(canary.reveal())
    for (const other of others.slice(1)) other.close()
  })

  // The risk: a key that only memory knows seals rows that nobody can ever open again.
  it('forgets a data key whose transaction was rolled back', async () => {
    const org = await makeOrganization()
    const attempt = database.withTenant(org, async (tx) => {
      const envelope = await vault.seal(tx, PLACE, canary)
      expect((await vault.openIn(tx, PLACE, envelope)).reveal()).toBe(canary.reveal())
      throw new Error('rolled back')
    })
    await expect(attempt).rejects.toThrow('rolled back')
    expect(await keysOf(org)).toEqual([])
    const envelope = await sealOne(org)
    expect((await keysOf(org)).map(({ id }) => id as string)).toEqual([envelopeKeyId(envelope)])
  })

  it('opens nothing at another place or for another organization', async () => {
    const [org, other] = [await makeOrganization(), await makeOrganization()]
    const envelope = await sealOne(org)
    await sealOne(other)
    await expect(vault.open(org, { ...PLACE, seq: 2n }, envelope)).rejects.toMatchObject({ code: 'decrypt_failed' })
    await expect(vault.open(other, PLACE, envelope)).rejects.toMatchObject({ code: 'data_key_missing' })
    expect(vault.openCached(other, PLACE, envelope)).toBeUndefined()
  })

  it("C-11 refuses A's wrapped data key in B's row", async () => {
    const [a, b] = [await makeOrganization(), await makeOrganization()]
    const envelope = await sealOne(a)
    await sealOne(b)
    await fresh.asSuperuser(
      `update sallyport.data_key set wrapped = (select wrapped from sallyport.data_key where org_id = $1) where org_id = $2`,
      [a, b],
    )
    const cold = vaultOf(ringText)
    await expect(sealOne(b, cold)).rejects.toMatchObject({ code: 'decrypt_failed' })
    await fresh.asSuperuser(
      `insert into sallyport.data_key (org_id, id, root_key_id, wrapped, status) select $2, id, root_key_id, wrapped, 'previous' from sallyport.data_key where org_id = $1`,
      [a, b],
    )
    await expect(cold.open(b, PLACE, envelope)).rejects.toMatchObject({ code: 'decrypt_failed' })
    cold.close()
  })

  it('C-02 C-05 refuses what was swapped, moved or cut, and raises an alarm: a metric each time, one line and one event a place', async () => {
    const org = await makeOrganization()
    const [one, two] = [await sealOne(org), await database.withTenant(org, (tx) => vault.seal(tx, { ...PLACE, record: 'another' }, canary))]
    const [lines, registry]: [string[], MetricsRegistry] = [[], new MetricsRegistry(METRICS)]
    const logger = createLogger({ level: 'error', format: 'json', write: (line) => void lines.push(line) })
    const watching = createVault({ database, keyring: RootKeyring.parse(new Secret(ringText)), clock, logger, metrics: registry })
    const failing = [two, one.subarray(0, -1), Buffer.concat([one, Buffer.alloc(1)])]
    for (const envelope of failing) await expect(watching.open(org, PLACE, envelope)).rejects.toBeInstanceOf(CryptoError)
    expect(() => watching.openCached(org, PLACE, Buffer.from(two))).toThrow(CryptoError)
    const events = async () =>
      (await database.withTenant(org, (tx) => auditEventList(tx, { limit: 200 }))).map(({ action, target, detail }) => [
        action,
        target,
        JSON.parse(detail),
      ])
    await expect
      .poll(events, { timeout: 20_000 })
      .toEqual([['seal.broken', 'credential_version.sealed', { record: 'a-record', seq: '1', code: 'decrypt_failed' }]])
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toContain(canary.reveal())
    expect(registry.render()).toContain('sallyport_open_failures_total 4\n')
    // What is as it was sealed opens, and an hour later the same place is told of again.
    expect((await watching.open(org, PLACE, one)).reveal()).toBe(canary.reveal())
    clock.advance(3_600_000)
    await expect(watching.open(org, PLACE, two)).rejects.toMatchObject({ code: 'decrypt_failed' })
    await expect.poll(events, { timeout: 20_000 }).toHaveLength(2)
    watching.close()
  })

  it('says data_key_missing for an envelope of a key that is no data key', async () => {
    const org = await makeOrganization()
    const foreign = seal(RootKeyring.parse(new Secret(ringText)).primary, { ...PLACE, org }, canary)
    await expect(vault.open(org, PLACE, foreign)).rejects.toMatchObject({ code: 'data_key_missing' })
    await expect(vault.open(org, PLACE, Buffer.from('garbage'))).rejects.toBeInstanceOf(CryptoError)
  })
})

/** News of a key's own making may arrive while it is read; then it is not kept, and the next read is. */
async function openThenCached(by: Vault, org: OrgId, envelope: Buffer): Promise<string | undefined> {
  await by.open(org, PLACE, envelope)
  return by.openCached(org, PLACE, envelope)?.reveal()
}

describe('keys in memory', () => {
  it('open without waiting once they were used, until they are too old', async () => {
    const org = await makeOrganization()
    const envelope = await sealOne(org)
    const other = vaultOf(ringText)
    expect(other.openCached(org, PLACE, envelope)).toBeUndefined()
    await expect.poll(() => openThenCached(other, org, envelope)).toBe(canary.reveal())
    clock.advance(600_000)
    expect(other.openCached(org, PLACE, envelope)).toBeUndefined()
    other.close()
  })

  it('are dropped when their row goes, on every node', async () => {
    const org = await makeOrganization()
    const envelope = await sealOne(org)
    await expect.poll(() => openThenCached(vault, org, envelope)).toBe(canary.reveal())
    await fresh.asSuperuser('delete from sallyport.data_key where org_id = $1', [org])
    await expect.poll(() => vault.openCached(org, PLACE, envelope)).toBeUndefined()
    await expect(vault.open(org, PLACE, envelope)).rejects.toMatchObject({ code: 'data_key_missing' })
  })

  it('last their time when whoever holds the root key is away, and then nothing opens', async () => {
    const held = RootKeyring.parse(new Secret(ringText))
    let away = false
    const primary: KeyWrapper = {
      id: 'r1',
      wrap: (bytes, place) => held.primary.wrap(bytes, place),
      unwrap: async (wrapped, place) => {
        if (away) throw new KeySourceError('key_source_unavailable', 'the key service does not answer')
        return held.primary.unwrap(wrapped, place)
      },
    }
    const remote = createVault({
      database,
      keyring: { primary, ids: ['r1'], get: (id) => (id === 'r1' ? primary : undefined) },
      clock,
      logger: silent,
    })
    const org = await makeOrganization()
    const envelope = await sealOne(org, remote)
    await expect.poll(() => openThenCached(remote, org, envelope)).toBe(canary.reveal())
    away = true
    expect((await remote.open(org, PLACE, envelope)).reveal()).toBe(canary.reveal())
    clock.advance(600_000)
    expect(remote.openCached(org, PLACE, envelope)).toBeUndefined()
    const refused = { code: 'key_source_unavailable' }
    await expect(remote.open(org, PLACE, envelope)).rejects.toMatchObject(refused)
    await expect(sealOne(org, remote)).rejects.toMatchObject(refused)
    await expect(database.withTenant(org, (tx) => remote.openIn(tx, PLACE, envelope))).rejects.toMatchObject(refused)
    away = false
    expect((await remote.open(org, PLACE, envelope)).reveal()).toBe(canary.reveal())
    remote.close()
  })

  it('are read once for many that wait for the same one', async () => {
    const org = await makeOrganization()
    const envelope = await sealOne(org)
    let reads = 0
    const counting: Database = { ...database, withTenant: (at, fn) => ((reads += 1), database.withTenant(at, fn)) }
    const other = vaultOf(ringText, counting)
    await Promise.all(Array.from({ length: 20 }, () => other.open(org, PLACE, envelope)))
    expect(reads).toBe(1)
    other.close()
  })
})

describe('root keys', () => {
  it('are proven at the start: a wrong, a missing and an added one', async () => {
    await expect(vaultOf(keyText('r1')).checkRootKeys()).rejects.toMatchObject({ code: 'root_key_wrong' })
    await expect(vaultOf(keyText('r2')).checkRootKeys()).rejects.toMatchObject({ code: 'root_key_missing' })
    // Nothing of a refused ring was stored.
    expect([...(await database.system.rootKeys()).keys()]).toEqual(['r1'])
    const added = `${keyText('r3')},${ringText}`
    await Promise.all([vaultOf(added).checkRootKeys(), vaultOf(added).checkRootKeys()])
    expect([...(await database.system.rootKeys()).keys()].toSorted()).toEqual(['r1', 'r3'])
    // Nothing is under it, so that nothing would be missing.
    await vault.checkRootKeys()
    await sealOne(await makeOrganization(), vaultOf(added))
    await expect(vault.checkRootKeys()).rejects.toMatchObject({
      code: 'root_key_missing',
      message: expect.stringContaining('"r3"') as string,
    })
    await fresh.asSuperuser(`delete from sallyport.data_key where root_key_id = 'r3'`)
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'r3'`)
  })

  // The risk: whoever has the gateway's login stops its next start with one line in a table that no organization owns.
  it('are made known by one function alone, and what nothing is under stops no start', async () => {
    const [theirs, forged] = [RootKeyring.parse(new Secret(keyText('r7'))), Buffer.from('no envelope')]
    const check = await theirs.primary.wrap(Buffer.from('x'), { purpose: 'p', org: '', table: 't', column: 'c', record: 'r', seq: 0n })
    const add = (id: string, bytes: Buffer) =>
      fresh.asGateway((client) => client.query('select * from sallyport.root_key_add($1, $2)', [id, bytes]))
    await expect(
      fresh.asGateway((client) => client.query(`insert into sallyport.root_key (id, check_value) values ('r7', $1)`, [check])),
    ).rejects.toMatchObject({ code: '42501' })
    await expect(
      fresh.asGateway((client) => client.query(`update sallyport.root_key set check_value = $1 where id = 'r1'`, [check])),
    ).rejects.toMatchObject({ code: '42501' })
    for (const [id, bytes] of [['r7', forged] as const, ['r8', check] as const]) {
      await expect(add(id, bytes)).rejects.toMatchObject({ code: '23514' })
    }
    await add('r7', check)
    await vault.checkRootKeys()
    // Nor does it take the place of a right one: the id is refused, by name, with the two ways out.
    const own = vaultOf(`${keyText('r7')},${ringText}`)
    await expect(own.checkRootKeys()).rejects.toMatchObject({
      code: 'root_key_wrong',
      message: expect.stringContaining('sallyport keys remove r7') as string,
    })
    expect(await own.provesRootKey('r7')).toBe(false)
    own.close()
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'r7'`)
  })

  it('that come are written down in the log of the installation, each once', async () => {
    const added = `${keyText('r6')},${ringText}`
    await Promise.all([vaultOf(added).checkRootKeys(), vaultOf(added).checkRootKeys()])
    const events = await database.withTenant(INSTALLATION, (tx) => auditEventList(tx, { limit: 200 }))
    const of = events.filter(({ target }) => target === 'r6').map(({ action, actor, detail }) => [action, actor, JSON.parse(detail)])
    expect(of).toEqual([['root_key.added', 'system', { id: 'r6', primary: 'r6' }]])
    expect(await verifyOrganization(database, INSTALLATION)).toMatchObject({ intact: true })
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'r6'`)
  })

  it('let one of two nodes with different bytes under a new id start', async () => {
    const outcomes = await Promise.allSettled([1, 2].map(() => vaultOf(`${ringText},${keyText('r4')}`).checkRootKeys()))
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'r4'`)
  })

  it('are exchanged while running once they are proven; refused ones change nothing', async () => {
    const turning = vaultOf(ringText)
    const [before, after] = [await makeOrganization(), await makeOrganization()]
    const envelope = await sealOne(before, turning)
    await expect(turning.useRootKeys(RootKeyring.parse(new Secret(keyText('r1'))))).rejects.toMatchObject({ code: 'root_key_wrong' })
    await expect(turning.useRootKeys(RootKeyring.parse(new Secret(keyText('r5'))))).rejects.toMatchObject({ code: 'root_key_missing' })
    await turning.useRootKeys(RootKeyring.parse(new Secret(`${keyText('r5')},${ringText}`)))
    await sealOne(after, turning)
    expect((await keysOf(after)).map(({ rootKeyId }) => rootKeyId)).toEqual(['r5'])
    expect((await turning.open(before, PLACE, envelope)).reveal()).toBe(canary.reveal())
    turning.close()
    await fresh.asSuperuser(`delete from sallyport.data_key where root_key_id = 'r5'`)
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'r5'`)
  })

  // The risk: another node was given a new key, and this one answers 503 to all that is under it until it happens to look again.
  it('are looked for again when a data key needs one that is not in use, by many at once, and used at once', async () => {
    const ahead = vaultOf(ringText)
    const both = RootKeyring.parse(new Secret(`${ringText},${r8}`))
    let looks = 0
    const behind = createVault({
      database,
      keyring: RootKeyring.parse(new Secret(ringText)),
      clock,
      logger: silent,
      rereadRootKeys: async () => {
        looks += 1
        await behind.useRootKeys(both)
      },
    })
    await ahead.useRootKeys(RootKeyring.parse(new Secret(`${r8},${ringText}`)))
    const org = await makeOrganization()
    const envelope = await sealOne(org, ahead)
    const opened = await Promise.all(Array.from({ length: 10 }, () => behind.open(org, PLACE, envelope)))
    expect(opened.map((text) => text.reveal())).toEqual(Array.from({ length: 10 }, () => canary.reveal()))
    expect(looks).toBe(1)
    for (const each of [ahead, behind]) each.close()
  })

  it('are looked for behind a transaction that lacks one, which is refused', async () => {
    const org = await makeOrganization()
    const ahead = vaultOf(`${r8},${ringText}`)
    const envelope = await sealOne(org, ahead)
    const looked = Promise.withResolvers<void>()
    const behind = createVault({
      database,
      keyring: RootKeyring.parse(new Secret(ringText)),
      clock,
      logger: silent,
      rereadRootKeys: async () => looked.resolve(behind.useRootKeys(RootKeyring.parse(new Secret(`${ringText},${r8}`)))),
    })
    const inside = () => database.withTenant(org, (tx) => behind.openIn(tx, PLACE, envelope))
    await expect(inside()).rejects.toMatchObject({ code: 'root_key_missing' })
    await looked.promise
    expect((await inside()).reveal()).toBe(canary.reveal())
    for (const each of [ahead, behind]) each.close()
    await fresh.asSuperuser(`delete from sallyport.data_key where root_key_id = 'r8'`)
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'r8'`)
  })

  it('are named when a data key needs one that is not configured', async () => {
    const org = await makeOrganization()
    const envelope = await sealOne(org)
    await expect(vaultOf(keyText('r9')).open(org, PLACE, envelope)).rejects.toMatchObject({ code: 'root_key_missing' })
  })
})

describe('system secrets', () => {
  it('are the same for every node and every start, and different by name', async () => {
    const others = [vaultOf(ringText), vaultOf(ringText), vaultOf(ringText)]
    const macs = await Promise.all(others.map(async (other) => hmacSha256(await other.systemSecret('key_pepper'), 'x').toString('hex')))
    expect(new Set(macs).size).toBe(1)
    expect(hmacSha256(await vault.systemSecret('key_pepper'), 'x').toString('hex')).toBe(macs[0])
    expect(hmacSha256(await vault.systemSecret('cursor_key'), 'x').toString('hex')).not.toBe(macs[0])
  })
})

describe('the database', () => {
  it('L-08 holds no sealed value in the clear, in any column of any table', async () => {
    await sealOne(await makeOrganization())
    const tables = await fresh.asSuperuser<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'sallyport'::regnamespace and relkind = 'r'`,
    )
    let dumped = ''
    for (const { name } of tables) {
      const rows = await fresh.asSuperuser<{ row: string }>(`select t::text as row from sallyport.${name} t`)
      dumped += rows.map(({ row }) => row).join('\n')
    }
    expect(dumped.length).toBeGreaterThan(1_000)
    for (const form of ['utf8', 'hex', 'base64'] as const) {
      expect(dumped).not.toContain(form === 'utf8' ? canary.reveal() : Buffer.from(canary.reveal()).toString(form))
    }
  })
})
