/**
 * Owns a gateway's connect pages for tests: real database, vault, egress and HTTP server, as many nodes as a test wants, and a browser that
 * keeps cookies and follows nothing by itself. Nothing in it is a stand-in but the key authenticator, which these pages never ask.
 */
import {
  createDpopNonces,
  createEgress,
  createLogger,
  DEFAULT_EGRESS_POLICY,
  generateKeyBytes,
  newId,
  randomToken,
  resolveProvider,
  RootKeyring,
  Secret,
  sha256,
  systemClock,
} from '@sallyport/core'
import type { IntegrationId, Provider, ProviderOverlay } from '@sallyport/core'
import { createConnectService } from '../../src/connect/index.ts'
import { createLineage } from '../../src/credentials/index.ts'
import type { Lineage } from '../../src/credentials/index.ts'
import type { ConnectLimits, ConnectPlace, ConnectService, ConnectSessionInput } from '../../src/connect/index.ts'
import { integrationInsert, membershipPut, organizationCreate, projectCreate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createHttpServer, problemFor, sessionCookieName } from '../../src/http/index.ts'
import { createSessions } from '../../src/identity/index.ts'
import type { KeyPrincipal, PersonPrincipal } from '../../src/identity/index.ts'
import { clientSecretPlace, createVault } from '../../src/vault/index.ts'
import type { Vault } from '../../src/vault/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

/** As the nodes call themselves; the browser knows where each really listens. */
export const PUBLIC_URL = 'http://127.0.0.1:7255'
export const APP = 'https://app.test'

export interface Node {
  readonly origin: string
  readonly connect: ConnectService
  readonly vault: Vault
  readonly lineage: Lineage
  readonly database: Database
  close(): Promise<void>
}

export interface RegisteredClient {
  readonly clientId: string
  readonly clientSecret: string
}

export interface Gateway {
  readonly db: FreshDatabase
  readonly database: Database
  readonly vault: Vault
  readonly lineage: Lineage
  readonly nodes: readonly [Node, ...Node[]]
  readonly connect: ConnectService
  readonly place: ConnectPlace
  readonly key: KeyPrincipal
  readonly log: readonly string[]
  /** A signed-in person and the `name=value` of their session's cookie. */
  person(name: string): Promise<{ readonly principal: PersonPrincipal; readonly cookie: string }>
  register(
    slug: string,
    provider: string,
    client: RegisteredClient,
    scopes?: readonly string[],
  ): Promise<{ readonly id: IntegrationId; readonly context: string }>
  begin(input?: Partial<ConnectSessionInput>): ReturnType<ConnectService['createSession']>
  /** Statuses, counts and events, read past every policy. */
  rows<Row extends object>(sql: string, values?: unknown[]): Promise<Row[]>
  actions(): Promise<string[]>
  close(): Promise<void>
}

export interface GatewayOptions {
  readonly overlays: Readonly<Record<string, ProviderOverlay>>
  readonly insecureAllowOrigins: readonly string[]
  /** Changes a provider's record after the overlay. */
  readonly change?: (provider: Provider) => Provider
  readonly nodes?: number
  readonly limits?: Partial<ConnectLimits>
  readonly projectName?: string
  /** For real browsers: the nodes' public address, on whose port the first one listens then. */
  readonly publicUrl?: string
  readonly returnOrigins?: readonly string[]
}

