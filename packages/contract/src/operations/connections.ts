/** Owns connected accounts: seen, taken over, renewed and ended, one or many. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, ORG, inEnvironment, inOrg } from './paths.ts'

function namesWhat({ everything, dry_run: _dryRun, ...filter }: { everything?: true | undefined; dry_run: boolean }): boolean {
  const filtered = Object.values(filter).some((value) => value !== undefined)
  return filtered !== (everything === true)
}

export const connectionsOperations = {
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
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      stepUp: true,
      tenant: 'org',
      audit: 'bulk_revocation.started',
      bodyLimit: CONTROL_BODY_BYTES,
    },
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
} as const satisfies Record<string, Operation>
