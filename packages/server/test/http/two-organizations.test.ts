/** A person of two organizations: each request says which, nothing remembers it, and what ends in one ends in that one alone. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { membershipPut } from '../../src/db/index.ts'
import { asAdmin, asPerson, createWorld, send } from './world.ts'
import type { Answer, TestOrg, World } from './world.ts'

let world: World
let both: { readonly id: Parameters<typeof membershipPut>[1]; readonly cookie: string }
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
  both = await world.makePerson(world.a.org, 'VIEWER')
  await world.database.withTenant(world.b.org, (tx) => membershipPut(tx, both.id, 'ADMIN'))
})
afterAll(() => world?.close())

const ask = (path: string, init: Partial<Parameters<typeof send>[2]> = {}, more: Record<string, string> = {}): Promise<Answer> =>
  send(world, path, { ...init, headers: { ...asPerson(both), ...more } })
const projects = ({ params: { org } }: Pick<TestOrg, 'params'>): string => `/api/v1/orgs/${org}/projects`
const idsIn = (answer: Answer): string[] => answer.json.data.map(({ id }: { id: string }) => id)

describe('a person of two organizations', () => {
  it('T-18 finds no operation on what an organization has whose path does not name the organization', () => {
    const nameless = Object.entries<Operation>(operations).filter(
      ([, { access, path }]) => access.tenant !== 'none' && !path.includes('{org}'),
    )
    expect(nameless.map(([name]) => name)).toEqual([])
  })

  it('T-18 is told of both, chooses by the path alone, and sees of each its own, however the requests mix', async () => {
    const { json } = await ask('/api/v1/whoami')
    expect(json.memberships.map(({ org, role }: { org: string; role: string }) => [org, role])).toEqual(
      expect.arrayContaining([
        [world.a.params.org, 'VIEWER'],
        [world.b.params.org, 'ADMIN'],
      ]),
    )
    const [a, b] = [idsIn(await ask(projects(world.a))), idsIn(await ask(projects(world.b)))]
    expect(a.filter((id) => b.includes(id))).toEqual([])
    const mixed = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(projects(n % 2 === 0 ? world.a : world.b))))
    for (const [n, answer] of mixed.entries()) expect(idsIn(answer)).toEqual(n % 2 === 0 ? a : b)
  })

  it('T-18 has in each the role of that one, and takes nothing along by a header, a query or a body', async () => {
    const other = world.b.params.org
    const make = (at: TestOrg, more: Record<string, string> = {}, query = ''): Promise<Answer> =>
      ask(`${projects(at)}${query}`, { method: 'POST', body: { name: 'made' } }, more)
    expect((await make(world.b)).status).toBe(201)
    expect((await make(world.a)).status).toBe(403)
    for (const name of ['x-organization', 'x-org-id', 'sallyport-organization', 'x-tenant-id'])
      expect((await make(world.a, { [name]: other })).status, name).toBe(403)
    expect([400, 403]).toContain((await make(world.a, {}, `?org=${other}`)).status)
    const named = await ask(projects(world.a), { method: 'POST', body: { name: 'made', org: other, org_id: other } })
    expect([400, 403]).toContain(named.status)
    expect((await ask(`${projects(world.a)}/${world.b.params.project}`)).status).toBe(404)
    expect((await ask(`${projects(world.b)}/${world.a.params.project}`)).status).toBe(404)
  })

  it('T-18 makes two things, one in each, under one Idempotency-Key', async () => {
    await world.database.withTenant(world.a.org, (tx) => membershipPut(tx, both.id, 'ADMIN'))
    const make = (at: TestOrg): Promise<Answer> =>
      ask(projects(at), { method: 'POST', body: { name: 'once' } }, { 'idempotency-key': 'the-same-in-both' })
    const [first, second, again] = [await make(world.a), await make(world.b), await make(world.a)]
    expect([first.status, second.status, again.status]).toEqual([201, 201, 201])
    expect(second.json.id).not.toBe(first.json.id)
    expect(again.json.id).toBe(first.json.id)
    expect(idsIn(await ask(`${projects(world.b)}?limit=200`))).not.toContain(first.json.id)
  })

  it('T-18 with a cookie from before loses the one that was left, at once, and keeps the other; ended, it opens neither', async () => {
    const owner = asPerson(world.a.people.OWNER)
    const { json } = await ask('/api/v1/whoami')
    const removed = await send(world, `/api/v1/orgs/${world.a.params.org}/members/${json.id}`, { method: 'DELETE', headers: owner })
    expect(removed.status).toBeLessThan(300)
    expect((await ask(projects(world.a))).status).toBe(404)
    expect((await ask(projects(world.b))).status).toBe(200)
    expect((await ask('/api/v1/session', { method: 'DELETE' })).status).toBeLessThan(300)
    expect([(await ask(projects(world.a))).status, (await ask(projects(world.b))).status]).toEqual([401, 401])
    const rows = await asAdmin(world.adminUrl, 'select column_name from information_schema.columns where table_name = $1', [
      'console_session',
    ])
    expect(rows.map((row) => row['column_name'])).not.toContain('org_id')
  })
})
