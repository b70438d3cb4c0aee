/**
 * Owns the control plane's contract: every operation with its path, shapes and access, in one table. The server serves it, the
 * client is inferred from it, OpenAPI is generated from it. Refuses a second place where a path or a shape is written.
 */
import { z } from 'zod'
import { CONTROL_BODY_BYTES, SCOPES } from './access.ts'
import type { RouteAccess } from './access.ts'
import * as s from './schemas.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

export interface Operation {
  readonly method: Method
  /** With `{name}` placeholders, as in OpenAPI. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly access: RouteAccess
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  /** The body of a success; null where there is none (204). */
  readonly response: z.ZodType | null
  readonly status: 200 | 201 | 204
}

const define = <const O extends Operation>(operation: O): O => operation

const API = '/api/v1'
const ORG = `${API}/orgs/{org}`
const PROJECT = `${ORG}/projects/{project}`
const ENV = `${PROJECT}/{environment}`

const inOrg = z.strictObject({ org: s.orgId })
const inProject = z.strictObject({ org: s.orgId, project: s.projectId })
const inEnvironment = z.strictObject({ org: s.orgId, project: s.projectId, environment: s.environment })

const origin = z.string().max(255).describe('scheme://host[:port], nothing more; https unless loopback in development')

function namesWhat({ everything, dry_run: _dryRun, ...filter }: { everything?: true | undefined; dry_run: boolean }): boolean {
  const filtered = Object.values(filter).some((value) => value !== undefined)
  return filtered !== (everything === true)
}

