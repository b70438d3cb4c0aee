/**
 * Owns a whole control plane for tests: the real server on a port of loopback over a database of its own, with two organizations, people
 * of every role and keys. Nothing in it is a stand-in but the console's folder, which is empty.
 */
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import { Client as PgClient } from 'pg'
import { ROLES, SCOPES } from '@sallyport/contract'
import type { Environment, Role, Scope } from '@sallyport/contract'
import {
  createDpopNonces,
  createKeySets,
  createLogger,
  EgressError,
  formatId,
  generateKeyBytes,
  listModelProviders,
  listProviders,
  newId,
  noMetrics,
  RootKeyring,
  Secret,
  sha256,
  systemClock,
} from '@sallyport/core'
import type {
  ConnectionId,
  IntegrationId,
  InvitationId,
  KeyId,
  OrgId,
  ProjectId,
  ProviderKeyId,
  RequestId,
  TokenSet,
  UserId,
} from '@sallyport/core'
import { createDatabase, dropDatabase } from '../../../testkit/src/servers/index.ts'
import { appendAudit, createCheckpointer, createCheckpointSink, createUseLog } from '../../src/audit/index.ts'
import { createKeyGuard, createNonces } from '../../src/binding/index.ts'
import type { CertificateHeader } from '../../src/binding/index.ts'
import { createConnectService } from '../../src/connect/index.ts'
import { createExplain, createLineage, createRenewal, createTenantStore, createTransitions } from '../../src/credentials/index.ts'
import type { Lineage } from '../../src/credentials/index.ts'
import {
  apiKeyInsert,
  browserOriginsFind,
  connectionActivate,
  connectionInsert,
  dataKeyList,
  connectSessionInsert,
  eventSourceInsert,
  integrationInsert,
  invitationInsert,
  membershipPut,
  migrate,
  budgetInsert,
  openDatabase,
  organizationCreate,
  projectCreate,
  modelRouteInsert,
  providerKeyInsert,
  rateLimitFind,
  requestRecordInsertMany,
  storedContentInsert,
} from '../../src/db/index.ts'
import type { Database, Place, TenantTx } from '../../src/db/index.ts'
import {
  addressOf,
  createCrossOrigin,
  createCursors,
  createHttpServer,
  createProjectOrigins,
  createSessionCookie,
  isTrustedPeer,
  problemFor,
  sessionCookieName,
  transportHeaders,
  trustedProxies,
} from '../../src/http/index.ts'
import type { HttpServer, ServerLimits, TlsCertificate } from '../../src/http/index.ts'
import {
  addressGroup,
  createBreakGlassRecord,
  createKeyAuthenticator,
  createKeyUses,
  createOutsideIssuers,
  createPeople,
  createSessions,
  LOCAL_ISSUER,
} from '../../src/identity/index.ts'
import type { IssuerSetting, KeyAuthenticator } from '../../src/identity/index.ts'
import { createLimiter } from '../../src/limits/index.ts'
import type { RateBounds } from '../../src/limits/index.ts'
import { createEventService } from '../../src/events/index.ts'
import { createIdempotency } from '../../src/idempotency/index.ts'
import { createBackChannelLogout } from '../../src/logout/index.ts'
import { createProviderKeys } from '../../src/models/index.ts'
import { createOrganizationDeletions } from '../../src/organizations/index.ts'
import type { Room } from '../../src/organizations/index.ts'
import { createRevocationService } from '../../src/revocation/index.ts'
import { registerOperations } from '../../src/routes/index.ts'
import {
  clientSecretPlace,
  createKeeper,
  createPersonal,
  createVault,
  eventSecretPlace,
  providerKeyPlace,
  storedContentPlace,
} from '../../src/vault/index.ts'
import type { Vault } from '../../src/vault/index.ts'

