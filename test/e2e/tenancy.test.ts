import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations, problemSchema, SCOPES } from '@sallyport/contract'
import type { Operation, OperationName } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import type { IdPrefix } from '@sallyport/core'
import { addMember, addOrganization, connectAccount, createKey, setStage, signInOwner } from '@sallyport/testkit'
import type { Owner, Place, Stage } from '@sallyport/testkit'

/** Two organizations that made the same things under the same names; whatever A holds, B must not tell from what does not exist. */
let stage: Stage
let ours: Owner
let theirs: Owner
let theirConnection: string
let theirProxyKey: string
let theirFullKey: string

beforeAll(async () => {
  stage = await setStage({ postgresUrl: inject('postgresUrl') })
  ours = stage.owner
  const me = await ours.client.call('whoami', {})
  const place = await addOrganization(stage.gateway.databaseUrl!, me.id)
  // A session of its own: what the first one knows of memberships is remembered for some seconds.
  const again = await signInOwner({ url: stage.gateway.url, starterToken: new URL(stage.gateway.ownerLink).hash.slice('#owner='.length) })
  theirs = { ...again, place }
  await theirs.client.call('integrationCreate', {
    params: theirs.place,
    body: { slug: 'api', provider: 'github', client_id: stage.issuer.clientId, client_secret: stage.issuer.clientSecret },
  })
  theirConnection = await connectAccount(theirs, 'user-1')
  theirProxyKey = await createKey(theirs, ['proxy:call'])
  theirFullKey = await createKey(theirs, [...SCOPES])
  stage.upstream.answer((request, response) => void response.end(request.headers.authorization))
})
afterAll(() => stage.close())

interface Told {
  readonly status: number
  readonly headers: Record<string, string>
  readonly problem: object
}

/**
 * What differs between any two answers: what names the request and its time, and how much the caller's own limits have left, which is counted down and
 * filled again meanwhile. The limits themselves are compared.
 */
const PASSING: ReadonlySet<string> = new Set([
  'date',
  'sallyport-request-id',
  'ratelimit',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
])

/** Everything a caller is told, but for what is this answer's alone. */
async function told(response: Response): Promise<Told> {
  const { instance: _instance, ...problem } = problemSchema.parse(await response.json())
  const headers = Object.fromEntries([...response.headers].filter(([name]) => !PASSING.has(name)))
  return { status: response.status, headers, problem }
}

