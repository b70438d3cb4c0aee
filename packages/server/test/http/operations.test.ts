/**
 * Every operation of the contract against every kind of caller, generated from the table: an operation that is added is covered by being
 * there, and one whose access is wider than it says fails here.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { ENVIRONMENTS, operations, ORGANIZATION_KEY_SCOPES, problemSchema, ROLE_CONTAINS, ROLES, SCOPES } from '@sallyport/contract'
import type { Environment, Operation, OperationName, Role, Scope } from '@sallyport/contract'
import { formatId, newId, parseGatewayKey, parseId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { auditEndFind, auditEventListAscending } from '../../src/db/index.ts'
import type { StoredAuditEvent } from '../../src/db/index.ts'
import { asAdmin, asKey, asPerson, createWorld, send } from './world.ts'
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
  budgetCreate: () => ({ amount_usd: '5', period: (['day', 'month'] as const)[(made += 1) % 2] }),
  budgetUpdate: () => ({ amount_usd: String((made += 1)) }),
  bulkRevocationCreate: () => ({ provider: 'google', dry_run: false }),
  connectSessionComplete: () => ({ code: 'wrong', end_user_id: 'user-1' }),
  dataKeyShred: () => ({ dry_run: true }),
  signInPolicyUpdate: () => ({ ways: null }),
  organizationContain: () => ({ exposed_until: '2020-01-01T00:00:00Z', connections: 'keep' }),
}
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
})

describe('the audit log', () => {
  const audited = all.filter(([, { access }]) => access.audit !== 'none')

  it.each(audited.filter(([name]) => !ELSEWHERE.has(name)))(
    'A-06 A-15 has exactly one event of %s that succeeds, under its declared action, by whoever asked',
    async (name, operation) => {
      for (const kind of kindsOf(operation)) {
        const at = await world.makeOrg(newId('org'))
        const call = { ...(await byDefault(name, at, kind)), ...(await PREPARED[name]?.(at)) }
        const before = await ends(at)
        const answer = await send(world, pathOf(operation, call.params), { ...call, method: operation.method })
        expect(answer.status, `${kind}: ${answer.text}`).toBeLessThan(300)
        if (name === 'organizationCreate') before.set(parseId('org', answer.json.id)!, 0n)
        const expected = [operation.access.audit, ...(BESIDE[name] ?? [])].map((action) => [action, call.actor])
        await expect.poll(async () => (await since(before)).map(({ action, actor }) => [action, actor])).toEqual(expected)
        const written = await since(before)
        // It is about something that the request named or made.
        const named = [...Object.values(call.params), call.actor].some((id) => written[0]!.target === id)
        expect(named || answer.text.includes(written[0]!.target) || JSON.stringify(call.body).includes(written[0]!.target)).toBe(true)
      }
    },
  )

  it.each(audited)('A-06 has no event of %s that was refused', async (name, operation) => {
    const before = await ends(world.a, world.b)
    const path = pathOf(operation, world.a.params)
    const refused = async (headers: Record<string, string>, body: unknown = BODIES[name]?.()) => {
      const answer = await send(world, path, { method: operation.method, headers, ...(body === undefined ? {} : { body }) })
      expect(answer.status, answer.text).toBeGreaterThanOrEqual(400)
    }
    await refused({})
    if (operation.access.audience === 'tenant') {
      for (const role of ROLES.filter((one) => !ROLE_CONTAINS[one].includes(operation.access.role!))) {
        await refused(asPerson(world.a.people[role]))
      }
      await refused(asKey(scopeKeys.get(`test ${operation.access.scope === 'requests:read' ? 'keys:read' : 'requests:read'}`)!))
      await refused(asPerson(world.b.people.OWNER))
      await refused(asKey(world.b.key))
    }
    if (operation.body !== undefined) await refused(asPerson(world.a.people.OWNER), { no: 'such field' })
    expect((await since(before)).map(({ action }) => action)).toEqual([])
  })

  it('A-06 has an event of whatever changes something', () => {
    const silent = all.filter(([, { method, access }]) => method !== 'GET' && access.audit === 'none')
    expect(silent.map(([name]) => name)).toEqual(CHANGES_NOTHING)
  })
})

/** Sent, not asked for, because their answer or their question is long. */
const CHANGES_NOTHING: readonly OperationName[] = []
/** A session must wait for a confirmation (connect/completion.test.ts), a root key must have been replaced (vault/root-rotation.test.ts). */
const ELSEWHERE: ReadonlySet<OperationName> = new Set(['connectSessionComplete', 'rootKeyRotate'])
/** What else is said then: of somebody else it concerns, or later, of how it ended. */
const BESIDE: Partial<Record<OperationName, readonly string[]>> = {
  organizationCreate: ['membership.granted'],
  bulkRevocationCreate: ['bulk_revocation.finished'],
  dataKeyRotate: ['data_key.resealed'],
  organizationExport: ['organization.export_ended'],
  auditExport: ['audit_log.export_ended'],
  usageExport: ['usage.export_ended'],
}

interface Call {
  readonly params: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
  /** As the log names whoever asks. */
  readonly actor: string
}