export interface TestOrg {
  readonly org: OrgId
  readonly projects: readonly [ProjectId, ProjectId]
  /** Of the first project's `test` environment, like everything below. */
  readonly integration: IntegrationId
  readonly connection: ConnectionId
  readonly keyId: KeyId
  /** A key with every scope. */
  readonly key: string
  /** Path parameters that name all of it, in outside spelling. */
  readonly params: Readonly<
    Record<
      | 'org'
      | 'project'
      | 'environment'
      | 'key'
      | 'integration'
      | 'connection'
      | 'session'
      | 'data_key'
      | 'root_key'
      | 'bulk'
      | 'source'
      | 'member'
      | 'invitation'
      | 'provider_key'
      | 'organization_provider_key'
      | 'model_route'
      | 'budget'
      | 'request'
      | 'end_user',
      string
    >
  >
  /** A person of each role, and the `Cookie` header of their session. */
  readonly people: Readonly<Record<Role, { readonly id: UserId; readonly cookie: string }>>
}

export interface World {
  readonly url: string
  readonly port: number
  readonly http: HttpServer
  readonly database: Database
  /** A superuser's address of it. */
  readonly adminUrl: string
  readonly vault: Vault
  readonly lineage: Lineage
  readonly keys: KeyAuthenticator
  readonly a: TestOrg
  readonly b: TestOrg
  /** What was written to the log, line by line. */
  readonly log: readonly string[]
  /** Another organization like those two. */
  makeOrg(name: string): Promise<TestOrg>
  makeKey(
    at: TestOrg,
    options: {
      project?: ProjectId | null
      environment?: Environment
      scopes?: readonly Scope[]
      connection?: ConnectionId
      expiresInS?: number
    },
  ): Promise<string>
  /** Somebody new in the organization, signed in; with a verified e-mail address where one is given. */
  makePerson(org: OrgId, role: Role | undefined, email?: string): Promise<{ readonly id: UserId; readonly cookie: string }>
  ownerToken(person: UserId): Promise<string>
  /** Resolves when what is written in groups is committed. */
  flush(): Promise<void>
  close(): Promise<void>
}

export interface WorldOptions {
  readonly limits?: Partial<ServerLimits>
  readonly trustedProxies?: readonly string[]
  /** Decides only what browsers are told; whether the server speaks TLS is `certificate`'s to say. */
  readonly publicUrl?: string
  readonly certificate?: TlsCertificate
  readonly consoleFolder?: string
  readonly ready?: Parameters<typeof createHttpServer>[0]['ready']
  readonly certificateHeader?: CertificateHeader
  readonly requireNonce?: boolean
  /** Issuers whose tokens sign people in, their shared secrets, and how their keys are fetched. */
  readonly issuers?: readonly IssuerSetting[]
  readonly secrets?: Secret
  readonly fetchKeys?: Parameters<typeof createKeySets>[0]['egress']['fetch']
  readonly dataPlane?: Parameters<typeof createHttpServer>[0]['dataPlane']
  /** 1,000 when absent. */
  readonly organizationsPerOwner?: number
  /** 1,000,000 when absent. */
  readonly keysPerOrganization?: number
  /** What is not named: 1,000,000. */
  readonly room?: Partial<Room>
  /** What a session by a link is worth; `aal2` when absent. */
  readonly linkAssurance?: 'aal1' | 'aal2'
  /** Absent: so high that nobody meets them. */
  readonly rates?: RateBounds
}

const UNLIMITED: RateBounds = {
  standard: { perSecond: 1_000_000, burst: 1_000_000 },
  most: { perSecond: 1_000_000, burst: 1_000_000 },
}