describe('through the data plane', () => {
  const call = (key: string, selector: Record<string, string>): Promise<Response> =>
    fetch(`${stage.gateway.url}/proxy/api/user`, { headers: { authorization: `Bearer ${key}`, ...selector } })

  it('T-01 each organization’s key reaches its own account under the same name, again and again', async () => {
    for (let round = 0; round < 3; round++) {
      await (await call(stage.key, { 'sallyport-user': 'user-1' })).text()
      await (await call(theirProxyKey, { 'sallyport-user': 'user-1' })).text()
    }
    const tokens = stage.upstream.seen.slice(-6).map(({ headers }) => headers.authorization)
    expect(new Set([tokens[0], tokens[2], tokens[4]])).toEqual(new Set([`Bearer ${stage.token}`]))
    expect(new Set([tokens[1], tokens[3], tokens[5]])).toEqual(new Set([`Bearer ${stage.issuer.tokens.at(-1)}`]))
  })

  it('T-01 S-04 a foreign connection and one that does not exist are the same answer, in both directions', async () => {
    const before = stage.upstream.seen.length
    const random = await told(await call(stage.key, { 'sallyport-connection': formatId('conn', newId('conn')) }))
    expect(random).toMatchObject({ status: 404, problem: { code: 'not_found' } })
    expect(await told(await call(stage.key, { 'sallyport-connection': theirConnection }))).toEqual(random)
    expect(await told(await call(theirProxyKey, { 'sallyport-connection': stage.connection }))).toEqual(random)
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('one organization’s calls that never end leave the other’s alone', async () => {
    let arrived = 0
    const full = Promise.withResolvers<void>()
    stage.upstream.answer((request, response) => {
      if (request.url === '/user') response.end(request.headers.authorization)
      else if ((arrived += 1) === 64) full.resolve()
    })
    const leave = new AbortController()
    const hang = (): Promise<Response> =>
      stage.call('/hang', { signal: leave.signal, headers: { authorization: `Bearer ${stage.key}`, 'sallyport-user': 'user-1' } })
    const ended = Promise.allSettled(Array.from({ length: 64 }, hang))
    await full.promise
    const selector = { 'sallyport-user': 'user-1' }
    expect([(await call(stage.key, selector)).status, (await call(theirProxyKey, selector)).status]).toEqual([503, 200])
    leave.abort()
    await ended
  })

  it('a key is bound to nobody else’s connection', async () => {
    await expect(createKey(ours, ['proxy:call'], { connection: theirConnection })).rejects.toMatchObject({ status: 404 })
  })
})

describe('through the control plane', () => {
  const PREFIXES: Readonly<Record<string, IdPrefix>> = {
    org: 'org',
    project: 'proj',
    key: 'key',
    integration: 'int',
    connection: 'conn',
    session: 'cs',
    data_key: 'dk',
    source: 'esrc',
    bulk: 'bulk',
    member: 'user',
    invitation: 'inv',
    provider_key: 'pkey',
    organization_provider_key: 'pkey',
    model_route: 'mroute',
    budget: 'bud',
    request: 'req',
  }
  /** Parameters that name nothing of a tenant's. */
  const NO_TENANTS: ReadonlySet<string> = new Set(['environment', 'root_key'])

  async function objectsOf({ client, place }: Owner, connection: string): Promise<Record<string, string>> {
    const [keys, integrations, dataKeys] = await Promise.all([
      client.call('keyList', { params: place, query: { limit: 1 } }),
      client.call('integrationList', { params: place, query: { limit: 1 } }),
      client.call('dataKeyList', { params: { org: place.org } }),
    ])
    const endUser = `a user of ${place.org}`
    const { session } = await client.call('connectSessionCreate', { params: place, body: { integration: 'api', end_user_id: endUser } })
    const integration = integrations.data[0]!.id
    const { source } = await client.call('eventSourceCreate', { params: { ...place, integration }, body: { kind: 'github' } })
    const nothing = { provider: 'google', dry_run: false }
    const { bulk_revocation: bulk } = await client.call('bulkRevocationCreate', { params: { org: place.org }, body: nothing })
    const email = `${newId('inv')}@example.com`
    const { invitation } = await client.call('invitationCreate', { params: { org: place.org }, body: { email, role: 'VIEWER' } })
    const providerKey = { provider: 'openai', secret: 'not-a-real-key-1234', settings: {} }
    const kept = await client.call('providerKeyCreate', { params: place, body: { ...providerKey, name: 'own' } })
    const shared = await client.call('organizationProviderKeyCreate', {
      params: { org: place.org },
      body: { ...providerKey, name: 'shared' },
    })
    const route = await client.call('modelRouteCreate', {
      params: place,
      body: { name: 'a-route', targets: [{ provider: 'openai', model: 'a-model' }] },
    })
    const terms = { amount_usd: '1000000', period: 'total' as const, enforcement: 'warn' as const }
    const budget = await client.call('budgetCreate', { params: { org: place.org }, body: terms })
    const made = {
      budget: budget.id,
      model_route: route.id,
      // Nothing is kept of it: what is, is tried where it can be made (server/test/http/operations.test.ts).
      request: formatId('req', newId('req')),
      provider_key: kept.id,
      organization_provider_key: shared.id,
      member: await addMember(stage.gateway.databaseUrl!, place.org),
      invitation: invitation.id,
      connection,
      key: keys.data[0]!.id,
      integration,
      session: session.id,
      source: source.id,
      bulk: bulk!.id,
      end_user: endUser,
    }
    return { ...place, ...made, data_key: dataKeys.data[0]!.id }
  }

  /** The application's own names of its users have no form. */
  const randomOf = (part: string): string =>
    part === 'end_user' ? `a user of ${newId('org')}` : formatId(PREFIXES[part]!, newId(PREFIXES[part]!))

  const BODIES: Partial<Record<OperationName, object>> = {
    projectUpdate: { name: 'taken over' },
    keyUpdate: { name: 'taken over' },
    keyRotate: {},
    keyCreate: { name: 'mine', scopes: ['proxy:call'] },
    integrationUpdate: { client_id: 'taken-over' },
    integrationCreate: { slug: 'mine', provider: 'github', client_id: 'a', client_secret: 'b' },
    connectSessionCreate: { integration: 'api', end_user_id: 'x' },
    eventSourceCreate: { kind: 'github' },
    connectionImport: { integration: 'api', end_user_id: 'x', access_token: 'fake-token' },
    bulkRevocationCreate: { everything: true, dry_run: false },
    connectSessionComplete: { code: 'x', end_user_id: 'x' },
    providerKeyCreate: { provider: 'openai', secret: 'not-a-real-key-1234' },
    providerKeyRotate: { secret: 'not-a-real-key-1234' },
    modelRouteCreate: { name: 'mine', targets: [{ provider: 'openai', model: 'a-model' }] },
    modelRouteUpdate: { name: 'taken-over' },
    budgetCreate: { amount_usd: '1' },
    budgetUpdate: { amount_usd: '1' },
    organizationProviderKeyCreate: { provider: 'openai', secret: 'not-a-real-key-1234' },
    organizationProviderKeyRotate: { secret: 'not-a-real-key-1234' },
    dataKeyShred: { dry_run: true },
    organizationContain: { exposed_until: '2020-01-01T00:00:00Z', connections: 'keep' },
  }

  const named = Object.entries(operations as Record<string, Operation>).filter(([, operation]) => operation.access.audience === 'tenant')

  function send(name: string, operation: Operation, ids: Record<string, string>, key: string): Promise<Response> {
    const path = operation.path.replaceAll(/\{(\w+)\}/gu, (_all, part: string) => encodeURIComponent(idIn(ids, part)))
    const body = BODIES[name as OperationName]
    return fetch(stage.gateway.url + path, {
      method: operation.method,
      headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }

  /** A part that nobody made would be probed as the same text on both sides, and prove nothing. */
  function idIn(ids: Record<string, string>, part: string): string {
    const id = ids[part]
    if (id === undefined) throw new Error(`this test has no {${part}} to probe with: make one in objectsOf`)
    return id
  }

  /** Every mix of own and foreign ids in a path that holds at least one foreign one. */
  function mixes(parts: readonly string[], own: Record<string, string>, foreign: Record<string, string>): Record<string, string>[] {
    return Array.from({ length: 2 ** parts.length - 1 }, (_, bits) => ({
      environment: 'test',
      root_key: 'root-1',
      ...Object.fromEntries(parts.map((part, i) => [part, ((bits + 1) >> i) % 2 === 1 ? idIn(foreign, part) : idIn(own, part)])),
    }))
  }

  it('T-01 T-04 G3 no operation tells a foreign id, in any mix with own ones, from a random one', async () => {
    const own = await objectsOf(theirs, theirConnection)
    const foreign = await objectsOf(ours, stage.connection)
    let probes = 0
    for (const [name, operation] of named) {
      const parts = [...operation.path.matchAll(/\{(\w+)\}/gu)].map(([, part]) => part!).filter((part) => !NO_TENANTS.has(part))
      for (const ids of mixes(parts, own, foreign)) {
        const random = Object.fromEntries(
          Object.entries(ids).map(([part, id]) => [part, id === foreign[part] && !NO_TENANTS.has(part) ? randomOf(part) : id]),
        )
        const answer = await told(await send(name, operation, ids, theirFullKey))
        expect({ name, ids, status: [403, 404].includes(answer.status) }).toEqual({ name, ids, status: true })
        expect({ name, ...answer }).toEqual({ name, ...(await told(await send(name, operation, random, theirFullKey))) })
        probes += 1
      }
    }
    expect(probes).toBeGreaterThan(60)
  })

  it('T-02 what was probed is unchanged', async () => {
    const { data } = await ours.client.call('projectList', { params: { org: ours.place.org } })
    expect(data.map(({ name }) => name)).toEqual(['default'])
    const place: Place = ours.place
    expect((await ours.client.call('connectionGet', { params: { ...place, connection: stage.connection } })).status).toBe('active')
    const keys = (await ours.client.call('keyList', { params: place, query: { limit: 200 } })).data
    expect(keys.filter(({ revoked_at }) => revoked_at !== null)).toEqual([])
    expect(keys.filter(({ name }) => name === 'mine')).toEqual([])
    const { data: members } = await ours.client.call('memberList', { params: { org: place.org } })
    expect(members.map(({ role }) => role).toSorted()).toEqual(['OWNER', 'VIEWER'])
    const { data: invitations } = await ours.client.call('invitationList', { params: { org: place.org } })
    expect(invitations.map(({ role, state }) => `${role} ${state}`)).toEqual(['VIEWER open'])
  })
})
