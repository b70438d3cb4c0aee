/**
 * Every operation of the contract against every kind of caller, generated from the table: an operation that is added is covered by being
 * there, and one whose access is wider than it says fails here.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { ENVIRONMENTS, operations, problemSchema, ROLE_CONTAINS, ROLES, SCOPES } from '@sallyport/contract'
import type { Environment, Operation, OperationName, Role, Scope } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import { asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, TestOrg, World } from './world.ts'

let world: World
const scopeKeys = new Map<`${Environment | 'organization'} ${Scope}`, string>()
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
  for (const environment of ENVIRONMENTS)
    for (const scope of SCOPES) scopeKeys.set(`${environment} ${scope}`, await world.makeKey(world.a, { environment, scopes: [scope] }))
  const ofOrganization = { project: null, environment: 'live' } as const
  for (const scope of SCOPES) scopeKeys.set(`organization ${scope}`, await world.makeKey(world.a, { ...ofOrganization, scopes: [scope] }))
})
afterAll(() => world?.close())

const all = Object.entries(operations) as [OperationName, Operation][]
const inTenant = all.filter(([, operation]) => operation.access.audience === 'tenant')

let made = 0
/** Another each time, and so high that nobody meets it. */
const otherLimit = () => ({ per_second: 1_000_000 - (made += 1), burst: 1_000_000 })

/** A body that fits the operation's schema. What it does then is the operation's own test. */
let providerKeys = 0
/** Its name is its own: one stands under each. */
const aProviderKey = () => ({ provider: 'openai', name: `made ${(providerKeys += 1)}`, secret: 'not-a-real-key' })

const BODIES: Partial<Record<OperationName, () => unknown>> = {
  sessionCreate: () => ({ owner_token: 'x'.repeat(43) }),
  organizationCreate: () => ({ name: 'Another' }),
  organizationUpdate: () => ({ name: `Renamed ${newId('org')}` }),
  settingsUpdate: () => ({ audit_use_mode: 'batched' }),
  memberUpdate: () => ({ role: 'VIEWER' }),
  invitationCreate: () => ({ email: `${newId('inv')}@example.com`, role: 'VIEWER' }),
  invitationAccept: () => ({ token: 'x'.repeat(43) }),
  auditForget: () => ({ about: formatId('user', newId('user')) }),
  organizationDelete: () => ({ confirm: 'another name' }),
  projectCreate: () => ({ name: 'Another' }),
  projectUpdate: () => ({ name: 'Renamed' }),
  organizationRateLimitUpdate: () => ({ limit: otherLimit() }),
  projectRateLimitUpdate: () => ({ limit: otherLimit() }),
  keyRateLimitUpdate: () => ({ limit: otherLimit() }),
  browserAccessUpdate: () => ({ origins: [`https://page-${(made += 1)}.test`] }),
  keyCreate: () => ({ name: 'made', scopes: ['proxy:call'] }),
  keyUpdate: () => ({ name: 'Renamed', allowed_addresses: ['0.0.0.0/0', '::/0'] }),
  keyRotate: () => ({ overlap_s: 3_600 }),
  organizationKeyCreate: () => ({ name: 'made', scopes: ['projects:read'] }),
  organizationKeyUpdate: () => ({ name: 'Renamed' }),
  organizationKeyRotate: () => ({ overlap_s: 3_600 }),
  integrationCreate: () => ({
    slug: `s${newId('int').replaceAll('-', '')}`,
    provider: 'github',
    client_id: 'id',
    client_secret: 'not-a-secret',
  }),
  integrationUpdate: () => ({ client_secret: `not-a-secret-${(made += 1)}` }),
  connectSessionCreate: () => ({ integration: 'github', end_user_id: 'user-1' }),
  connectionImport: () => ({ integration: 'github', end_user_id: 'user-1', access_token: 'fake-token', refresh_token: 'fake-refresh' }),
  eventSourceCreate: () => ({ kind: 'github' }),
  organizationProviderKeyCreate: aProviderKey,
  organizationProviderKeyRotate: () => ({ secret: 'not-a-real-key' }),
  providerKeyCreate: aProviderKey,
  providerKeyRotate: () => ({ secret: 'not-a-real-key' }),
  modelRouteCreate: () => ({ name: `made-${(made += 1)}`, targets: [{ provider: 'openai', model: 'a-model' }] }),
  modelRouteUpdate: () => ({ deadline_ms: 10_000 + (made += 1) }),
  bulkRevocationCreate: () => ({ provider: 'google', dry_run: false }),
  connectSessionComplete: () => ({ code: 'wrong', end_user_id: 'user-1' }),
  dataKeyShred: () => ({ dry_run: true }),
  signInPolicyUpdate: () => ({ ways: null }),
  organizationContain: () => ({ exposed_until: '2020-01-01T00:00:00Z', connections: 'keep' }),
}
/** Changes that need more than a well-formed request, or that do nothing when they are asked as here; their own tests show their events. */
const NEEDS_MORE: ReadonlySet<OperationName> = new Set([
  'organizationDelete',
  'organizationDeletionCancel',
  'settingsUpdate',
  'memberUpdate',
  'memberRemove',
  'organizationLeave',
  'organizationKeyUpdate',
  'organizationKeyRotate',
  'organizationKeyRevoke',
  'projectArchive',
  'projectRestore',
  'integrationDelete',
  'connectSessionComplete',
  'dataKeyRemove',
  'dataKeyShred',
  'rootKeyRemove',
  'rootKeyRotate',
])
/** They end the key that they are given, or give what it may to somebody. */
const FRESH_KEYS: ReadonlySet<OperationName> = new Set(['keyRevoke', 'keyRotate'])
/** A key gives away no scope that it lacks: with its one scope alone it gives none of those that are asked for here. */
const GIVES_AWAY: ReadonlySet<OperationName> = new Set(['keyCreate', 'keyRotate', 'organizationKeyCreate'])
/** Parameters that name nothing of a tenant's. */
const NO_TENANTS: ReadonlySet<string> = new Set(['environment', 'root_key'])