/** What must be there before the call, and what the call then is. */
const PREPARED: Partial<Record<OperationName, (at: TestOrg) => Promise<Partial<Call>>>> = {
  sessionCreate: async (at) => ({ headers: {}, body: { owner_token: await world.ownerToken(at.people.OWNER.id) } }),
  organizationDelete: async (at) => ({ body: { confirm: (await asOwner('organizationGet', at)).name, grace_s: 3_600 } }),
  organizationDeletionCancel: async (at) => {
    await asOwner('organizationDelete', at, { confirm: (await asOwner('organizationGet', at)).name, grace_s: 3_600 })
    return {}
  },
  settingsUpdate: async () => ({ body: { audit_use_mode: 'strict' } }),
  memberUpdate: async () => ({ body: { role: 'DEVELOPER' } }),
  organizationLeave: async (at) => ({ headers: asPerson(at.people.VIEWER), actor: formatId('user', at.people.VIEWER.id) }),
  invitationAccept: async (at) => {
    const email = `${newId('user')}@example.com`
    const guest = await world.makePerson(at.org, undefined, email)
    const { token } = await asOwner('invitationCreate', at, { email, role: 'VIEWER' })
    return { headers: asPerson(guest), actor: formatId('user', guest.id), body: { token } }
  },
  projectRestore: async (at) => {
    await asOwner('projectArchive', at)
    return {}
  },
  organizationKeyUpdate: organizationKey,
  organizationKeyRotate: organizationKey,
  organizationKeyRevoke: organizationKey,
  integrationDelete: async (at) => {
    const { id } = await asOwner('integrationCreate', at, BODIES.integrationCreate!())
    return { params: { ...at.params, integration: id } }
  },
  dataKeyRemove: async (at) => {
    await asOwner('dataKeyRotate', at)
    // What follows the rotation by itself is not to be taken for the removal's.
    const resealed = `select seq from sallyport.audit_event where org_id = $1 and action = 'data_key.resealed'`
    await expect.poll(async () => (await asAdmin(world.adminUrl, resealed, [at.org])).length).toBe(1)
    await asAdmin(world.adminUrl, `update sallyport.data_key set retired_at = retired_at - interval '2 days' where org_id = $1`, [at.org])
    return {}
  },
  dataKeyShred: async (at) => ({ body: { dry_run: false, confirm: at.params.org } }),
  rootKeyRemove: async (at) => {
    await asAdmin(world.adminUrl, `insert into sallyport.root_key (id, check_value, created_at) values ('replaced', 'x', '2020-01-01')`)
    return { params: { ...at.params, root_key: 'replaced' } }
  },
}

async function organizationKey(at: TestOrg): Promise<Partial<Call>> {
  const { key } = await asOwner('organizationKeyCreate', at, { name: 'made', scopes: ['projects:read'] })
  return { params: { ...at.params, key: key.id } }
}

/** What the owner is answered. */
async function asOwner(name: OperationName, at: TestOrg, body?: unknown): Promise<Answer['json']> {
  const operation: Operation = operations[name]
  const sent = { method: operation.method, headers: asPerson(at.people.OWNER), ...(body === undefined ? {} : { body }) }
  const answer = await send(world, pathOf(operation, at.params), sent)
  expect(answer.status, answer.text).toBeLessThan(300)
  return answer.json
}

function kindsOf({ access }: Operation): readonly ('person' | 'key')[] {
  return access.scope === undefined ? ['person'] : ['person', 'key']
}

/** By its owner, or a key that may do whatever a key may there. */
async function byDefault(name: OperationName, at: TestOrg, kind: 'person' | 'key'): Promise<Call> {
  const body = BODIES[name]?.()
  const own = { params: at.params, ...(body === undefined ? {} : { body }) }
  if (kind === 'person') return { ...own, headers: asPerson(at.people.OWNER), actor: formatId('user', at.people.OWNER.id) }
  const { tenant } = operations[name].access
  const environment = tenant === 'environment' ? 'test' : 'live'
  const key = await world.makeKey(at, { environment, ...(tenant === 'org' ? { project: null, scopes: ORGANIZATION_KEY_SCOPES } : {}) })
  return { ...own, headers: asKey(key), actor: formatId('key', parseGatewayKey(key)!.keyId) }
}

/** Where the logs of these organizations end, with what is written in groups. */
async function ends(...orgs: readonly TestOrg[]): Promise<Map<OrgId, bigint>> {
  await world.flush()
  const of = async (org: OrgId): Promise<bigint> => (await world.database.withTenant(org, auditEndFind)).last ?? 0n
  return new Map(await Promise.all(orgs.map(async ({ org }) => [org, await of(org)] as const)))
}

async function since(before: ReadonlyMap<OrgId, bigint>): Promise<readonly StoredAuditEvent[]> {
  await world.flush()
  const events = [...before].map(([org, after]) =>
    world.database.withTenant(org, (tx) => auditEventListAscending(tx, { after, limit: 1_000 })),
  )
  return (await Promise.all(events)).flat()
}

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
    budget: formatId('bud', newId('bud')),
    member: formatId('user', newId('user')),
    invitation: formatId('inv', newId('inv')),
    provider_key: formatId('pkey', newId('pkey')),
    organization_provider_key: formatId('pkey', newId('pkey')),
    request: formatId('req', newId('req')),
    end_user: 'a user of nobody',
  }
  return { ...like, ...fresh }
}

/** The body without the one thing that differs between any two answers. */
function anonymous({ text }: Answer): string {
  return text.replace(/req_[0-9A-Za-z]{22}/gu, 'req')
}