export async function createWorld(adminUrl: string, options: WorldOptions = {}): Promise<World> {
  const log: string[] = []
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  const made = await createDatabase(adminUrl)
  const role = `${made.name}_app`
  const database = await openTestDatabase(made.url, role, logger)
  const keyring = RootKeyring.parse(new Secret(`test:${generateKeyBytes().toString('hex')}`))
  const vault = createVault({ database, keyring, clock: systemClock, logger })
  await vault.checkRootKeys()
  const keys = createKeyAuthenticator({
    lookups: database.lookups,
    onChange: (listener) => database.onChange(listener),
    pepper: await vault.systemSecret('key_pepper'),
    clock: systemClock,
    logger,
  })
  const noOutside = (): Promise<never> => Promise.reject(new TypeError('this world has no outside'))
  const issuers = createOutsideIssuers({
    issuers: options.issuers ?? [],
    secrets: options.secrets,
    keySets: createKeySets({ egress: { fetch: options.fetchKeys ?? noOutside }, clock: systemClock }),
  })
  const takesIssuer = (issuer: string): boolean => issuer === LOCAL_ISSUER || issuers.of(issuer).length > 0
  const sessions = createSessions({
    lookups: database.lookups,
    onChange: (listener) => database.onChange(listener),
    clock: systemClock,
    takesIssuer,
    linkAssurance: options.linkAssurance ?? 'aal2',
  })
  const people = createPeople({
    issuers,
    lookups: database.lookups,
    onChange: (listener) => database.onChange(listener),
    clock: systemClock,
    logger,
  })
  const publicUrl = options.publicUrl ?? 'http://127.0.0.1:7255'
  const https = publicUrl.startsWith('https:')
  const providers = listProviders()
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const room: Room = {
    connections: 1_000_000,
    integrations: 1_000_000,
    members: 1_000_000,
    projects: 1_000_000,
    providerKeys: 1_000_000,
    ...options.room,
  }
  const connect = createConnectService({
    database,
    vault,
    lineage,
    fetch: () => Promise.reject(new TypeError('this world has no outside')),
    dpopNonces: createDpopNonces(),
    providers: (id) => providers.find((provider) => provider.id === id),
    publicUrl,
    sessions,
    sessionCookie: sessionCookieName(https),
    problemFor,
    clock: systemClock,
    logger,
    room,
  })
  const personal = createPersonal({ vault, logger })
  const useLog = createUseLog({ database, personal, logger })
  const store = createTenantStore({ database, vault, lineage, transitions: createTransitions({ useLog, logger }), logger })
  const leases = database.sessionLeases()
  const refresher = createRenewal({
    store,
    leases,
    database,
    vault,
    providers: (id) => providers.find((provider) => provider.id === id),
    fetch: () => Promise.reject(new TypeError('this world has no outside')),
    dpopNonces: createDpopNonces(),
    redirectUri: (context) => `https://gate.example/oauth/cb/${context}`,
    clock: systemClock,
    logger,
    node: 'a world',
  })
  const explain = createExplain({ connect, database, clock: systemClock, logger })
  const keeper = createKeeper({ database, vault, clock: systemClock, logger, metrics: noMetrics, rotateAfterDays: 90 })
  const checkpointer = createCheckpointer({
    database,
    signer: (id) => vault.auditSigner(id),
    sink: createCheckpointSink({ file: undefined, toLog: false, logger, metrics: noMetrics }),
    everyEvents: 1_000,
    everySeconds: 60,
    logger,
    metrics: noMetrics,
  })
  const revocation = createRevocationService({
    database,
    vault,
    lineage,
    fetch: () => Promise.reject(new EgressError('upstream_unreachable', 'ECONNREFUSED')),
    providers: (id) => providers.find((provider) => provider.id === id),
    clock: systemClock,
    logger,
    metrics: noMetrics,
  })
  const events = createEventService({
    database,
    vault,
    keySets: createKeySets({ egress: { fetch: () => Promise.reject(new TypeError('this world has no outside')) }, clock: systemClock }),
    renew: () => undefined,
    onEnded: () => undefined,
    providers: (id) => providers.find((provider) => provider.id === id),
    loopbackOrigins: true,
    clock: systemClock,
    logger,
  })
  const cursors = createCursors(await vault.systemSecret('cursor_key'))
  const idempotencyKey = await vault.systemSecret('idempotency_key')
  const keyUses = createKeyUses({ lookups: database.lookups, clock: systemClock, logger })
  const fingerprintKey = await vault.systemSecret('provider_key_fingerprint')
  const keyGuard = createKeyGuard({
    publicUrl,
    certificateHeader: options.certificateHeader,
    isTrustedPeer: (address) => isTrustedPeer(address, trustedProxies(options.trustedProxies ?? [])),
    nonces: createNonces(await vault.systemSecret('dpop_nonce'), systemClock),
    requireNonce: options.requireNonce ?? false,
    proofs: database.lookups,
    useLog,
    clock: systemClock,
    logger,
  })
  const rates = options.rates ?? UNLIMITED
  const limiter = createLimiter({
    bounds: rates,
    read: (org, ids) => database.withTenant(org, (tx) => rateLimitFind(tx, ids)),
    clock: systemClock,
  })
  database.onChange((change) => limiter.heard(change))
  const origins = createProjectOrigins(
    {
      of: (org, project) => database.withTenant(org, (tx) => browserOriginsFind(tx, project)),
      isKnown: (origin) => database.lookups.browserOriginKnown(origin),
    },
    systemClock,
    addressGroup,
  )
  database.onChange((change) => origins.heard(change))
  const stepUp = () => ({ now: Date.now(), maxAgeS: 3_600 })
  const http = await createHttpServer({
    stepUp,
    crossOrigin: createCrossOrigin({
      isKnown: (origin, address) => origins.isKnown(origin, address),
      addressOf: (request) => addressOf({ raw: request }, trustedProxies(options.trustedProxies ?? [])),
      originsOf: (org, project) => origins.of(org, project),
      headers: transportHeaders(publicUrl),
    }),
    limiter,
    publicUrl,
    keyGuard,
    keyUses,
    trustedProxies: options.trustedProxies ?? [],
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    certificate: options.certificate,
    logger,
    keys,
    sessions,
    people,
    breakGlass: createBreakGlassRecord({ database, personal }),
    ready: options.ready ?? (() => database.ping().then(() => 'ok')),
    dataPlane: options.dataPlane ?? (() => false),
    register: (app) => {
      const sessionCookie = createSessionCookie(https)
      registerOperations(app, {
        database,
        vault,
        personal,
        lineage,
        refresher,
        explain,
        keeper,
        checkpointer,
        keys,
        sessions,
        people,
        organizationsPerOwner: options.organizationsPerOwner ?? 1_000,
        keysPerOrganization: options.keysPerOrganization ?? 1_000_000,
        room,
        now: () => Date.now(),
        stepUp,
        connect,
        idempotency: createIdempotency({ database, vault, key: idempotencyKey, logger }),
        deletions: createOrganizationDeletions({ database, bulk: revocation.bulk, logger }),
        providerKeys: createProviderKeys({ vault, providers: listModelProviders(), fingerprintKey }),
        revocation,
        eventSources: events.sources,
        cursors,
        rates,
        providers,
        sessionCookie,
        publicUrl,
        loopbackOrigins: !https,
      })
      connect.registerPages(app)
      events.registerRoutes(app)
      createBackChannelLogout({ issuers, database, sessions, people, clock: systemClock, logger }).registerRoutes(app)
    },
    consoleFolder: options.consoleFolder ?? '/nonexistent',
  })
  const port = await http.listen(0, '127.0.0.1')
  const parts = { database, vault, lineage, keys, cookieName: sessionCookieName(https) }
  const url = `http://127.0.0.1:${port}`
  const [a, b] = [await makeOrg(parts, 'A'), await makeOrg(parts, 'B')]
  return {
    url,
    port,
    http,
    database,
    adminUrl: made.url,
    vault,
    lineage,
    keys,
    a,
    b,
    log,
    makeOrg: (name) => makeOrg(parts, name),
    makeKey: async (at, wanted) => (await insertKey(parts, at.org, { project: at.projects[0], ...wanted })).text,
    async makePerson(org, role, email) {
      const person = await makePerson(parts, org, role, `${role ?? 'nobody'} ${randomBytes(6).toString('hex')}`)
      if (email !== undefined) {
        await asAdmin(made.url, 'update sallyport.person set email = $2, email_verified = true where id = $1', [person.id, email])
      }
      return person
    },
    ownerToken: (person) => ownerToken(database, person),
    flush: async () => void (await Promise.all([useLog.flush(), keyUses.flush()])),
    close: async () => {
      await http.close(5_000)
      keys.close()
      keyGuard.close()
      limiter.close()
      await useLog.close()
      await keyUses.close()
      refresher.close()
      await leases.close()
      await keeper.close()
      await revocation.close()
      vault.close()
      await database.close()
      await dropDatabase(adminUrl, made.name)
      await dropRole(adminUrl, role)
    },
  }
}

