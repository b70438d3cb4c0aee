/** Owns the keys of model providers: an organization's for all of it, or one project environment's. Refuses to give one out again. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { API, ENV, inEnvironment, inOrg, ORG } from './paths.ts'

const secret = z
  .string()
  .min(8)
  .max(16_384)
  .describe('A key; of AWS Bedrock a JSON object with access_key_id and secret_access_key; of Vertex AI the JSON file of a service account')
const settings = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,30}$/u), z.string().max(63))
  .describe('What else the provider needs, as `GET /api/v1/model-providers` says; none of it secret')

const created = z.strictObject({
  provider: z.string().min(1).max(31),
  name: s.name.default('default').describe('One stands for good under each name of a provider, in each place'),
  secret,
  settings: settings.default({}),
})
const successor = z.strictObject({
  secret,
  settings: settings.optional().describe('Absent: as of the key that it replaces'),
  overlap_s: z
    .int()
    .min(0)
    .max(2_592_000)
    .default(86_400)
    .describe('How long the replaced key stays at hand: calls carry it again should the new one be revoked meanwhile; 0: it ends at once'),
})
const replaced = z.object({ key: s.providerKey.describe('The new key'), replaced: s.providerKey.describe('The one before, as it is now') })

const ORG_KEYS = `${ORG}/provider-keys`
const ENV_KEYS = `${ENV}/provider-keys`
const inOrgKey = inOrg.extend({ organization_provider_key: s.providerKeyId })
const inEnvKey = inEnvironment.extend({ provider_key: s.providerKeyId })

const ofOrganization = { audience: 'tenant', tenant: 'org' } as const
const ofEnvironment = { audience: 'tenant', tenant: 'environment' } as const
const tag = 'Provider keys'

export const providerKeysOperations = {
  modelProviderList: define({
    method: 'GET',
    path: `${API}/model-providers`,
    tag: 'Catalog',
    summary: 'Model providers that keys can be kept for',
    access: { audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 },
    response: z.object({ data: z.array(s.modelProvider) }),
    status: 200,
  }),
  organizationProviderKeyList: define({
    method: 'GET',
    path: ORG_KEYS,
    tag,
    summary: 'Keys of model providers for the whole organization; never their secrets',
    access: { ...ofOrganization, role: 'VIEWER', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.providerKey),
    status: 200,
  }),
  organizationProviderKeyCreate: define({
    method: 'POST',
    path: ORG_KEYS,
    tag,
    summary: 'Keep a key for every project that has none of its own',
    access: { ...ofOrganization, role: 'ADMIN', audit: 'provider_key.created', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: created,
    response: s.providerKey,
    status: 201,
  }),
  organizationProviderKeyRotate: define({
    method: 'POST',
    path: `${ORG_KEYS}/{organization_provider_key}/rotate`,
    tag,
    summary: 'Put a new key in the place of this one',
    access: { ...ofOrganization, role: 'ADMIN', audit: 'provider_key.rotated', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrgKey,
    body: successor,
    response: replaced,
    status: 201,
  }),
  organizationProviderKeyRevoke: define({
    method: 'POST',
    path: `${ORG_KEYS}/{organization_provider_key}/revoke`,
    tag,
    summary: 'End a key for good and forget its secret; repeating it changes nothing',
    access: { ...ofOrganization, role: 'ADMIN', audit: 'provider_key.revoked', bodyLimit: 0 },
    params: inOrgKey,
    response: s.providerKey,
    status: 200,
  }),
  providerKeyList: define({
    method: 'GET',
    path: ENV_KEYS,
    tag,
    summary: "An environment's own keys of model providers; never their secrets",
    access: { ...ofEnvironment, role: 'VIEWER', scope: 'provider_keys:read', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery,
    response: s.pageOf(s.providerKey),
    status: 200,
  }),
  providerKeyCreate: define({
    method: 'POST',
    path: ENV_KEYS,
    tag,
    summary: "Keep a key for this environment alone, in place of the organization's",
    access: {
      ...ofEnvironment,
      role: 'ADMIN',
      scope: 'provider_keys:write',
      audit: 'provider_key.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: created,
    response: s.providerKey,
    status: 201,
  }),
  providerKeyRotate: define({
    method: 'POST',
    path: `${ENV_KEYS}/{provider_key}/rotate`,
    tag,
    summary: 'Put a new key in the place of this one',
    access: {
      ...ofEnvironment,
      role: 'ADMIN',
      scope: 'provider_keys:write',
      audit: 'provider_key.rotated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvKey,
    body: successor,
    response: replaced,
    status: 201,
  }),
  providerKeyRevoke: define({
    method: 'POST',
    path: `${ENV_KEYS}/{provider_key}/revoke`,
    tag,
    summary: 'End a key for good and forget its secret; repeating it changes nothing',
    access: { ...ofEnvironment, role: 'ADMIN', scope: 'provider_keys:write', audit: 'provider_key.revoked', bodyLimit: 0 },
    params: inEnvKey,
    response: s.providerKey,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
