/** Owns nodes that revoke: each with its own pool, vault and service over one database, and a provider on loopback that takes tokens back as it is told. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createEgress,
  createLogger,
  DEFAULT_EGRESS_POLICY,
  generateKeyBytes,
  newId,
  noMetrics,
  randomToken,
  resolveProvider,
  RootKeyring,
  Secret,
  systemClock,
  writeTokenSet,
} from '@sallyport/core'
import type { Clock, ConnectionId, Environment, IntegrationId, OrgId, ProjectId, Provider, RevocationWay, TokenSet } from '@sallyport/core'
import { createLineage } from '../../src/credentials/index.ts'
import type { Lineage } from '../../src/credentials/index.ts'
import { connectionActivate, connectionInsert, integrationInsert, organizationCreate, projectCreate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createRevocationService } from '../../src/revocation/index.ts'
import type { RevocationService } from '../../src/revocation/index.ts'
import { clientSecretPlace, createVault, credentialPlace } from '../../src/vault/index.ts'
import type { Vault } from '../../src/vault/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

export interface RevokingProvider {
  readonly origin: string
  /** What was asked, oldest first. */
  readonly asked: readonly { readonly token: string; readonly hint: string | null }[]
  /** Answers from the next request on. Default: 200. */
  behave(how: { readonly status?: number; readonly retryAfter?: string; readonly meanwhile?: () => Promise<void> }): void
  close(): Promise<void>
}

export async function startRevokingProvider(): Promise<RevokingProvider> {
  const asked: { token: string; hint: string | null }[] = []
  let how: Parameters<RevokingProvider['behave']>[0] = {}
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
      asked.push({ token: form.get('token') ?? '', hint: form.get('token_type_hint') })
      void (how.meanwhile?.() ?? Promise.resolve()).then(() =>
        response.writeHead(how.status ?? 200, how.retryAfter === undefined ? {} : { 'retry-after': how.retryAfter }).end(),
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    behave: (next) => (how = next),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface RevokingNode {
  readonly database: Database
  readonly vault: Vault
  readonly lineage: Lineage
  readonly service: RevocationService
  close(): Promise<void>
}

export interface NodeSettings {
  readonly rootKeys: string
  readonly providerOrigin: string
  readonly reach?: 'token' | 'account'
  readonly clock?: Clock
  readonly log?: string[]
  /** For its provider, on behalf of who disconnects; a minute when absent, `default` for what the service has itself. */
  readonly patienceMs?: number | 'default'
}

/** One node over `database`, at work only when it is told to. */
export async function openRevokingNode(database: Database, settings: NodeSettings): Promise<RevokingNode> {
  const { clock = systemClock, log = [], providerOrigin, reach = 'token', patienceMs = 60_000 } = settings
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  const vault = createVault({ database, keyring: RootKeyring.parse(new Secret(settings.rootKeys)), clock, logger })
  await vault.checkRootKeys()
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [providerOrigin] })
  const service = createRevocationService({
    database,
    vault,
    lineage,
    fetch: (url, init) => egress.fetch(url, init),
    providers: (id) =>
      providerAt(id, providerOrigin, { kind: 'rfc7009', endpoint: `${providerOrigin}/revoke`, clientAuth: 'client_secret_post', reach }),
    clock,
    logger,
    metrics: noMetrics,
    random: () => 0.5,
    ...(patienceMs === 'default' ? {} : { patienceMs }),
  })
  return {
    database,
    vault,
    lineage,
    service,
    async close() {
      await service.close()
      vault.close()
      await egress.close()
    },
  }
}

function providerAt(id: string, origin: string, revocation: RevocationWay): Provider | undefined {
  const overlay = {
    authorizationEndpoint: `${origin}/authorize`,
    tokenEndpoint: `${origin}/token`,
    userinfoEndpoint: `${origin}/user`,
    apiBase: origin,
  }
  const provider = resolveProvider(id, overlay, [origin])
  return provider && { ...provider, revocation }
}

export const newRootKeys = (): string => `test:${generateKeyBytes().toString('hex')}`

export interface RevocationWorld {
  readonly db: FreshDatabase
  readonly provider: RevokingProvider
  readonly rootKeys: string
  readonly nodes: readonly [RevokingNode, RevokingNode]
  readonly log: string[]
  rows<Row extends object>(sql: string, values?: unknown[]): Promise<Row[]>
  /** `action target` of the organization's events, oldest first. */
  events(org: OrgId): Promise<{ action: string; actor: string; detail: Record<string, unknown> }[]>
  /** Makes everything that waits due now, as if the time had passed. */
  elapse(): Promise<void>
  close(): Promise<void>
}