async function openTestDatabase(url: string, role: string, logger: Parameters<typeof openDatabase>[0]['logger']): Promise<Database> {
  const password = randomBytes(24).toString('base64url')
  await migrate({ url: new Secret(url), appRole: { name: role, password: new Secret(password) }, logger })
  const own = new URL(url)
  own.username = role
  own.password = password
  return openDatabase({ url: new Secret(own.href), poolSize: 8, logger })
}

/** Roles belong to the whole server, which may not be ours. */
async function dropRole(adminUrl: string, role: string): Promise<void> {
  const client = new PgClient({ connectionString: adminUrl })
  await client.connect()
  await client.query(`drop role if exists ${client.escapeIdentifier(role)}`)
  await client.end()
}

interface Parts {
  readonly database: Database
  readonly vault: Vault
  readonly lineage: Lineage
  readonly keys: KeyAuthenticator
  readonly cookieName: string
}

/** They do not expire, and can't be renewed. */
function tokensThatStay(): TokenSet {
  const text = { accessToken: new Secret('fake-access'), refreshToken: null, tokenType: 'bearer', expiresAt: null } as const
  return { ...text, scopes: ['repo'], extra: new Secret('{}') }
}

async function makeOrg(parts: Parts, name: string): Promise<TestOrg> {
  const { database, vault, lineage } = parts
  const org = newId('org')
  const projects = [newId('proj'), newId('proj')] as const
  const integration = newId('int')
  const connection = newId('conn')
  const at = { project: projects[0], environment: 'test' } as const
  const source = newId('esrc')
  const [providerKey, sharedKey] = [newId('pkey'), newId('pkey')]
  const modelRoute = newId('mroute')
  const budget = newId('bud')
  const endUser = `a user of ${name}`
  await database.withTenant(org, async (tx) => {
    await organizationCreate(tx, { name: `Organization ${name}` })
    for (const id of projects) await projectCreate(tx, { id, name: `Project of ${name}`, returnOrigins: ['https://app.test'] })
    const clientSecret = await vault.seal(tx, clientSecretPlace(integration), new Secret('not-a-real-client-secret'))
    const context = randomBytes(18).toString('hex')
    await integrationInsert(tx, {
      ...at,
      id: integration,
      slug: 'github',
      provider: 'github',
      context,
      clientId: `client-of-${name}`,
      clientSecret,
      scopes: ['repo'],
    })
    await connectionInsert(tx, { ...at, id: connection, integration, endUserId: 'user-1' })
    await lineage.consent(tx, connection, tokensThatStay(), { onHeld: () => undefined })
    const account = { id: '1', label: 'octo' }
    await connectionActivate(tx, connection, { generation: 1, status: 'active', grantedScopes: ['repo'], account })
    // Somebody who is in the middle of connecting, and of whom nothing else is known.
    await connectSessionInsert(tx, {
      ...at,
      id: newId('cs'),
      integration,
      connection: null,
      reconnect: false,
      endUserId: endUser,
      linkHash: sha256(randomBytes(32)),
      returnTo: null,
      startedBy: 'system',
      consoleSessionHash: null,
      ttlSeconds: 600,
    })
    await eventSourceInsert(tx, at, {
      id: source,
      integration,
      kind: 'github',
      context: randomBytes(16).toString('hex'),
      secret: await vault.seal(tx, eventSecretPlace(source), new Secret('not-a-real-event-secret')),
      issuers: [],
      audiences: [],
      keysUri: null,
      untyped: false,
    })
    for (const [key, place] of [
      [providerKey, at],
      [sharedKey, null],
    ] as const)
      await insertProviderKey(tx, vault, key, place)
    await modelRouteInsert(tx, at, { ...A_ROUTE, id: modelRoute })
    await budgetInsert(tx, { ...A_BUDGET, id: budget, holder: 'organization', holderId: org })
    await appendAudit(tx, { action: 'organization.created', actor: 'system', target: formatId('org', org), detail: { name } })
  })
  const { id: keyId, text: key } = await insertKey(parts, org, at)
  const request = newId('req')
  await database.withTenant(org, (tx) =>
    requestRecordInsertMany(tx, [
      {
        ...at,
        org,
        id: request,
        at: new Date(),
        integrationSlug: 'github',
        connection,
        key: keyId,
        method: 'GET',
        path: '/user',
        status: 200,
        source: 'provider',
        error: null,
        durationUs: 1500,
        bytesIn: 0,
        bytesOut: 20,
      },
    ]),
  )
  await database.withTenant(org, (tx) => storeContent(tx, vault, at, request))
  const people = await makePeople(parts, org, name)
  const [dataKey] = await database.withTenant(org, dataKeyList)
  const params = {
    org: formatId('org', org),
    project: formatId('proj', projects[0]),
    environment: 'test',
    key: formatId('key', keyId),
    integration: formatId('int', integration),
    connection: formatId('conn', connection),
    session: formatId('cs', newId('cs')),
    data_key: formatId('dk', dataKey!.id),
    root_key: 'test',
    bulk: formatId('bulk', newId('bulk')),
    source: formatId('esrc', source),
    member: formatId('user', people.VIEWER.id),
    invitation: formatId('inv', await makeInvitation(parts, org, people.OWNER.id)),
    provider_key: formatId('pkey', providerKey),
    organization_provider_key: formatId('pkey', sharedKey),
    model_route: formatId('mroute', modelRoute),
    budget: formatId('bud', budget),
    request: formatId('req', request),
    end_user: endUser,
  }
  return { org, projects, integration, connection, keyId, key, params, people }
}