export async function createGateway(serverUrl: string, options: GatewayOptions): Promise<Gateway> {
  const log: string[] = []
  const db = await freshDatabase(serverUrl)
  const keyring = RootKeyring.parse(new Secret(`test:${generateKeyBytes().toString('hex')}`))
  const nodes: Node[] = []
  for (let count = 0; count < (options.nodes ?? 1); count++) nodes.push(await createNode(db, keyring, options, log))
  const [first] = nodes as [Node]
  const place: ConnectPlace = { org: newId('org'), project: newId('proj'), environment: 'test' }
  await first.database.withTenant(place.org, async (tx) => {
    await organizationCreate(tx, { name: 'An organization' })
    await projectCreate(tx, {
      id: place.project,
      name: options.projectName ?? 'Example App',
      returnOrigins: options.returnOrigins ?? [APP],
    })
  })
  const key: KeyPrincipal = {
    kind: 'key',
    keyId: newId('key'),
    ...place,
    scopes: new Set(['connect_sessions:write']),
    connection: null,
    auditUseMode: 'batched',
    bounds: null,
  }
  const rows = <Row extends object>(sql: string, values?: unknown[]): Promise<Row[]> =>
    db.asSuperuser<Row & Record<string, unknown>>(sql, values)
  return {
    db,
    database: first.database,
    vault: first.vault,
    lineage: first.lineage,
    nodes: nodes as [Node, ...Node[]],
    connect: first.connect,
    place,
    key,
    log,
    person: (name) => signedIn(first.database, place, name),
    register: (slug, provider, client, scopes = ['repo']) => register(first, place, slug, provider, client, scopes),
    begin: (input = {}) =>
      first.connect.createSession(key, place, { integration: 'github', endUserId: 'user-1', returnTo: `${APP}/done?keep=1`, ...input }),
    rows,
    actions: async () =>
      (await rows<{ action: string }>('select action from sallyport.audit_event order by seq')).map(({ action }) => action),
    close: async () => {
      for (const node of nodes) await node.close()
      await db.drop()
    },
  }
}

