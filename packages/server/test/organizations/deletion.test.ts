import { fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, generateKeyBytes, hmacKey, newId, systemClock } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit, INSTALLATION, verifyOrganization } from '../../src/audit/index.ts'
import {
  apiKeyInsert,
  connectSessionInsert,
  dataKeyList,
  invitationInsert,
  membershipPut,
  requestRecordInsertMany,
} from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createKeyAuthenticator } from '../../src/identity/index.ts'
import { createOrganizationDeletions } from '../../src/organizations/index.ts'
import type { OrganizationDeletions } from '../../src/organizations/index.ts'
import { createPersonal } from '../../src/vault/index.ts'
import { silent } from '../db/fresh-database.ts'
import { connect, createRevocationWorld, makeRevocableTenant, tokenSet } from '../revocation/world.ts'
import type { RevocableTenant, RevocationWorld, RevokingNode } from '../revocation/world.ts'

let world: RevocationWorld
let one: RevokingNode
let two: RevokingNode

beforeAll(async () => {
  world = await createRevocationWorld(inject('postgresUrl'))
  ;[one, two] = world.nodes
})
afterAll(() => world?.close())

const NOW = { confirm: 'An organization', graceS: 0, patienceS: 86_400 }
const ACTOR = 'system'

const deletionsOf = (node: RevokingNode, database: Pick<Database, 'withTenant' | 'lookups'> = node.database): OrganizationDeletions =>
  createOrganizationDeletions({ database, bulk: node.service.bulk, logger: silent })

/** As if the time had passed: everything that waits of it is due. */
async function elapse(org: OrgId): Promise<void> {
  await world.rows(
    'update sallyport.organization_deletion set next_at = clock_timestamp(), due_at = least(due_at, clock_timestamp()) where org_id = $1',
    [org],
  )
  await world.rows('update sallyport.bulk_revocation set next_at = clock_timestamp()')
  await world.elapse()
}

/** Lets both nodes work in turn until the organization is gone. */
async function finish(org: OrgId): Promise<void> {
  for (let round = 0; round < 50 && (await isThere(org)); round++) {
    const node = round % 2 === 0 ? one : two
    await elapse(org)
    await deletionsOf(node).work()
    while (await node.service.bulk.work());
    while ((await node.service.queue.work()) > 0);
  }
  expect(await isThere(org)).toBe(false)
}

async function isThere(org: OrgId): Promise<boolean> {
  return (await world.rows('select id from sallyport.organization where id = $1', [org])).length > 0
}

/** What stays: nothing else of it, the keys by which its log said who somebody was least of all. */
const LOG = ['audit_event', 'audit_head']

/** Tables that still hold rows of it. */
async function remains(org: OrgId): Promise<string[]> {
  const tables = await world.rows<{ name: string }>(
    `select table_name as name from information_schema.columns where table_schema = 'sallyport' and column_name = 'org_id' order by 1`,
  )
  const left: string[] = []
  for (const { name } of tables) {
    if ((await world.rows(`select 1 from sallyport.${name} where org_id = $1 limit 1`, [org])).length > 0) left.push(name)
  }
  return left
}

/** Connections, a key, a member, an invitation, a link, records, and an event that says who it was. */
async function makeFull(name: string): Promise<RevocableTenant & { readonly link: Buffer; readonly key: ReturnType<typeof newId<'key'>> }> {
  const tenant = await makeRevocableTenant(one)
  for (const n of [1, 2, 3]) await connect(one, tenant, tokenSet(`${name}-${n}`), { endUser: `user-${n}`, account: `${name}-${n}` })
  const person = await one.database.lookups.personUpsert({ id: newId('user'), issuer: 'test', subject: name, name })
  const [key, link] = [newId('key'), Buffer.from(name.padEnd(32, '.').slice(0, 32))]
  await one.database.withTenant(tenant.org, async (tx) => {
    await membershipPut(tx, person, 'OWNER')
    await apiKeyInsert(tx, {
      ...tenant.place,
      id: key,
      name: 'k',
      secretHmac: Buffer.alloc(32),
      secretArgon2id: '$argon2id$not-a-hash',
      scopes: ['proxy:call'],
      connection: null,
      createdBy: 'system',
      expiresAt: null,
    })
    await invitationInsert(tx, { id: newId('inv'), email: 'a@example.com', role: 'VIEWER', tokenHash: link, invitedBy: person, lifeS: 600 })
    await connectSessionInsert(tx, {
      ...tenant.place,
      id: newId('cs'),
      integration: tenant.integration,
      connection: null,
      reconnect: false,
      endUserId: 'user-9',
      linkHash: link,
      returnTo: null,
      startedBy: 'system',
      consoleSessionHash: null,
      ttlSeconds: 600,
    })
    const event = { action: 'session.created', actor: 'user_1', target: 'user_1', detail: {} }
    const about = { subject: 'user_1', facts: { email: `${name}@example.test` } }
    const personal = await createPersonal({ vault: one.vault, logger: silent }).seal(tx, event, about)
    await appendAudit(tx, { ...event, personal })
    await requestRecordInsertMany(
      tx,
      Array.from({ length: 1200 }, () => ({
        ...tenant.place,
        org: tenant.org,
        id: newId('req'),
        at: new Date(),
        integrationSlug: 'api',
        connection: null,
        key,
        method: 'GET',
        path: '/',
        status: 200,
        source: 'provider' as const,
        error: null,
        durationUs: 1,
        bytesIn: 0,
        bytesOut: 0,
      })),
    )
  })
  return { ...tenant, link, key }
}