export const operations = {
  whoami: define({
    method: 'GET',
    path: `${API}/whoami`,
    tag: 'Identity',
    summary: 'Who this key or session is, and where it may act',
    access: { audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 },
    response: s.whoami,
    status: 200,
  }),
  sessionCreate: define({
    method: 'POST',
    path: `${API}/session`,
    tag: 'Identity',
    summary: "Exchange a one-time owner link's token for a console session (sets a cookie)",
    access: { audience: 'public', tenant: 'none', audit: 'session.created', bodyLimit: CONTROL_BODY_BYTES },
    body: z.strictObject({ owner_token: z.string().min(20).max(128) }),
    response: s.session,
    status: 201,
  }),
  sessionDelete: define({
    method: 'DELETE',
    path: `${API}/session`,
    tag: 'Identity',
    summary: 'Sign out: the session ends on every node',
    access: { audience: 'principal', tenant: 'none', audit: 'session.ended', bodyLimit: 0 },
    response: null,
    status: 204,
  }),
  providerList: define({
    method: 'GET',
    path: `${API}/providers`,
    tag: 'Catalog',
    summary: 'Providers that can be integrated',
    access: { audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 },
    response: z.object({ data: z.array(s.provider) }),
    status: 200,
  }),
  organizationGet: define({
    method: 'GET',
    path: ORG,
    tag: 'Organizations',
    summary: 'One organization',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: s.organization,
    status: 200,
  }),
  projectList: define({
    method: 'GET',
    path: `${ORG}/projects`,
    tag: 'Projects',
    summary: 'Projects of an organization',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.project),
    status: 200,
  }),
  projectGet: define({
    method: 'GET',
    path: PROJECT,
    tag: 'Projects',
    summary: 'One project',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'projects:read', tenant: 'project', audit: 'none', bodyLimit: 0 },
    params: inProject,
    response: s.project,
    status: 200,
  }),
  projectUpdate: define({
    method: 'PATCH',
    path: PROJECT,
    tag: 'Projects',
    summary: 'Change the name or the origins that connect sessions may return to; not for test keys and keys bound to a connection',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'projects:write',
      tenant: 'project',
      audit: 'project.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inProject,
    body: z
      .strictObject({ name: s.name.optional(), return_origins: z.array(origin).max(50).optional() })
      .refine((body) => Object.keys(body).length > 0, 'must name what to change')
      .meta({ minProperties: 1 }),
    response: s.project,
    status: 200,
  }),
  keyList: define({
    method: 'GET',
    path: `${ENV}/keys`,
    tag: 'API keys',
    summary: 'Keys of an environment; never their secrets',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'keys:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery,
    response: s.pageOf(s.apiKey),
    status: 200,
  }),
  keyCreate: define({
    method: 'POST',
    path: `${ENV}/keys`,
    tag: 'API keys',
    summary: 'Make a key; its text is in this answer and nowhere else, ever',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'keys:write',
      tenant: 'environment',
      audit: 'key.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: z.strictObject({
      name: s.name,
      scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
      connection: s.connectionId.optional().describe('Bind the key to one connection'),
      expires_in_s: z.int().min(1).max(31_536_000).optional().describe('Absent: it does not expire'),
      allowed_addresses: s.addressRanges.optional().describe('Absent: from anywhere, or as the key that makes it'),
      sender: s.keySender.optional().describe('Absent: whoever has it, or as the key that makes it'),
    }),
    response: z.object({ key: s.apiKey, secret: z.string().describe('sp_{live|test}_{id}_{secret}_{checksum}; shown once') }),
    status: 201,
  }),
  keyUpdate: define({
    method: 'PATCH',
    path: `${ENV}/keys/{key}`,
    tag: 'API keys',
    summary: 'Change the name of a key, or from where it may be used; at once on this node, within a second on the others',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'keys:write',
      tenant: 'environment',
      audit: 'key.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ key: s.keyId }),
    body: z
      .strictObject({
        name: s.name.optional(),
        allowed_addresses: s.addressRanges.nullable().optional().describe('null: from anywhere its makers may'),
      })
      .refine((body) => Object.keys(body).length > 0, 'must name what to change')
      .meta({ minProperties: 1 }),
    response: s.apiKey,
    status: 200,
  }),
  keyRevoke: define({
    method: 'POST',
    path: `${ENV}/keys/{key}/revoke`,
    tag: 'API keys',
    summary: 'Turn a key off for good; repeating it changes nothing',
    access: { audience: 'tenant', role: 'DEVELOPER', scope: 'keys:write', tenant: 'environment', audit: 'key.revoked', bodyLimit: 0 },
    params: inEnvironment.extend({ key: s.keyId }),
    response: s.apiKey,
    status: 200,
  }),
  integrationList: define({
    method: 'GET',
    path: `${ENV}/integrations`,
    tag: 'Integrations',
    summary: 'Integrations of an environment',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'integrations:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery,
    response: s.pageOf(s.integration),
    status: 200,
  }),
  integrationCreate: define({
    method: 'POST',
    path: `${ENV}/integrations`,
    tag: 'Integrations',
    summary: "Register the organization's own client at a provider",
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'integrations:write',
      tenant: 'environment',
      audit: 'integration.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: z.strictObject({
      slug: s.integrationSlug,
      provider: z.string().min(1).max(64),
      client_id: z.string().min(1).max(512),
      client_secret: z.string().min(1).max(2048),
      scopes: z.array(z.string().min(1).max(256)).max(100).optional().describe("Absent: the provider's defaults"),
    }),
    response: s.integration,
    status: 201,
  }),
  integrationGet: define({
    method: 'GET',
    path: `${ENV}/integrations/{integration}`,
    tag: 'Integrations',
    summary: 'One integration',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'integrations:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ integration: s.integrationId }),
    response: s.integration,
    status: 200,
  }),
  eventSourceList: define({
    method: 'GET',
    path: `${ENV}/integrations/{integration}/event-sources`,
    tag: 'Integrations',
    summary: 'Where the provider may send word of ended grants; never the secrets',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'integrations:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ integration: s.integrationId }),
    query: s.pageQuery,
    response: s.pageOf(s.eventSource),
    status: 200,
  }),
  eventSourceCreate: define({
    method: 'POST',
    path: `${ENV}/integrations/{integration}/event-sources`,
    tag: 'Integrations',
    summary: "Make an address for the provider's events: security event tokens, GitHub's webhooks or Slack's events",
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'integrations:write',
      tenant: 'environment',
      audit: 'event_source.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ integration: s.integrationId }),
    body: z.strictObject({
      kind: z.enum(s.EVENT_SOURCE_KIND),
      secret: z.string().min(16).max(256).optional().describe("GitHub, Slack: the provider's signing secret. Absent: one is made"),
      issuers: z
        .array(z.string().min(1).max(512))
        .min(1)
        .max(10)
        .optional()
        .describe('Exact texts. Absent: as the catalog knows the provider'),
      keys_uri: z.string().min(1).max(2048).optional().describe("The issuer's JWK set"),
      audiences: z.array(z.string().min(1).max(512)).min(1).max(10).optional().describe("Absent: the integration's client id"),
    }),
    response: z.object({ source: s.eventSource, secret: z.string().nullable().describe('The secret that was made; shown once') }),
    status: 201,
  }),
  eventSourceDelete: define({
    method: 'DELETE',
    path: `${ENV}/integrations/{integration}/event-sources/{source}`,
    tag: 'Integrations',
    summary: 'Receive no more events at this address',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'integrations:write',
      tenant: 'environment',
      audit: 'event_source.deleted',
      bodyLimit: 0,
    },
    params: inEnvironment.extend({ integration: s.integrationId, source: s.eventSourceId }),
    response: null,
    status: 204,
  }),
  connectSessionCreate: define({
    method: 'POST',
    path: `${ENV}/connect-sessions`,
    tag: 'Connecting',
    summary: 'Begin to connect an end user; gives a short-lived link to the hosted page',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connect_sessions:write',
      tenant: 'environment',
      audit: 'connect_session.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: z.strictObject({
      integration: s.integrationSlug,
      end_user_id: s.endUserId,
      return_to: z
        .string()
        .max(2048)
        .optional()
        .describe("Where the browser goes afterwards; its origin must be one of the project's return_origins"),
      connection: s.connectionId.optional().describe('Reconnect this connection; its id stays, its generation rises'),
    }),
    response: z.object({ session: s.connectSession, link: z.url().describe('Open it in the end user’s browser within 10 minutes') }),
    status: 201,
  }),
  connectSessionGet: define({
    method: 'GET',
    path: `${ENV}/connect-sessions/{session}`,
    tag: 'Connecting',
    summary: 'How far a connect session has come',
    access: { audience: 'tenant', role: 'DEVELOPER', scope: 'connect_sessions:write', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ session: s.connectSessionId }),
    response: s.connectSession,
    status: 200,
  }),
  connectSessionComplete: define({
    method: 'POST',
    path: `${ENV}/connect-sessions/{session}/complete`,
    tag: 'Connecting',
    summary: 'Confirm that the browser that came back belongs to the same end user; makes the connection usable',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connect_sessions:write',
      tenant: 'environment',
      audit: 'connection.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ session: s.connectSessionId }),
    body: z.strictObject({
      code: z.string().min(1).max(128).describe('From `connect_code` of the return address, or shown on the hosted page'),
      end_user_id: s.endUserId.describe('The user signed in where the browser came back, as the application knows it now'),
    }),
    response: s.connection,
    status: 200,
  }),
  connectionList: define({
    method: 'GET',
    path: `${ENV}/connections`,
    tag: 'Connections',
    summary: 'Connected accounts',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'connections:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery.extend({ integration: s.integrationSlug.optional(), end_user_id: s.endUserId.optional() }),
    response: s.pageOf(s.connection),
    status: 200,
  }),
  connectionGet: define({
    method: 'GET',
    path: `${ENV}/connections/{connection}`,
    tag: 'Connections',
    summary: 'One connected account; metadata, never a token',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'connections:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ connection: s.connectionId }),
    response: s.connection,
    status: 200,
  }),
  connectionImport: define({
    method: 'POST',
    path: `${ENV}/connections/import`,
    tag: 'Connections',
    summary: 'Take over a credential that the application holds already; it is sealed at once and never shown again',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connections:write',
      tenant: 'environment',
      audit: 'connection.imported',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: s.connectionImport,
    response: s.connection,
    status: 201,
  }),
  connectionRefresh: define({
    method: 'POST',
    path: `${ENV}/connections/{connection}/refresh`,
    tag: 'Connections',
    summary: 'Renew the credential now; one that can not be renewed and lives stays as it is',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connections:write',
      tenant: 'environment',
      audit: 'connection.refresh_requested',
      bodyLimit: 0,
    },
    params: inEnvironment.extend({ connection: s.connectionId }),
    response: s.connection,
    status: 200,
  }),
  connectionRevoke: define({
    method: 'DELETE',
    path: `${ENV}/connections/{connection}`,
    tag: 'Connections',
    summary: 'Disconnect: over here at once and on every node, its tokens taken back at the provider; repeating it changes nothing',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connections:write',
      tenant: 'environment',
      audit: 'connection.revoked',
      bodyLimit: 0,
    },
    params: inEnvironment.extend({ connection: s.connectionId }),
    response: s.disconnection,
    status: 200,
  }),
  endUserDelete: define({
    method: 'DELETE',
    path: `${ENV}/end-users/{end_user}`,
    tag: 'Connections',
    summary:
      'Forget an end user: every connection ended and taken back at its provider, flows under way and bound keys gone; not for bound keys',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connections:write',
      tenant: 'environment',
      audit: 'end_user.deleted',
      bodyLimit: 0,
    },
    params: inEnvironment.extend({ end_user: s.endUserId }),
    response: s.endUserErasure,
    status: 200,
  }),
  bulkRevocationCreate: define({
    method: 'POST',
    path: `${ORG}/bulk-revocations`,
    tag: 'Connections',
    summary: 'End many connections at once, or with `dry_run` only show what that would end; goes on by itself, through restarts',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'bulk_revocation.started', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: z
      .strictObject({
        project: s.projectId.optional(),
        environment: s.environment.optional(),
        integration: s.integrationId.optional(),
        provider: z.string().min(1).max(64).optional(),
        everything: z.literal(true).optional().describe('Instead of a filter: every connection of the organization'),
        dry_run: z.boolean(),
      })
      .refine(namesWhat, 'must name a filter, or everything, and not both'),
    response: z.object({ dry_run: z.boolean(), radius: s.blastRadius, bulk_revocation: s.bulkRevocation.nullable() }),
    status: 200,
  }),
  bulkRevocationGet: define({
    method: 'GET',
    path: `${ORG}/bulk-revocations/{bulk}`,
    tag: 'Connections',
    summary: 'How far a bulk revocation has come',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg.extend({ bulk: s.bulkRevocationId }),
    response: s.bulkRevocation,
    status: 200,
  }),
  requestList: define({
    method: 'GET',
    path: `${ENV}/requests`,
    tag: 'Requests',
    summary: 'Calls that went out, newest first; no query, headers or bodies',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'requests:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery,
    response: s.pageOf(s.requestRecord),
    status: 200,
  }),
  dataKeyList: define({
    method: 'GET',
    path: `${ORG}/data-keys`,
    tag: 'Data keys',
    summary: "The keys that seal the organization's secrets, with what is under each; never the keys themselves",
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: z.object({ data: z.array(s.dataKey) }),
    status: 200,
  }),
  dataKeyRotate: define({
    method: 'POST',
    path: `${ORG}/data-keys/rotate`,
    tag: 'Data keys',
    summary: 'Make a new data key and begin to move everything to it, or go on with a rotation under way; calls go on meanwhile',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.rotated', bodyLimit: 0 },
    params: inOrg,
    response: z.object({
      started: z.boolean().describe('False: an earlier rotation is still under way and is gone on with, or nothing was ever sealed'),
      data: z.array(s.dataKey),
    }),
    status: 200,
  }),
  dataKeyVerify: define({
    method: 'POST',
    path: `${ORG}/data-keys/verify`,
    tag: 'Data keys',
    summary: 'Unwrap every data key and open every sealed record of the organization; changes nothing',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.verified', bodyLimit: 0 },
    params: inOrg,
    response: s.keyVerification,
    status: 200,
  }),
  dataKeyRemove: define({
    method: 'DELETE',
    path: `${ORG}/data-keys/{data_key}`,
    tag: 'Data keys',
    summary: 'Forget a previous data key that nothing is under; refused with the count while anything is',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.removed', bodyLimit: 0 },
    params: inOrg.extend({ data_key: s.dataKeyId }),
    response: null,
    status: 204,
  }),
  dataKeyShred: define({
    method: 'POST',
    path: `${ORG}/data-keys/shred`,
    tag: 'Data keys',
    summary: 'Destroy all data keys of the organization: what they sealed can never be opened again, but from a backup of their rows',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.destroyed', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: z.strictObject({
      dry_run: z.boolean().describe('True: say what would be lost, and do nothing'),
      confirm: s.orgId.optional().describe("The organization's own id; needed when it is to be done"),
    }),
    response: s.shredReport,
    status: 200,
  }),
  rootKeyList: define({
    method: 'GET',
    path: `${ORG}/root-keys`,
    tag: 'Root keys',
    summary: "The installation's root keys that the organization's data keys can be under; never the keys themselves",
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: z.object({ data: z.array(s.rootKey) }),
    status: 200,
  }),
  rootKeyRotate: define({
    method: 'POST',
    path: `${ORG}/root-keys/rotate`,
    tag: 'Root keys',
    summary: "Put the organization's data keys under the primary root key now, instead of within the hour",
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'root_key.rotated', bodyLimit: 0 },
    params: inOrg,
    response: s.rewrapReport,
    status: 200,
  }),
  rootKeyRemove: define({
    method: 'DELETE',
    path: `${ORG}/root-keys/{root_key}`,
    tag: 'Root keys',
    summary: 'Make the installation forget a rotated root key that nothing is under and that is not configured any more',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'root_key.removed', bodyLimit: 0 },
    params: inOrg.extend({ root_key: s.rootKeyId }),
    response: null,
    status: 204,
  }),
  organizationContain: define({
    method: 'POST',
    path: `${ORG}/contain`,
    tag: 'Emergency',
    summary:
      'After secrets of the organization may have been read: a new data key, every record resealed, every data key rewrapped and, if asked, every connection revoked; goes on where it was when repeated',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'organization.contained', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: z.strictObject({
      exposed_until: s.timestamp.describe('Until when they may have been read, not in the future: keys made before it are replaced'),
      connections: z
        .enum(['keep', 'revoke'])
        .describe(
          '`revoke`: end every connection now and revoke it at its provider; each account has to be connected again. Once for one moment',
        ),
    }),
    response: s.containment,
    status: 200,
  }),
  auditEventList: define({
    method: 'GET',
    path: `${ORG}/audit-events`,
    tag: 'Audit',
    summary: "The organization's audit events, newest first",
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.auditEvent),
    status: 200,
  }),
  auditVerify: define({
    method: 'GET',
    path: `${ORG}/audit-events/verify`,
    tag: 'Audit',
    summary: 'Recompute the hash chain from the first event',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: s.auditVerification,
    status: 200,
  }),
} as const satisfies Record<string, Operation>

export type Operations = typeof operations
export type OperationName = keyof Operations
