/** Owns organizations themselves and what they settle. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { settingsChange, settingsInForce } from '../settings.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { API, ORG, inOrg } from './paths.ts'

export const organizationsOperations = {
  organizationList: define({
    method: 'GET',
    path: `${API}/orgs`,
    tag: 'Organizations',
    summary: 'The organizations of the person who asks, with their role in each; people only',
    access: { audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 },
    query: s.pageQuery,
    response: s.pageOf(s.ownOrganization),
    status: 200,
  }),
  organizationCreate: define({
    method: 'POST',
    path: `${API}/orgs`,
    tag: 'Organizations',
    summary: 'Make an organization and own it; for people who own one already',
    access: { audience: 'principal', tenant: 'none', audit: 'organization.created', bodyLimit: CONTROL_BODY_BYTES },
    body: z.strictObject({ name: s.name }),
    response: s.ownOrganization,
    status: 201,
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
  organizationUpdate: define({
    method: 'PATCH',
    path: ORG,
    tag: 'Organizations',
    summary: 'Change the name',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'organization.updated', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: z.strictObject({ name: s.name }),
    response: s.organization,
    status: 200,
  }),
  organizationExport: define({
    method: 'GET',
    path: `${ORG}/export`,
    tag: 'Organizations',
    summary:
      'Everything of the organization as one stream of JSON Lines, its last line a count of what went out: no secret, no credential and no sealed text; the log has an export of its own',
    access: { audience: 'tenant', role: 'OWNER', stepUp: true, tenant: 'org', audit: 'organization.exported', bodyLimit: 0 },
    params: inOrg,
    query: z.strictObject({
      requests: z.enum(['true', 'false']).default('true').describe('Whether the records of calls are part of it; there may be very many'),
    }),
    response: z.string(),
    media: ['application/jsonl'],
    status: 200,
  }),
  organizationDelete: define({
    method: 'POST',
    path: `${ORG}/deletion`,
    tag: 'Organizations',
    summary:
      'Delete the organization: closed at once, connections ended and taken back at their providers, keys destroyed, rows deleted; the log stays. Goes on by itself, through restarts',
    access: {
      audience: 'tenant',
      role: 'OWNER',
      stepUp: true,
      tenant: 'org',
      audit: 'organization.deletion_requested',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inOrg,
    body: z.strictObject({
      confirm: z.string().min(1).max(120).describe("The organization's name, exactly"),
      grace_s: z.int().min(0).max(2_592_000).default(0).describe('How long it can be taken back, up to 30 days'),
      wait_for_providers_s: z
        .int()
        .min(0)
        .max(604_800)
        .default(86_400)
        .describe('How long providers that do not answer are waited for; afterwards they are left untold'),
    }),
    response: s.organizationDeletion,
    status: 200,
  }),
  organizationDeletionGet: define({
    method: 'GET',
    path: `${ORG}/deletion`,
    tag: 'Organizations',
    summary: 'How far the deletion of the organization has come',
    access: { audience: 'tenant', role: 'OWNER', whileClosing: true, tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: s.organizationDeletion,
    status: 200,
  }),
  organizationDeletionCancel: define({
    method: 'DELETE',
    path: `${ORG}/deletion`,
    tag: 'Organizations',
    summary: 'Take the deletion back while it waits; everything is as it was',
    access: {
      audience: 'tenant',
      role: 'OWNER',
      whileClosing: true,
      tenant: 'org',
      audit: 'organization.deletion_cancelled',
      bodyLimit: 0,
    },
    params: inOrg,
    response: null,
    status: 204,
  }),
  settingsGet: define({
    method: 'GET',
    path: `${ORG}/settings`,
    tag: 'Organizations',
    summary: 'What the organization has settled, and what holds where it has not',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: settingsInForce,
    status: 200,
  }),
  settingsUpdate: define({
    method: 'PATCH',
    path: `${ORG}/settings`,
    tag: 'Organizations',
    summary: 'Settle something; some settings are for owners alone, and none may lock out whoever changes it',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'settings.updated', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: settingsChange,
    response: settingsInForce,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