export async function createRevocationWorld(serverUrl: string, settings: Partial<NodeSettings> = {}): Promise<RevocationWorld> {
  const [db, provider] = await Promise.all([freshDatabase(serverUrl), startRevokingProvider()])
  const rootKeys = newRootKeys()
  const log: string[] = []
  const open = async (): Promise<RevokingNode> =>
    openRevokingNode(await db.open({ poolSize: 6 }), { rootKeys, providerOrigin: provider.origin, log, ...settings })
  const nodes = [await open(), await open()] as const
  return {
    db,
    provider,
    rootKeys,
    nodes,
    log,
    rows: (sql, values) => db.asSuperuser(sql, values) as never,
    events: async (org) =>
      (
        await db.asSuperuser<{ action: string; actor: string; detail: string }>(
          'select action, actor, detail from sallyport.audit_event where org_id = $1 order by seq',
          [org],
        )
      ).map((event) => ({ ...event, detail: JSON.parse(event.detail) as Record<string, unknown> })),
    elapse: async () => void (await db.asSuperuser("update sallyport.revocation set next_at = clock_timestamp() where state = 'waiting'")),
    async close() {
      for (const node of nodes) await node.close()
      await provider.close()
      await db.drop()
    },
  }
}

export interface RevocableTenant {
  readonly org: OrgId
  readonly place: { readonly project: ProjectId; readonly environment: Environment }
  readonly integration: IntegrationId
}

export async function makeRevocableTenant(node: RevokingNode, slug = 'api', provider = 'github'): Promise<RevocableTenant> {
  const [org, project, integration] = [newId('org'), newId('proj'), newId('int')]
  const place = { project, environment: 'test' } as const
  await node.database.withTenant(org, async (tx) => {
    await organizationCreate(tx, { name: 'An organization' })
    await projectCreate(tx, { id: project, name: 'A project' })
    const clientSecret = await node.vault.seal(tx, clientSecretPlace(integration), new Secret('not-a-client-secret'))
    const context = randomToken(24)
    await integrationInsert(tx, { ...place, id: integration, slug, provider, context, clientId: 'a-client', clientSecret, scopes: [] })
  })
  return { org, place, integration }
}

export function tokenSet(name: string, over: Partial<Pick<TokenSet, 'refreshToken' | 'expiresAt'>> = {}): TokenSet {
  return {
    accessToken: new Secret(`access-${name}`),
    refreshToken: new Secret(`refresh-${name}`),
    tokenType: 'bearer',
    expiresAt: Date.now() + 3_600_000,
    scopes: [],
    extra: new Secret('{}'),
    ...over,
  }
}

/** An active connection of `endUser` with `tokens`. */
export async function connect(
  node: RevokingNode,
  tenant: RevocableTenant,
  tokens: TokenSet,
  { endUser = 'user-1', account = 'account-1' }: { endUser?: string; account?: string | null } = {},
): Promise<ConnectionId> {
  const id = newId('conn')
  await node.database.withTenant(tenant.org, async (tx) => {
    await connectionInsert(tx, { ...tenant.place, id, integration: tenant.integration, endUserId: endUser })
    await node.lineage.consent(tx, id, tokens, { onHeld: () => undefined })
    const of = account === null ? null : { id: account, label: null }
    await connectionActivate(tx, id, { generation: 1, status: 'active', grantedScopes: [], account: of })
  })
  return id
}

/** Many connections by one statement: what is measured is their end, not their making. */
export async function fillConnections(
  world: Pick<RevocationWorld, 'rows'>,
  node: RevokingNode,
  tenant: RevocableTenant,
  count: number,
): Promise<void> {
  const ids = Array.from({ length: count }, () => newId('conn'))
  for (let from = 0; from < count; from += 1000) {
    const page = ids.slice(from, from + 1000)
    const sealed: Buffer[] = []
    await node.database.withTenant(tenant.org, async (tx) => {
      for (const [n, id] of page.entries())
        sealed.push(await node.vault.seal(tx, credentialPlace(id, 1n), writeTokenSet(tokenSet(`bulk-${from + n}`))))
    })
    await world.rows(
      `with made as (
         insert into sallyport.connection (org_id, id, project_id, environment, integration_id, end_user_id, status, head_seq, account_id)
         select $1, v.id, $2, $3, $4, 'user-' || v.id, 'active', 1, 'account-' || v.id from unnest($5::uuid[]) as v (id))
       insert into sallyport.credential_version (org_id, connection_id, seq, generation, sealed)
       select $1, v.id, 1, 1, v.sealed from unnest($5::uuid[], $6::bytea[]) as v (id, sealed)`,
      [tenant.org, tenant.place.project, tenant.place.environment, tenant.integration, page, sealed],
    )
  }
}

/** A process that works on bulk revocations until there are none; see bulk-process.ts. */
export function spawnBulkWorker(world: Pick<RevocationWorld, 'db' | 'rootKeys' | 'provider'>): ChildProcess {
  return fork(new URL('bulk-process.ts', import.meta.url), {
    env: {
      ...process.env,
      TEST_DATABASE_URL: world.db.url.reveal(),
      TEST_ROOT_KEYS: world.rootKeys,
      TEST_PROVIDER: world.provider.origin,
    },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
}