function pathOf(operation: Operation, params: Readonly<Record<string, string>>): string {
  return operation.path.replace(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(params[name] ?? ''))
}

function ask(
  [name, operation]: [OperationName, Operation],
  params: Readonly<Record<string, string>>,
  headers: Record<string, string>,
): Promise<Answer> {
  const body = BODIES[name]?.()
  return send(world, pathOf(operation, params), { method: operation.method, headers, ...(body === undefined ? {} : { body }) })
}

/** Allowed, as far as access goes: the operation itself may still find nothing to do. */
const ACCESS_DENIED = new Set(['forbidden', 'insufficient_scope', 'environment_mismatch', 'unauthenticated', 'cross_site_refused'])
const allowed = (answer: Answer): boolean => !ACCESS_DENIED.has(answer.json?.code)

describe('every operation', () => {
  it.each(all.filter(([, { access }]) => access.audience !== 'public'))(
    'T-06 %s refuses a caller without a credential, before anything else',
    async (name, operation) => {
      const answer = await ask([name, operation], world.a.params, {})
      expect(answer).toMatchObject({ status: 401, json: { code: 'unauthenticated' } })
      expect(problemSchema.parse(answer.json)).toBeTruthy()
      expect(answer.headers).toMatchObject({ 'sallyport-error-source': 'gateway', 'cache-control': 'no-store' })
    },
  )

  it.each(inTenant)('T-07 T-11 %s takes exactly the roles that its table row names', async (name, operation) => {
    for (const role of ROLES) {
      // Some operations end what they are given; each role gets a fresh key to work on.
      const answer = await ask([name, operation], await paramsFor(name), asPerson(await callerOf(name, role)))
      const expected = operation.access.role !== undefined && ROLE_CONTAINS[role].includes(operation.access.role)
      expect([role, allowed(answer), answer.status >= 500], answer.text).toEqual([role, expected, false])
    }
  })

  it.each(inTenant)('T-09 %s takes exactly the scope that its table row names', async (name, operation) => {
    // What environments share, only live keys change; and what is the organization's, only its own keys.
    const environment = { org: 'organization', project: 'live', environment: 'test', none: 'test' }[operation.access.tenant] as 'live'
    for (const scope of SCOPES) {
      const params = await paramsFor(name)
      const answer = await ask([name, operation], params, asKey(scopeKeys.get(`${environment} ${scope}`)!))
      const expected = operation.access.scope === scope && !GIVES_AWAY.has(name)
      expect([scope, allowed(answer), answer.status >= 500], answer.text).toEqual([scope, expected, false])
    }
  })

  it.each(inTenant)(
    "T-01 T-04 %s answers for another organization's ids as for random ones, byte for byte but the request",
    async (name, operation) => {
      const random = randomParams(world.b.params)
      const names = Object.keys(world.a.params).filter((param) => !NO_TENANTS.has(param) && operation.path.includes(`{${param}}`))
      const callers = [asKey(world.b.key), asPerson(world.b.people.OWNER)]
      for (const headers of callers) {
        // Every mix of B's own ids with A's, against the same mix with ids that nobody has.
        for (let mix = 1; mix < 1 << names.length; mix++) {
          const foreign = { ...world.b.params }
          const absent = { ...world.b.params }
          names.forEach((param, index) => {
            if ((mix >> index) % 2 === 0) return
            foreign[param as keyof typeof foreign] = world.a.params[param as keyof typeof foreign]
            absent[param as keyof typeof absent] = random[param]!
          })
          const [seen, unseen] = [await ask([name, operation], foreign, headers), await ask([name, operation], absent, headers)]
          expect([seen.status, anonymous(seen)], JSON.stringify(foreign)).toEqual([unseen.status, anonymous(unseen)])
          expect([403, 404]).toContain(seen.status)
          if (operation.access.role !== undefined && 'cookie' in headers) expect(seen.json.code).toBe('not_found')
        }
      }
    },
  )

  it.each(inTenant.filter(([, { access }]) => access.tenant === 'environment'))(
    'K-13 %s refuses a test key in live and a live key in test',
    async (name, operation) => {
      const live = await world.makeKey(world.a, { environment: 'live' })
      const inLive = { ...world.a.params, environment: 'live' }
      expect((await ask([name, operation], inLive, asKey(world.a.key))).json).toMatchObject({ status: 403, code: 'environment_mismatch' })
      expect((await ask([name, operation], world.a.params, asKey(live))).json).toMatchObject({ status: 403, code: 'environment_mismatch' })
    },
  )

  it.each(all.filter(([, { body }]) => body !== undefined))(
    'T-08 %s refuses fields that are not its own, and names them',
    async (name, operation) => {
      const own = BODIES[name]!() as object
      const body = { role: 'OWNER', orgId: world.a.params.org, createdBy: 'me', ...own }
      const headers = operation.access.audience === 'public' ? {} : asPerson(world.a.people.OWNER)
      const answer = await send(world, pathOf(operation, world.a.params), { method: operation.method, headers, body })
      expect(answer.json).toMatchObject({ status: 400, code: 'validation_failed' })
      const pointers = answer.json.errors.map((fault: { pointer: string }) => fault.pointer)
      const foreign = ['role', 'orgId', 'createdBy'].filter((field) => !(field in own))
      expect(pointers.toSorted()).toEqual(foreign.map((field) => `/body/${field}`).toSorted())
    },
  )

  it.each(inTenant)('T-06 %s never takes a default for a tenant that the path leaves out', async (name, operation) => {
    for (const param of ['org', 'project', 'environment'].filter((one) => operation.path.includes(`{${one}}`))) {
      const answer = await ask([name, operation], { ...world.a.params, [param]: '' }, asKey(world.a.key))
      expect([400, 404, 405]).toContain(answer.status)
    }
  })

  it('T-07 changes only what is audited: each change by a person stands in the log under its declared action', async () => {
    const owner = asPerson(world.b.people.OWNER)
    const changes = inTenant.filter(([name, { method }]) => method !== 'GET' && !NEEDS_MORE.has(name))
    for (const change of changes) expect((await ask(change, world.b.params, owner)).status, change[0]).toBeLessThan(300)
    const { data } = (await ask(['auditEventList', operations.auditEventList], world.b.params, owner)).json
    const written = data.map((event: { action: string; actor: string }) => `${event.action} ${event.actor}`)
    const actor = formatId('user', world.b.people.OWNER.id)
    expect(written).toEqual(expect.arrayContaining(changes.map(([, { access }]) => `${access.audit} ${actor}`)))
    expect((await ask(['auditVerify', operations.auditVerify], world.b.params, owner)).json).toMatchObject({
      intact: true,
      first_fault: null,
    })
  })
})

