import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { MetricsRegistry, newId, noMetrics, Secret, systemClock } from '@sallyport/core'
import { createContentLog } from '../../src/content/index.ts'
import { settingPut, storedContentInsert } from '../../src/db/index.ts'
import { METRICS } from '../../src/metrics/index.ts'
import { createOrganizationDeletions } from '../../src/organizations/index.ts'
import { createKeeper, storedContentPlace } from '../../src/vault/index.ts'
import { silent } from '../db/fresh-database.ts'
import { createRevocationWorld, makeRevocableTenant } from '../revocation/world.ts'
import type { RevocableTenant, RevocationWorld } from '../revocation/world.ts'

let world: RevocationWorld

beforeAll(async () => {
  world = await createRevocationWorld(inject('postgresUrl'))
  // A part may be a megabyte: what one statement takes of them has to end within the time that a statement is given.
  await world.rows(`
    create function public.refuse_many() returns trigger language plpgsql as $$
    declare
      most int := tg_argv[0]::int;
    begin
      if (select count(*) from taken) > most then raise 'more than % parts in one statement', most; end if;
      return null;
    end $$`)
  for (const [event, most] of [
    ['delete', 500],
    ['update', 10],
  ] as const)
    await world.rows(
      `create trigger not_many_${event} after ${event} on sallyport.stored_content referencing old table as taken
         for each statement execute function public.refuse_many(${most})`,
    )
})
afterAll(() => world?.close())

const left = async ({ org }: RevocableTenant): Promise<number> =>
  Number((await world.rows<{ n: string }>('select count(*) as n from sallyport.stored_content where org_id = $1', [org]))[0]?.n)

/** Parts of one end user's calls that nobody opens. */
async function keep({ org, place }: RevocableTenant, count: number): Promise<void> {
  await world.rows(
    `insert into sallyport.stored_content
       (org_id, id, project_id, environment, request_id, part, provider, end_user, bytes, whole, sealed, expires_at)
     select $1, gen_random_uuid(), $2, $3, gen_random_uuid(), 'prompt', 'openai', 'grace', 1, true, '\\x00', now() + interval '1 day'
     from generate_series(1, $4)`,
    [org, place.project, place.environment, count],
  )
}

describe('what is kept of many model calls', () => {
  it('S69 goes with its end user in pieces, all of it, and how much that was is on record', async () => {
    const [node] = world.nodes
    const tenant = await makeRevocableTenant(node)
    await keep(tenant, 1_200)
    const erased = await node.service.eraseEndUser(tenant.org, tenant.place, 'grace', 'key_of_a_test')
    expect(erased).toMatchObject({ connections: 0, contents: 1_200 })
    expect(await left(tenant)).toBe(0)
    const said = (await world.events(tenant.org)).filter(({ action }) => action === 'end_user.deleted')
    expect(said.map(({ detail }) => detail['stored_contents'])).toEqual([1_200])
  })

  it('S69 of a call that an erasure overtakes is not written, and that of a later call is', async () => {
    const [node] = world.nodes
    const tenant = await makeRevocableTenant(node)
    const { org, place } = tenant
    await node.database.withTenant(org, (tx) => settingPut(tx, 'store_prompts', true, 'system'))
    const metrics = new MetricsRegistry(METRICS)
    const vault = { seal: async () => Buffer.from([0]) }
    const log = createContentLog({ database: node.database, vault, logger: silent, metrics })
    const part = { org, place, request: newId('req'), part: 'prompt', provider: 'openai', status: null, bytes: 1 } as const
    const put = (endUser: string | null, agoMs: number): void => {
      expect(log.enter(org, 1)).toBe(true)
      log.put({ ...part, endUser, since: systemClock.monotonic() - agoMs, content: Buffer.from('x') })
    }
    await node.service.eraseEndUser(org, place, 'grace', 'key_of_a_test')
    await world.rows("update sallyport.end_user_forgotten set forgotten_at = now() - interval '1 hour' where org_id = $1", [org])
    for (const endUser of ['grace', 'ada', null]) for (const agoMs of [7_200_000, 1_800_000]) put(endUser, agoMs)
    await log.close(60_000)
    const rows = await world.rows<{ end_user: string | null; n: string }>(
      'select end_user, count(*) as n from sallyport.stored_content where org_id = $1 group by 1 order by 1',
      [org],
    )
    expect(rows.map(({ end_user: name, n }) => [name, Number(n)])).toEqual([
      ['ada', 2],
      ['grace', 1],
      [null, 2],
    ])
  })

  it('S69 goes with its organization in pieces', async () => {
    const [node] = world.nodes
    const tenant = await makeRevocableTenant(node)
    await keep(tenant, 1_200)
    const deletions = createOrganizationDeletions({ database: node.database, bulk: node.service.bulk, logger: silent })
    await deletions.request(tenant.org, 'system', { confirm: 'An organization', graceS: 0, patienceS: 86_400 })
    const isThere = async () => (await world.rows('select id from sallyport.organization where id = $1', [tenant.org])).length > 0
    for (let round = 0; round < 20 && (await isThere()); round++) {
      await world.rows('update sallyport.organization_deletion set next_at = clock_timestamp(), due_at = least(due_at, clock_timestamp())')
      await deletions.work()
      while (await node.service.bulk.work());
    }
    expect(await isThere()).toBe(false)
    expect(await left(tenant)).toBe(0)
  })

  it('comes under the next data key in pieces', async () => {
    const [{ database, vault }] = world.nodes
    const tenant = await makeRevocableTenant(world.nodes[0])
    const { org, place } = tenant
    await database.withTenant(org, async (tx) => {
      for (let n = 0; n < 25; n++) {
        const [id, request] = [newId('req') as string, newId('req')]
        const sealed = await vault.seal(tx, storedContentPlace(id), new Secret('a part'))
        const rest = { status: null, bytes: 6, whole: true, days: 1 }
        await storedContentInsert(tx, { id, place, request, part: 'prompt', provider: 'openai', endUser: null, sealed, ...rest })
      }
    })
    const keeper = createKeeper({ database, vault, clock: systemClock, logger: silent, metrics: noMetrics, rotateAfterDays: 90 })
    const renewed = await keeper.renew(org, 'system')
    await keeper.sweep(org, 'system')
    await keeper.close()
    expect(
      await world.rows('select sealed_under as under, count(*)::int as n from sallyport.stored_content where org_id = $1 group by 1', [
        org,
      ]),
    ).toEqual([{ under: renewed!.to, n: 25 }])
  })
})