const A_BUDGET = { amountNano: 5_000_000_000, period: 'total', enforcement: 'warn', unpriced: 'pass', createdBy: 'system' } as const
const A_ROUTE = {
  name: 'a-route',
  strategy: 'ordered',
  targets: [{ provider: 'openai', model: 'a-model', keyName: 'default', weight: 1, firstByteTimeoutMs: null }],
  fallbackOn: ['timeout'],
  deadlineMs: 60_000,
  createdBy: 'system',
} as const

/** What was asked in a call, as if the organization kept prompts. */
async function storeContent(tx: TenantTx, vault: Vault, place: Place, request: RequestId): Promise<void> {
  const id: string = newId('req')
  const sealed = await vault.seal(tx, storedContentPlace(id), new Secret(Buffer.from('{"model":"m"}').toString('base64')))
  const of = { provider: 'openai', endUser: null, status: 200, bytes: 13, whole: true, days: 1 }
  await storedContentInsert(tx, { ...of, id, place, request, part: 'prompt', sealed })
}

async function insertProviderKey(tx: TenantTx, vault: Vault, id: ProviderKeyId, place: Place | null): Promise<void> {
  await providerKeyInsert(tx, {
    id,
    place,
    provider: 'openai',
    name: 'default',
    settings: {},
    sealed: await vault.seal(tx, providerKeyPlace(id), new Secret('not-a-real-provider-key')),
    mask: '…-key',
    fingerprint: randomBytes(16),
    replaces: null,
    createdBy: 'system',
  })
}