/** Some operations end what they are given, or who asks: each role gets something fresh to work on. */
async function paramsFor(name: OperationName): Promise<TestOrg['params']> {
  if (FRESH_KEYS.has(name)) return withFreshKey()
  if (name !== 'memberRemove') return world.a.params
  return { ...world.a.params, member: formatId('user', (await world.makePerson(world.a.org, 'VIEWER')).id) }
}

function callerOf(name: OperationName, role: Role): Promise<{ readonly cookie: string }> {
  return name === 'organizationLeave' ? world.makePerson(world.a.org, role) : Promise.resolve(world.a.people[role])
}

async function withFreshKey(): Promise<TestOrg['params']> {
  const made = await send(world, pathOf(operations.keyCreate, world.a.params), {
    method: 'POST',
    headers: asPerson(world.a.people.OWNER),
    body: { name: 'to be revoked', scopes: ['proxy:call'] },
  })
  return { ...world.a.params, key: made.json.key.id }
}

function randomParams(like: TestOrg['params']): Record<string, string> {
  const fresh = {
    org: formatId('org', newId('org')),
    project: formatId('proj', newId('proj')),
    key: formatId('key', newId('key')),
    integration: formatId('int', newId('int')),
    connection: formatId('conn', newId('conn')),
    session: formatId('cs', newId('cs')),
    data_key: formatId('dk', newId('dk')),
    bulk: formatId('bulk', newId('bulk')),
    source: formatId('esrc', newId('esrc')),
    model_route: formatId('mroute', newId('mroute')),
    member: formatId('user', newId('user')),
    invitation: formatId('inv', newId('inv')),
    provider_key: formatId('pkey', newId('pkey')),
    organization_provider_key: formatId('pkey', newId('pkey')),
    end_user: 'a user of nobody',
  }
  return { ...like, ...fresh }
}

/** The body without the one thing that differs between any two answers. */
function anonymous({ text }: Answer): string {
  return text.replace(/req_[0-9A-Za-z]{22}/gu, 'req')
}