async function createNode(db: FreshDatabase, keyring: RootKeyring, options: GatewayOptions, log: string[]): Promise<Node> {
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  const database = await db.open({ poolSize: 6, logger })
  const vault = createVault({ database, keyring, clock: systemClock, logger })
  await vault.checkRootKeys()
  const sessions = createSessions({ lookups: database.lookups, clock: systemClock, linkAssurance: 'aal2' })
  const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: options.insecureAllowOrigins })
  const publicUrl = options.publicUrl ?? PUBLIC_URL
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const connect = createConnectService({
    database,
    vault,
    lineage,
    fetch: (url, init) => egress.fetch(url, init),
    dpopNonces: createDpopNonces(),
    providers: (id) => {
      const provider = resolveProvider(id, options.overlays[id], options.insecureAllowOrigins)
      return provider && (options.change?.(provider) ?? provider)
    },
    publicUrl,
    sessions,
    sessionCookie: sessionCookieName(false),
    problemFor,
    clock: systemClock,
    logger,
    room: { connections: 1_000, integrations: 1_000, members: 1_000, projects: 1_000, providerKeys: 1_000 },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  const http = await createHttpServer({
    stepUp: () => ({ now: Date.now(), maxAgeS: 3_600 }),
    publicUrl,
    keyGuard: { admit: () => undefined },
    keyUses: { note: () => undefined },
    limiter: { admit: () => ({ standard: [], older: [] }) },
    crossOrigin: { preflight: () => false, answerFor: () => undefined },
    trustedProxies: [],
    logger,
    keys: { cached: () => undefined, judge: () => undefined, authenticate: () => Promise.reject(new TypeError('no key is asked here')) },
    sessions,
    people: { authenticate: () => Promise.reject(new TypeError('nobody comes with a token')) },
    breakGlass: { note: () => undefined },
    ready: () => database.ping().then(() => 'ok'),
    dataPlane: () => false,
    register: (app) => connect.registerPages(app),
    consoleFolder: '/nonexistent',
  })
  const port = await http.listen(options.publicUrl === undefined ? 0 : Number(new URL(options.publicUrl).port), '127.0.0.1')
  const close = async (): Promise<void> => {
    await http.close(5_000)
    vault.close()
    await egress.close()
  }
  return { origin: `http://127.0.0.1:${port}`, connect, vault, lineage, database, close }
}

async function register(
  { database, vault }: Node,
  place: ConnectPlace,
  slug: string,
  provider: string,
  client: RegisteredClient,
  scopes: readonly string[],
): Promise<{ id: IntegrationId; context: string }> {
  const id = newId('int')
  const context = randomToken(24)
  await database.withTenant(place.org, async (tx) => {
    const clientSecret = await vault.seal(tx, clientSecretPlace(id), new Secret(client.clientSecret))
    const { project, environment } = place
    await integrationInsert(tx, { id, project, environment, slug, provider, context, clientId: client.clientId, clientSecret, scopes })
  })
  return { id, context }
}

async function signedIn(database: Database, { org }: ConnectPlace, name: string): Promise<{ principal: PersonPrincipal; cookie: string }> {
  const userId = await database.lookups.personUpsert({ id: newId('user'), issuer: 'test', subject: name, name })
  await database.withTenant(org, (tx) => membershipPut(tx, userId, 'DEVELOPER'))
  const [link, token] = [randomToken(32), randomToken(32)]
  await database.lookups.ownerLinkPut({ hash: sha256(link), person: userId, ttlSeconds: 600 })
  await database.lookups.sessionOpen({ linkHash: sha256(link), sessionHash: sha256(token), ttlSeconds: 600 })
  const principal: PersonPrincipal = {
    kind: 'person',
    userId,
    name,
    email: null,
    via: 'session',
    sessionHash: sha256(token),
    signIn: { issuer: 'local', methods: ['link'], assurance: 'aal2', provider: null, issuerSession: null, authenticatedAt: new Date() },
    memberships: new Map([[org, 'DEVELOPER']]),
    signInPolicies: new Map(),
  }
  return { principal, cookie: `${sessionCookieName(false)}=${token}` }
}

export interface Visit {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly location: string | null
}

/** A browser: keeps the cookies of the gateway and of other hosts apart, shows a gateway of the public address on the node of its choice. */
export class Browser {
  readonly #jars = new Map<string, Map<string, string>>()
  #node: Node

  constructor(node: Node, cookie?: string) {
    this.#node = node
    if (cookie !== undefined) this.plant(cookie)
  }

  moveTo(node: Node): this {
    this.#node = node
    return this
  }

  /** Sets a cookie of the gateway, as `name=value`. */
  plant(cookie: string): void {
    const at = cookie.indexOf('=')
    this.#jar(PUBLIC_URL).set(cookie.slice(0, at), cookie.slice(at + 1))
  }

  async get(url: string, headers: Record<string, string> = {}): Promise<Visit> {
    return this.#visit(url, { headers })
  }

  async post(url: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Visit> {
    return this.#visit(url, { method: 'POST', body: new URLSearchParams(form), headers })
  }

  /** Opens a link, presses its button, and stops at the provider's address. */
  async leave(link: string): Promise<string> {
    const page = await this.get(link)
    const visit = await this.post(link, { form_token: formTokenOf(page.text) })
    if (visit.location === null) throw new Error(`the form was answered with ${visit.status}: ${visit.text}`)
    return visit.location
  }

  /** `leave`, and what the issuer (which asks nobody) sends back: the callback's address, not visited yet. */
  async authorize(link: string): Promise<string> {
    const back = await this.get(await this.leave(link))
    if (back.location === null) throw new Error(`the provider answered with ${back.status}: ${back.text}`)
    return back.location
  }

  /** What this browser sends to the gateway. */
  cookieHeader(): string {
    return [...this.#jar(PUBLIC_URL)].map((pair) => pair.join('=')).join('; ')
  }

  async #visit(url: string, init: RequestInit): Promise<Visit> {
    const origin = new URL(url).origin
    const jar = this.#jar(origin)
    const cookie = [...jar].map((pair) => pair.join('=')).join('; ')
    const headers = { accept: 'text/html', ...(cookie === '' ? {} : { cookie }), ...(init.headers as Record<string, string>) }
    const answer = await fetch(url.replace(PUBLIC_URL, this.#node.origin), { ...init, headers, redirect: 'manual' })
    for (const set of answer.headers.getSetCookie()) {
      const [pair = ''] = set.split(';')
      jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    return { status: answer.status, headers: answer.headers, text: await answer.text(), location: answer.headers.get('location') }
  }

  #jar(origin: string): Map<string, string> {
    const jar = this.#jars.get(origin) ?? new Map<string, string>()
    this.#jars.set(origin, jar)
    return jar
  }
}

export function formTokenOf(page: string): string {
  const token = /name="form_token" value="(?<token>[\w-]+)"/u.exec(page)?.groups?.['token']
  if (token === undefined) throw new Error(`no form on the page: ${page}`)
  return token
}

/** Changes one parameter of a URL; null takes it away. */
export function withParameter(url: string, name: string, value: string | null): string {
  const changed = new URL(url)
  if (value === null) changed.searchParams.delete(name)
  else changed.searchParams.set(name, value)
  return changed.href
}
