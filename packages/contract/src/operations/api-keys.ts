/** Owns the gateway's own keys: made, narrowed and turned off. Refuses to show a secret twice. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES, ORGANIZATION_KEY_SCOPES, SCOPES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, ORG, inEnvironment, inOrg } from './paths.ts'

const wanted = z.strictObject({
  name: s.name,
  expires_in_s: z.int().min(1).max(31_536_000).optional().describe('Absent: it does not expire'),
  allowed_addresses: s.addressRanges.optional().describe('Absent: from anywhere, or as the key that makes it'),
  allowed_origins: s.keyOrigins.optional().describe('Absent: whoever has it, or as the key that makes it'),
  sender: s.keySender.optional().describe('Absent: whoever has it, or as the key that makes it'),
})

const change = z
  .strictObject({
    name: s.name.optional(),
    allowed_addresses: s.addressRanges.nullable().optional().describe('null: from anywhere its makers may'),
    allowed_origins: s.keyOrigins.nullable().optional().describe('null: whoever has it, as far as its makers may'),
  })
  .refine((body) => Object.keys(body).length > 0, 'must name what to change')
  .meta({ minProperties: 1 })

const overlap = z.strictObject({
  overlap_s: z.int().min(0).max(2_592_000).default(86_400).describe('How long this key goes on; 0: it ends at once'),
})

/** Of the organization: an administrator's, or another such key's. A project's key has no say in them, whatever its scopes. */
const ofOrganization = { audience: 'tenant', role: 'ADMIN', tenant: 'org' } as const
const ONE = inOrg.extend({ key: s.keyId })

export const apiKeysOperations = {
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
    body: wanted.extend({
      scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
      connection: s.connectionId.optional().describe('Bind the key to one connection'),
    }),
    response: z.object({ key: s.apiKey, secret: z.string().describe('sp_{live|test}_{id}_{secret}_{checksum}; shown once') }),
    status: 201,
  }),
  keyGet: define({
    method: 'GET',
    path: `${ENV}/keys/{key}`,
    tag: 'API keys',
    summary: 'One key; never its secret',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'keys:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ key: s.keyId }),
    response: s.apiKey,
    status: 200,
  }),
  keyUpdate: define({
    method: 'PATCH',
    path: `${ENV}/keys/{key}`,
    tag: 'API keys',
    summary:
      'Change the name of a key, or from where and by which pages it may be used; at once on this node, within a second on the others',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'keys:write',
      tenant: 'environment',
      audit: 'key.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ key: s.keyId }),
    body: change,
    response: s.apiKey,
    status: 200,
  }),
  keyRotate: define({
    method: 'POST',
    path: `${ENV}/keys/{key}/rotate`,
    tag: 'API keys',
    summary:
      'Make the key that takes this one’s place, with the same scopes and bounds; both work until the overlap is over, then this one and the keys it made end',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'keys:write',
      tenant: 'environment',
      audit: 'key.rotated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ key: s.keyId }),
    body: overlap,
    response: z.object({
      key: s.apiKey.describe('The new key'),
      secret: z.string().describe('Its text; shown once'),
      replaced: s.apiKey.describe('This key, as it is now'),
    }),
    status: 201,
  }),
  keyRevoke: define({
    method: 'POST',
    path: `${ENV}/keys/{key}/revoke`,
    tag: 'API keys',
    summary: 'Turn a key off for good, with every key that it made or rotated itself into; repeating it changes nothing',
    access: { audience: 'tenant', role: 'DEVELOPER', scope: 'keys:write', tenant: 'environment', audit: 'key.revoked', bodyLimit: 0 },
    params: inEnvironment.extend({ key: s.keyId }),
    response: s.apiKey,
    status: 200,
  }),
  organizationKeyList: define({
    method: 'GET',
    path: `${ORG}/keys`,
    tag: 'API keys',
    summary: 'Keys of the organization itself, which manage all its projects in one environment and call nothing',
    access: { ...ofOrganization, scope: 'keys:read', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.organizationKey),
    status: 200,
  }),
  organizationKeyCreate: define({
    method: 'POST',
    path: `${ORG}/keys`,
    tag: 'API keys',
    summary: 'Make a key of the organization; its text is in this answer and nowhere else, ever',
    access: { ...ofOrganization, scope: 'keys:write', audit: 'key.created', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: wanted.extend({
      environment: s.environment.default('live').describe('Of every project. A test key changes nothing that environments share'),
      scopes: z.array(z.enum(ORGANIZATION_KEY_SCOPES)).min(1).max(ORGANIZATION_KEY_SCOPES.length),
    }),
    response: z.object({ key: s.organizationKey, secret: z.string().describe('sp_{live|test}_{id}_{secret}_{checksum}; shown once') }),
    status: 201,
  }),
  organizationKeyGet: define({
    method: 'GET',
    path: `${ORG}/keys/{key}`,
    tag: 'API keys',
    summary: 'One key of the organization; never its secret',
    access: { ...ofOrganization, scope: 'keys:read', audit: 'none', bodyLimit: 0 },
    params: ONE,
    response: s.organizationKey,
    status: 200,
  }),
  organizationKeyUpdate: define({
    method: 'PATCH',
    path: `${ORG}/keys/{key}`,
    tag: 'API keys',
    summary: 'Change the name of a key of the organization, or from where and by which pages it may be used',
    access: { ...ofOrganization, scope: 'keys:write', audit: 'key.updated', bodyLimit: CONTROL_BODY_BYTES },
    params: ONE,
    body: change,
    response: s.organizationKey,
    status: 200,
  }),
  organizationKeyRotate: define({
    method: 'POST',
    path: `${ORG}/keys/{key}/rotate`,
    tag: 'API keys',
    summary: 'Make the key that takes the place of a key of the organization; as of a project',
    access: { ...ofOrganization, scope: 'keys:write', audit: 'key.rotated', bodyLimit: CONTROL_BODY_BYTES },
    params: ONE,
    body: overlap,
    response: z.object({
      key: s.organizationKey.describe('The new key'),
      secret: z.string().describe('Its text; shown once'),
      replaced: s.organizationKey.describe('This key, as it is now'),
    }),
    status: 201,
  }),
  organizationKeyRevoke: define({
    method: 'POST',
    path: `${ORG}/keys/{key}/revoke`,
    tag: 'API keys',
    summary: 'Turn a key of the organization off for good, with every key that it made in any project, or rotated itself into',
    access: { ...ofOrganization, scope: 'keys:write', audit: 'key.revoked', bodyLimit: 0 },
    params: ONE,
    response: s.organizationKey,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
