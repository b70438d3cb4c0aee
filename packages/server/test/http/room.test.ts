/** How much of each one organization may have, over the typed client: the bound is met, others are not touched by it, and what ends makes room. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, SallyportApiError } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { asAdmin, createWorld } from './world.ts'
import type { TestOrg, World } from './world.ts'

/** More than the world begins with, of anything. */
const MOST = 12

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'), {
    room: { connections: MOST, integrations: MOST, members: MOST, projects: MOST, providerKeys: MOST },
  })
})
afterAll(() => world?.close())

interface Kind {
  /** Rows that count. */
  readonly from: string
  /** Gives what `end` takes. */
  make(client: Client, at: TestOrg, n: number): Promise<string>
  end?(client: Client, at: TestOrg, id: string): Promise<unknown>
}

const owner = (at: TestOrg): Client =>
  createClient({ baseUrl: world.url, cookies: at.people.OWNER.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const placeOf = ({ params }: TestOrg) => ({ org: params.org, project: params.project, environment: 'test' as const })

const KINDS: Readonly<Record<string, Kind>> = {
  projects: {
    from: 'sallyport.project where org_id = $1',
    make: async (client, { params: { org } }, n) => (await client.call('projectCreate', { params: { org }, body: { name: `n ${n}` } })).id,
  },
  integrations: {
    from: 'sallyport.integration where org_id = $1',
    make: async (client, at, n) =>
      (
        await client.call('integrationCreate', {
          params: placeOf(at),
          body: { slug: `room-${n}`, provider: 'github', client_id: 'id', client_secret: 'not-a-secret' },
        })
      ).id,
    end: (client, at, integration) => client.call('integrationDelete', { params: { ...placeOf(at), integration } }),
  },
  connections: {
    from: `sallyport.connection where org_id = $1 and status <> 'revoked'`,
    make: async (client, at, n) =>
      (
        await client.call('connectionImport', {
          params: placeOf(at),
          body: { integration: 'github', end_user_id: `room-${n}`, access_token: `fake-${n}` },
        })
      ).id,
    end: (client, at, connection) => client.call('connectionRevoke', { params: { ...placeOf(at), connection } }),
  },
  'members and invitations': {
    from: `(select org_id from sallyport.membership union all
      select org_id from sallyport.invitation where accepted_at is null and revoked_at is null and expires_at > now()) found where org_id = $1`,
    make: async (client, { params: { org } }, n) =>
      (await client.call('invitationCreate', { params: { org }, body: { email: `room-${n}@corp.test`, role: 'VIEWER' } })).invitation.id,
    end: (client, { params: { org } }, invitation) => client.call('invitationRevoke', { params: { org, invitation } }),
  },
  'keys of model providers': {
    from: 'sallyport.provider_key where org_id = $1 and sealed is not null',
    make: async (client, { params: { org } }, n) =>
      (
        await client.call('organizationProviderKeyCreate', {
          params: { org },
          body: { provider: 'openai', name: `room ${n}`, secret: 'not-a-real-key' },
        })
      ).id,
    end: (client, { params: { org } }, key) =>
      client.call('organizationProviderKeyRevoke', { params: { org, organization_provider_key: key } }),
  },
}

const there = async ({ from }: Kind, at: TestOrg): Promise<number> =>
  Number((await asAdmin(world.adminUrl, `select count(*) as n from ${from}`, [at.org]))[0]!['n'])

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'taken',
    (error: unknown) => (error instanceof SallyportApiError ? `${error.status} ${error.code}` : String(error)),
  )

describe('an organization', () => {
  it.each(Object.entries(KINDS))('D-14 has so many %s, and room again for each that ends', async (_name, kind) => {
    const client = owner(world.a)
    let made = 0
    const make = (at = world.a): Promise<string> => kind.make(owner(at), at, (made += 1))
    const first = await make()
    for (let count = await there(kind, world.a); count < MOST; count++) await make()
    expect(await codeOf(make())).toBe('409 resource_limit')
    expect(await there(kind, world.a)).toBe(MOST)
    // Those of others are theirs.
    expect(await codeOf(make(world.b))).toBe('taken')
    if (kind.end === undefined) return
    await kind.end(client, world.a, first)
    expect(await codeOf(make())).toBe('taken')
    expect(await codeOf(make())).toBe('409 resource_limit')
  })

  it('D-14 that has no room begins no new connection, and renews the consent of one that is there', async () => {
    const client = owner(world.a)
    const kind = KINDS['connections']!
    for (let n = await there(kind, world.a); n < MOST; n++) await kind.make(client, world.a, 1_000 + n)
    const { data: all } = await client.call('connectionList', { params: placeOf(world.a), query: { limit: 200 } })
    const living = all.find(({ status, end_user_id: user }) => status === 'active' && user.startsWith('room-'))!
    const body = { integration: 'github', end_user_id: living.end_user_id }
    const begin = (connection?: string): Promise<unknown> =>
      client.call('connectSessionCreate', {
        params: placeOf(world.a),
        body: { ...body, ...(connection === undefined ? {} : { connection }) },
      })
    expect(await codeOf(begin())).toBe('409 resource_limit')
    expect(await codeOf(begin(living.id))).toBe('taken')
  })
})