/** An open one that nobody holds the token of. */
async function makeInvitation({ database }: Parts, org: OrgId, invitedBy: UserId): Promise<InvitationId> {
  const id = newId('inv')
  const wanted = { email: 'invited@example.com', role: 'VIEWER', tokenHash: sha256(randomBytes(32)), invitedBy, lifeS: 3600 } as const
  await database.withTenant(org, (tx) => invitationInsert(tx, { id, ...wanted }))
  return id
}

async function makePeople(parts: Parts, org: OrgId, name: string): Promise<TestOrg['people']> {
  const made = {} as Record<Role, { id: UserId; cookie: string }>
  for (const role of ROLES) made[role] = await makePerson(parts, org, role, `${role} of ${name}`)
  return made
}

async function makePerson(
  { database, cookieName }: Parts,
  org: OrgId,
  role: Role | undefined,
  name: string,
): Promise<{ id: UserId; cookie: string }> {
  const id = await database.lookups.personUpsert({ id: newId('user'), issuer: 'test', subject: name, name })
  if (role !== undefined) await database.withTenant(org, (tx) => membershipPut(tx, id, role))
  const token = randomBytes(32).toString('base64url')
  const linkHash = sha256(await ownerToken(database, id))
  await database.lookups.sessionOpen({ linkHash, sessionHash: sha256(token), ttlSeconds: 600 })
  return { id, cookie: `${cookieName}=${token}` }
}

