/**
 * Another site's page with a signed-in person's browser (battery J-20), against every operation of the contract that changes something: one that is
 * added is asked here by being there, and a route outside the contract that takes a credential does not start (route-guard.ts).
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations } from '@sallyport/contract'
import type { Operation, OperationName } from '@sallyport/contract'
import { auditEventList } from '../../src/db/index.ts'
import { createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const OWN = 'http://127.0.0.1:7255'
const JSON_TYPE = { 'content-type': 'application/json' }

/** What browsers send with requests that another page, a form, a frame or a link makes, and what only looks like ours. */
const FORGED: readonly Readonly<Record<string, string>>[] = [
  { ...JSON_TYPE },
  { ...JSON_TYPE, origin: 'https://evil.test' },
  { ...JSON_TYPE, origin: 'null' },
  { ...JSON_TYPE, origin: `${OWN}.evil.test` },
  { ...JSON_TYPE, origin: 'http://127.0.0.1:7256' },
  { ...JSON_TYPE, origin: 'https://127.0.0.1:7255' },
  { ...JSON_TYPE, 'sec-fetch-site': 'cross-site' },
  { ...JSON_TYPE, 'sec-fetch-site': 'same-site' },
  { ...JSON_TYPE, 'sec-fetch-site': 'none' },
  { ...JSON_TYPE, origin: 'https://evil.test', 'sec-fetch-site': 'same-origin' },
  { ...JSON_TYPE, origin: 'https://evil.test', referer: `${OWN}/console/` },
  { origin: OWN, 'content-type': 'text/plain' },
  { origin: OWN, 'content-type': 'application/x-www-form-urlencoded' },
  { origin: OWN, 'content-type': 'multipart/form-data; boundary=x' },
  { origin: OWN },
]

const pathOf = ({ path }: Operation): string =>
  path.replace(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent((world.a.params as Record<string, string>)[name] ?? ''))

const changes = (Object.entries(operations) as [OperationName, Operation][]).filter(([, { method }]) => method !== 'GET')
const withCredential = changes.filter(([, { access }]) => access.audience !== 'public')

describe('another site’s page', () => {
  it('J-20 is asked about at every change of the contract, and there are many', () => {
    expect(withCredential.length).toBeGreaterThan(30)
  })

  it.each(withCredential)('J-20 changes nothing through %s with the cookie of an owner', async (_name, operation) => {
    const { cookie } = world.a.people.OWNER
    const before = await eventsOf()
    expect(await outcomes(operation, FORGED, { cookie })).toEqual(FORGED.map((headers) => [headers, 403, 'cross_site_refused']))
    expect(await eventsOf()).toBe(before)
  })

  it.each(changes.filter(([, { access }]) => access.audience === 'public'))(
    'J-20 signs nobody in or out through %s, which asks for no credential',
    async (_name, operation) => {
      const forged = FORGED.filter((one) => (one['origin'] ?? OWN) !== OWN || one['sec-fetch-site'] !== undefined)
      expect(await outcomes(operation, forged)).toEqual(forged.map((headers) => [headers, 403, 'cross_site_refused']))
    },
  )
})

/** Of one request with each of these. */
function outcomes(operation: Operation, forged: typeof FORGED, own: Readonly<Record<string, string>> = {}): Promise<unknown[]> {
  return Promise.all(
    forged.map(async (headers) => {
      const answer = await send(world, pathOf(operation), { method: operation.method, headers: { ...own, ...headers }, body: '{}' })
      return [headers, answer.status, (answer.json as { code?: string } | undefined)?.code]
    }),
  )
}

async function eventsOf(): Promise<number> {
  await world.flush()
  return (await world.database.withTenant(world.a.org, (tx) => auditEventList(tx, { limit: 1_000 }))).length
}
