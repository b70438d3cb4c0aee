/**
 * Owns what an export of an organization says: a line of JSON for each thing in it, in the API's own shapes, and at the end how many of each kind. Refuses
 * whatever is sealed or only a hash here: what the API never shows, no export has. It is read page by page while the organization goes on, so that it is
 * true of each page's moment, and not of one.
 */
import { ENVIRONMENTS } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { IntegrationId, OrgId } from '@sallyport/core'
import {
  apiKeyList,
  browserOriginsFind,
  budgetList,
  connectionList,
  dataKeyList,
  eventSourceList,
  integrationList,
  invitationList,
  memberList,
  modelRouteList,
  organizationFind,
  projectList,
  providerKeyList,
  rateLimitFind,
  requestRecordList,
  signInPolicyFind,
  usageList,
} from '../../../db/index.ts'
import type { Database, Page, Place, RateLimitRow, TenantTx } from '../../../db/index.ts'
import { readSettings } from '../../../organizations/index.ts'
import { presentBudgets } from '../../budget/present.ts'
import { presentConnection } from '../../connection/present.ts'
import { presentEventSource } from '../../event-source/present.ts'
import { presentIntegration } from '../../integration/present.ts'
import { presentInvitation } from '../../invitation/present.ts'
import { presentKey, presentOrganizationKey } from '../../key/present.ts'
import { presentMember } from '../../member/present.ts'
import { presentModelRoute } from '../../model-route/present.ts'
import { presentProject } from '../../project/present.ts'
import { presentProviderKey } from '../../provider-key/present.ts'
import { presentRecord } from '../../request/present.ts'
import { presentSettings } from '../../setting/present.ts'
import { presentSignInPolicy } from '../../sign-in-policy/present.ts'
import { presentUsage } from '../../usage/present.ts'
import { presentOrganization } from '../present.ts'

export interface ExportWanted {
  readonly org: OrgId
  readonly publicUrl: string
  /** With the records of calls. */
  readonly requests: boolean
  readonly at: Date
}

export const EXPORT_VERSION = 1
const PAGE = 500
/** Text is handed on in pieces of about this many characters. */
const PIECE = 64 * 1024

type Source = Pick<Database, 'withTenant'>
type Line = { readonly type: string } & Readonly<Record<string, unknown>>

/** The text in pieces. `count` is told of each thing that was handed on. @throws DatabaseError */
export async function* organizationLines(database: Source, wanted: ExportWanted, count: () => void): AsyncGenerator<string> {
  const rows: Record<string, number> = {}
  let piece = lineOf({
    type: 'sallyport-organization-export',
    version: EXPORT_VERSION,
    org: formatId('org', wanted.org),
    at: wanted.at.toISOString(),
    requests: wanted.requests,
  })
  for await (const line of things(database, wanted)) {
    rows[line.type] = (rows[line.type] ?? 0) + 1
    count()
    piece += lineOf(line)
    if (piece.length < PIECE) continue
    yield piece
    piece = ''
  }
  yield `${piece}${lineOf({ type: 'end', rows })}`
}

function lineOf(line: Line): string {
  return `${JSON.stringify(line)}\n`
}

async function* things(database: Source, wanted: ExportWanted): AsyncGenerator<Line> {
  const within = <T>(read: (tx: TenantTx) => Promise<T>): Promise<T> => database.withTenant(wanted.org, read)
  const paged = <Row, Key>(read: (tx: TenantTx, page: Page<Key>) => Promise<Row[]>, keyOf: (row: Row) => Key) => pages(within, read, keyOf)
  yield* await within(itself)
  for await (const member of paged(memberList, ({ person }) => person)) yield { type: 'member', ...presentMember(member) }
  for await (const made of paged(invitationList, ({ id }) => id)) yield { type: 'invitation', ...presentInvitation(made) }
  yield* providerKeys(within, null, wanted)
  const ofNoProject = { project: null, environment: null } as const
  for await (const key of paged(
    (tx, page: KeyPage) => apiKeyList(tx, ofNoProject, null, page),
    ({ id }) => id,
  )) {
    yield { type: 'key', project: null, ...presentOrganizationKey(key), rate_limit: await within((tx) => limitOf(tx, key.id)) }
  }
  for await (const budget of paged(budgetList, ({ id }) => id)) {
    const [shown] = await within((tx) => presentBudgets(tx, [budget]))
    yield { type: 'budget', ...shown }
  }
  for await (const project of paged(projectList, ({ id }) => id)) {
    const [limit, origins] = await within(async (tx) => [await limitOf(tx, project.id), await browserOriginsFind(tx, project.id)] as const)
    yield { type: 'project', ...presentProject(project), rate_limit: limit, browser_origins: origins }
    for (const environment of ENVIRONMENTS) yield* inPlace(within, { project: project.id, environment }, wanted)
  }
}

