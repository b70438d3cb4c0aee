/** Owns an environment's clients at providers, and where providers send word of ended grants. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, inEnvironment } from './paths.ts'

/** What is not named stays, or is off. */
const givenPolicy = z.strictObject(s.callPolicy.partial().shape)

export const integrationsOperations = {
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
      call_policy: givenPolicy.optional().describe('Absent: calls pass through as they come'),
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
  integrationUpdate: define({
    method: 'PATCH',
    path: `${ENV}/integrations/{integration}`,
    tag: 'Integrations',
    summary:
      'Replace the client secret, the scopes that are asked for from now on, or the client id; the last only while no connection lives, whose grants belong to it',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'integrations:write',
      tenant: 'environment',
      audit: 'integration.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ integration: s.integrationId }),
    body: z
      .strictObject({
        client_id: z.string().min(1).max(512).optional(),
        client_secret: z
          .string()
          .min(1)
          .max(2048)
          .optional()
          .describe('Used by every call that begins after the change; one that is under way ends with the secret that it began with'),
        scopes: z
          .array(z.string().min(1).max(256))
          .max(100)
          .optional()
          .describe('What new consents ask for; connections keep what they were granted'),
        call_policy: givenPolicy
          .optional()
          .describe('Members that are absent stay as they are; calls that begin after the change go by it'),
      })
      .refine((body) => Object.values(body).some((value) => value !== undefined), 'must name what to change')
      .meta({ minProperties: 1 }),
    response: s.integration,
    status: 200,
  }),
  integrationDelete: define({
    method: 'DELETE',
    path: `${ENV}/integrations/{integration}`,
    tag: 'Integrations',
    summary:
      'Take the client out, with its links, its event sources and what is left of ended connections; refused while a connection lives',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'integrations:write',
      tenant: 'environment',
      audit: 'integration.deleted',
      bodyLimit: 0,
    },
    params: inEnvironment.extend({ integration: s.integrationId }),
    response: null,
    status: 204,
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
} as const satisfies Record<string, Operation>