/** One statement that no policy holds back. */
export async function asAdmin(url: string, statement: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new PgClient({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement, values)).rows
  } finally {
    await client.end()
  }
}

async function ownerToken(database: Database, person: UserId): Promise<string> {
  const token = randomBytes(32).toString('base64url')
  await database.lookups.ownerLinkPut({ hash: sha256(token), person, ttlSeconds: 600 })
  return token
}

interface WantedKey {
  /** Null: a key of the organization. */
  readonly project: ProjectId | null
  readonly environment?: Environment
  readonly scopes?: readonly Scope[]
  readonly connection?: ConnectionId
  readonly expiresInS?: number
}

async function insertKey({ database, keys }: Parts, org: OrgId, wanted: WantedKey): Promise<{ id: KeyId; text: string }> {
  const { project, environment = 'test', scopes = SCOPES, connection = null, expiresInS } = wanted
  const id = newId('key')
  const { text, hmac, argon2id } = await keys.mint(environment, id, org)
  const expiresAt = expiresInS === undefined ? null : new Date(Date.now() + expiresInS * 1000)
  await database.withTenant(org, (tx) =>
    apiKeyInsert(tx, {
      id,
      project,
      environment,
      name: 'test key',
      secretHmac: hmac,
      secretArgon2id: argon2id,
      scopes,
      connection,
      createdBy: 'system',
      expiresAt,
    }),
  )
  return { id, text: text.reveal() }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The parsed body; undefined for none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- its shape is what the tests are about
  readonly json: any
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Objects are sent as JSON with its content type; text and bytes as they are. */
  readonly body?: unknown
  /** Over TLS, with these. */
  readonly tls?: ConnectionOptions
}

/** One request on a connection of its own, without any of the kindness of `fetch`: headers go out as they are given. */
export function send(world: Pick<World, 'port'>, path: string, { method = 'GET', headers = {}, body, tls }: Sent = {}): Promise<Answer> {
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const typed = raw !== undefined && raw !== body ? { 'content-type': 'application/json' } : {}
  return new Promise((resolve, reject) => {
    const sized = raw === undefined ? {} : { 'content-length': String(Buffer.byteLength(raw)) }
    const request = (tls === undefined ? httpRequest : httpsRequest)({
      ...tls,
      port: world.port,
      host: '127.0.0.1',
      path,
      method,
      agent: false,
      headers: { ...sized, ...typed, ...headers } as never,
    })
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        const isJson = /json(?:;|$)/u.test(response.headers['content-type'] ?? '')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson && text !== '' ? JSON.parse(text) : undefined,
        })
      })
    })
    request.end(raw)
  })
}

/** Headers of a gateway key, and of a person in the console's own page. */
export const asKey = (key: string) => ({ authorization: `Bearer ${key}` })
export const asPerson = (person: { readonly cookie: string }, origin = 'http://127.0.0.1:7255') => ({ cookie: person.cookie, origin })