type Within = <T>(read: (tx: TenantTx) => Promise<T>) => Promise<T>

async function itself(tx: TenantTx): Promise<Line[]> {
  const organization = await organizationFind(tx)
  const keys = await dataKeyList(tx)
  return [
    ...(organization === undefined
      ? []
      : [{ type: 'organization', ...presentOrganization(organization), rate_limit: await limitOf(tx, tx.org) }]),
    { type: 'settings', ...presentSettings(await readSettings(tx)) },
    { type: 'sign_in_policy', ...presentSignInPolicy(await signInPolicyFind(tx)) },
    // Which keys there were, never a key.
    ...keys.map(({ id, status, createdAt }) => ({ type: 'data_key', id: formatId('dk', id), status, created_at: createdAt.toISOString() })),
  ]
}

async function* inPlace(within: Within, at: Place, wanted: ExportWanted): AsyncGenerator<Line> {
  const { publicUrl, requests } = wanted
  const where = { project: formatId('proj', at.project), environment: at.environment }
  for await (const integration of pages(
    within,
    (tx, page: Page<IntegrationId>) => integrationList(tx, at, page),
    ({ id }) => id,
  )) {
    yield { type: 'integration', ...where, ...presentIntegration(integration, publicUrl) }
    const sources = pages(
      within,
      (tx, page: SourcePage) => eventSourceList(tx, at, integration.id, page),
      ({ id }) => id,
    )
    for await (const source of sources) {
      yield { type: 'event_source', ...where, integration: formatId('int', integration.id), ...presentEventSource(source, publicUrl) }
    }
  }
  for await (const key of pages(
    within,
    (tx, page: KeyPage) => apiKeyList(tx, at, null, page),
    ({ id }) => id,
  )) {
    yield { type: 'key', ...where, ...presentKey(key), rate_limit: await within((tx) => limitOf(tx, key.id)) }
  }
  yield* providerKeys(within, at, wanted)
  for await (const route of pages(
    within,
    (tx, page: ModelRoutePage) => modelRouteList(tx, at, page),
    ({ id }) => id,
  )) {
    yield { type: 'model_route', ...where, ...presentModelRoute(route) }
  }
  for await (const connection of pages(
    within,
    (tx, page: ConnectionPage) => connectionList(tx, at, {}, page),
    ({ id }) => id,
  )) {
    yield { type: 'connection', ...where, ...presentConnection(connection) }
  }
  if (!requests) return
  for await (const record of pages(
    within,
    (tx, page: RequestPage) => requestRecordList(tx, at, page),
    ({ id }) => id,
  )) {
    yield { type: 'request', ...where, ...presentRecord(record) }
  }
  for await (const row of pages(
    within,
    (tx, page: UsagePage) => usageList(tx, at, {}, page),
    ({ id }) => id,
  )) {
    yield { type: 'usage', ...where, ...presentUsage(row) }
  }
}

/** Without what the API shows of their texts: nothing of a secret leaves with an export. */
async function* providerKeys(within: Within, at: Place | null, wanted: ExportWanted): AsyncGenerator<Line> {
  for await (const key of pages(
    within,
    (tx, page: ProviderKeyPage) => providerKeyList(tx, at, page),
    ({ id }) => id,
  )) {
    const { masked: _, fingerprint: __, ...shown } = presentProviderKey(key, wanted.at.getTime())
    yield { type: 'provider_key', ...shown }
  }
}

type ModelRoutePage = Parameters<typeof modelRouteList>[2]
type ProviderKeyPage = Parameters<typeof providerKeyList>[2]
type SourcePage = Parameters<typeof eventSourceList>[3]
type KeyPage = Parameters<typeof apiKeyList>[3]
type ConnectionPage = Parameters<typeof connectionList>[3]
type UsagePage = Parameters<typeof usageList>[3]
type RequestPage = Parameters<typeof requestRecordList>[2]

/** One after the other, each page in a transaction of its own: however slowly somebody reads, no transaction waits for that. */
async function* pages<Row, Key>(
  within: Within,
  read: (tx: TenantTx, page: Page<Key>) => Promise<Row[]>,
  keyOf: (row: Row) => Key,
): AsyncGenerator<Row> {
  let after: Key | undefined
  for (;;) {
    const from = after
    const rows = await within((tx) => read(tx, { after: from, limit: PAGE }))
    yield* rows
    if (rows.length < PAGE) return
    after = keyOf(rows.at(-1)!)
  }
}

async function limitOf(tx: TenantTx, id: RateLimitRow['id']): Promise<{ per_second: number; burst: number } | null> {
  const [row] = await rateLimitFind(tx, [id])
  return row === undefined ? null : { per_second: row.perSecond, burst: row.burst }
}