const told = (name: string): string[] => world.provider.asked.map(({ token }) => token).filter((token) => token.includes(`${name}-`))

describe('the deletion of an organization', () => {
  it('S69 A-04 ends every connection at its provider, destroys the keys, leaves no row but the log, and the log verifies', async () => {
    const tenant = await makeFull('whole')
    const other = await makeFull('bystander')
    await deletionsOf(one).request(tenant.org, ACTOR, NOW)
    await finish(tenant.org)

    expect(new Set(told('whole'))).toEqual(new Set([1, 2, 3].flatMap((n) => [`refresh-whole-${n}`, `access-whole-${n}`])))
    expect(await remains(tenant.org)).toEqual(LOG)
    expect(await verifyOrganization(one.database, tenant.org)).toMatchObject({ intact: true })
    const actions = (await world.events(tenant.org)).map(({ action }) => action)
    expect(actions).toEqual(
      expect.arrayContaining(['organization.deletion_requested', 'bulk_revocation.finished', 'connection.revoked', 'data_key.destroyed']),
    )
    expect(actions.at(-1)).toBe('organization.deleted')
    const installation = await world.rows<{ target: string }>(
      `select target from sallyport.audit_event where org_id = $1 and action = 'organization.deleted'`,
      [INSTALLATION],
    )
    expect(installation.map(({ target }) => target)).toContain(formatId('org', tenant.org))

    expect(told('bystander')).toEqual([])
    expect(await remains(other.org)).toEqual(
      expect.arrayContaining(['api_key', 'audit_subject_key', 'connection', 'data_key', 'request_record']),
    )
    expect(await one.database.withTenant(other.org, dataKeyList)).toHaveLength(1)
  })

  it('closes at once: no key, no session and no link is known from the request on, and all are when it is taken back', async () => {
    const { org, key, link } = await makeFull('closing')
    const { lookups } = two.database
    const known = async () => [await lookups.keyLookup(key), await lookups.connectSessionLookup(link), await lookups.invitationLookup(link)]
    expect((await known()).every((found) => found !== undefined)).toBe(true)
    await deletionsOf(one).request(org, ACTOR, { ...NOW, graceS: 3600 })
    expect(await known()).toEqual([undefined, undefined, undefined])
    // Nobody is given it before its time.
    expect(await deletionsOf(two).work()).toBe(false)
    await deletionsOf(two).takeBack(org, ACTOR)
    expect((await known()).every((found) => found !== undefined)).toBe(true)
    expect(told('closing')).toEqual([])
    expect((await world.events(org)).map(({ action }) => action)).toEqual([
      'session.created',
      'organization.deletion_requested',
      'organization.deletion_cancelled',
    ])
  })

  it('is heard by a node that has proven a key before', async () => {
    const tenant = await makeRevocableTenant(one)
    const pepper = hmacKey(generateKeyBytes())
    const on = (node: RevokingNode) =>
      createKeyAuthenticator({
        lookups: node.database.lookups,
        onChange: (listener) => node.database.onChange(listener),
        pepper,
        clock: systemClock,
        logger: silent,
      })
    const [here, there] = [on(one), on(two)]
    const id = newId('key')
    const { text, hmac, argon2id } = await here.mint('test', id, tenant.org)
    const key = { id, name: 'k', secretHmac: hmac, secretArgon2id: argon2id, scopes: ['proxy:call' as const], connection: null }
    await one.database.withTenant(tenant.org, (tx) => apiKeyInsert(tx, { ...tenant.place, ...key, createdBy: 'system', expiresAt: null }))
    await there.authenticate(text.reveal(), '192.0.2.1')
    await deletionsOf(one).request(tenant.org, ACTOR, { ...NOW, graceS: 3600 })
    expect(here.cached(text.reveal())).toBeUndefined()
    // By its age alone it would be forgotten after ten seconds.
    await expect.poll(() => there.cached(text.reveal()), { timeout: 8_000 }).toBeUndefined()
    await expect(there.authenticate(text.reveal(), '192.0.2.1')).rejects.toMatchObject({ code: 'unauthenticated' })
    here.close()
    there.close()
  })

  it('needs the exact name, is begun once, and can not be taken back once connections end', async () => {
    const { org } = await makeRevocableTenant(one)
    const deletions = deletionsOf(one)
    for (const confirm of ['an organization', 'An organization ', formatId('org', org)]) {
      await expect(deletions.request(org, ACTOR, { ...NOW, confirm })).rejects.toMatchObject({ code: 'confirmation_mismatch' })
    }
    await expect(deletions.find(org)).rejects.toMatchObject({ code: 'not_found' })
    const [first, second] = await Promise.allSettled([deletions.request(org, ACTOR, NOW), deletionsOf(two).request(org, ACTOR, NOW)])
    expect([first.status, second.status].toSorted()).toEqual(['fulfilled', 'rejected'])
    await elapse(org)
    await deletions.work()
    expect(await deletions.find(org)).toMatchObject({ state: 'revoking' })
    await expect(deletions.takeBack(org, ACTOR)).rejects.toMatchObject({ code: 'conflict' })
    await finish(org)
    await expect(deletions.takeBack(org, ACTOR)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('waits for a provider that does not answer, and not for ever: what it was not told is on record', async () => {
    const tenant = await makeRevocableTenant(one)
    await connect(one, tenant, tokenSet('unheard-1'), { account: 'unheard' })
    world.provider.behave({ status: 503 })
    try {
      const deletions = deletionsOf(one)
      await deletions.request(tenant.org, ACTOR, { ...NOW, patienceS: 600 })
      for (let round = 0; round < 4; round++) {
        await elapse(tenant.org)
        await deletions.work()
        while (await one.service.bulk.work());
        await one.service.queue.work()
      }
      expect(await deletions.find(tenant.org)).toMatchObject({ state: 'revoking' })
      expect(await one.database.withTenant(tenant.org, dataKeyList)).toHaveLength(1)
      await world.rows(`update sallyport.organization_deletion set revoking_since = revoking_since - interval '1 hour' where org_id = $1`, [
        tenant.org,
      ])
      await finish(tenant.org)
    } finally {
      world.provider.behave({})
    }
    const untold = (await world.events(tenant.org)).find(({ action }) => action === 'organization.providers_not_told')
    expect(untold?.detail).toEqual({ grants: 1 })
  })

  it('ends what came in behind it, and ends: a connection that a straggler made, and the key that was made for it', async () => {
    const tenant = await makeRevocableTenant(one)
    await connect(one, tenant, tokenSet('early-1'), { account: 'early' })
    const deletions = deletionsOf(one)
    await deletions.request(tenant.org, ACTOR, NOW)
    for (let round = 0; round < 2; round++) {
      const state = round === 0 ? 'revoking' : 'destroying'
      for (let look = 0; look < 10 && (await deletions.find(tenant.org)).state !== state; look++) {
        await elapse(tenant.org)
        await deletions.work()
        while (await one.service.bulk.work());
        while ((await one.service.queue.work()) > 0);
      }
      expect(await deletions.find(tenant.org)).toMatchObject({ state })
      await connect(one, tenant, tokenSet(`behind-${round}`), { account: `behind-${round}` })
    }
    await finish(tenant.org)
    // Behind the destruction of the keys there is no client to speak as: that is on record instead.
    expect(new Set(told('behind'))).toEqual(new Set(['refresh-behind-0', 'access-behind-0']))
    const untold = (await world.events(tenant.org)).find(({ action }) => action === 'organization.providers_not_told')
    expect(untold?.detail).toEqual({ grants: 1 })
    expect(await remains(tenant.org)).toEqual(LOG)
    const actions = (await world.events(tenant.org)).map(({ action }) => action)
    expect(actions.at(-1)).toBe('organization.deleted')
    const said = await world.rows(
      `select 1 from sallyport.audit_event where org_id = $1 and action = 'organization.deleted' and target = $2`,
      [INSTALLATION, formatId('org', tenant.org)],
    )
    expect(said).toHaveLength(1)
  })

  it('goes on wherever it was interrupted, transaction by transaction, and each part happens once', async () => {
    let interrupted = true
    for (let survives = 0; interrupted; survives++) {
      expect(survives).toBeLessThan(30)
      const tenant = await makeRevocableTenant(one)
      await connect(one, tenant, tokenSet(`cut${survives}-1`), { account: `cut${survives}` })
      await deletionsOf(one).request(tenant.org, ACTOR, NOW)
      interrupted = await workUntilCut(tenant.org, survives)
      await finish(tenant.org)
      expect(await remains(tenant.org)).toEqual(LOG)
      const actions = (await world.events(tenant.org)).map(({ action }) => action)
      for (const once of ['bulk_revocation.started', 'connection.revoked', 'data_key.destroyed', 'organization.deleted']) {
        expect(
          actions.filter((action) => action === once),
          `${once}, cut after ${survives}`,
        ).toHaveLength(1)
      }
      expect(await verifyOrganization(one.database, tenant.org)).toMatchObject({ intact: true })
    }
  }, 120_000)

  it('goes on after kill -9 of the node that was at it', async () => {
    const tenant = await makeFull('killed')
    await deletionsOf(one).request(tenant.org, ACTOR, NOW)
    for (const kill of ['revoking', 'destroying', undefined]) {
      await elapse(tenant.org)
      const child = fork(new URL('ending-process.ts', import.meta.url), {
        env: {
          ...process.env,
          TEST_DATABASE_URL: world.db.url.reveal(),
          TEST_ROOT_KEYS: world.rootKeys,
          TEST_PROVIDER: world.provider.origin,
        },
        execArgv: ['--disable-warning=ExperimentalWarning'],
      })
      const gone = once(child, 'exit')
      await expect
        .poll(
          async () => {
            await elapse(tenant.org)
            const [row] = await world.rows<{ state: string }>('select state from sallyport.organization_deletion where org_id = $1', [
              tenant.org,
            ])
            return row === undefined || row.state === kill
          },
          { timeout: 60_000, interval: 20 },
        )
        .toBe(true)
      child.kill('SIGKILL')
      await gone
    }
    await finish(tenant.org)
    expect(await remains(tenant.org)).toEqual(LOG)
    expect(await verifyOrganization(one.database, tenant.org)).toMatchObject({ intact: true })
    expect(new Set(told('killed')).size).toBe(6)
  }, 120_000)

  it('T-20 is nothing that a statement of the gateway’s login can do to an organization that is not told to go', async () => {
    const { org } = await makeFull('statements')
    await world.db.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [org])
      const purge = await client.query<{ gone: string; ended: boolean }>(
        'select sallyport.organization_purge(100) as gone, sallyport.organization_end() as ended',
      )
      expect(purge.rows).toEqual([{ gone: '0', ended: false }])
      await expect(client.query('delete from sallyport.organization')).rejects.toMatchObject({ code: '42501' })
    })
    await deletionsOf(one).request(org, ACTOR, NOW)
    await world.db.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [org])
      // Told to go, and its keys are still there: nothing goes before they are destroyed.
      await client.query(`update sallyport.organization_deletion set state = 'destroying', bulk_id = $1, revoking_since = now()`, [
        newId('bulk'),
      ])
      const ended = await client.query<{ ended: boolean }>('select sallyport.organization_end() as ended')
      expect(ended.rows).toEqual([{ ended: false }])
      expect((await client.query('delete from sallyport.organization_deletion returning 1')).rows).toEqual([])
    })
    expect(await isThere(org)).toBe(true)
  })
})

/** Works as a node that is gone after `survives` transactions of this organization: the next one is committed, and nobody hears of it. */
async function workUntilCut(org: OrgId, survives: number): Promise<boolean> {
  let left = survives
  const cut: Pick<Database, 'withTenant' | 'lookups'> = {
    lookups: one.database.lookups,
    async withTenant(of, fn) {
      const result = await one.database.withTenant(of, fn)
      if (left-- === 0) throw new Error('the node is gone')
      return result
    },
  }
  const deletions = deletionsOf(one, cut)
  for (let round = 0; round < 20 && (await isThere(org)); round++) {
    await elapse(org)
    try {
      await deletions.work()
    } catch (error) {
      if (error instanceof Error && error.message === 'the node is gone') return true
      throw error
    }
    while (await one.service.bulk.work());
    while ((await one.service.queue.work()) > 0);
  }
  return false
}
