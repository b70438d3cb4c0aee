/** Owns how often an organization, a project and a key may ask, and which web pages may call. Refuses to let a key widen what bounds it. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, ORG, PROJECT, inEnvironment, inOrg, inProject } from './paths.ts'

const TAG = 'Limits'

const figures = z.strictObject({ limit: s.rateFigures.nullable().describe("null: back to the installation's standard") })

const change = { audience: 'tenant', audit: 'rate_limit.changed', bodyLimit: CONTROL_BODY_BYTES } as const

export const limitsOperations = {
  organizationRateLimitGet: define({
    method: 'GET',
    path: `${ORG}/rate-limit`,
    tag: TAG,
    summary: 'How often all keys of an organization together may ask',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: s.rateLimit,
    status: 200,
  }),
  organizationRateLimitUpdate: define({
    method: 'PATCH',
    path: `${ORG}/rate-limit`,
    tag: TAG,
    summary: 'Change it, up to what the installation allows; within a second on every node',
    access: { ...change, role: 'ADMIN', tenant: 'org' },
    params: inOrg,
    body: figures,
    response: s.rateLimit,
    status: 200,
  }),
  projectRateLimitGet: define({
    method: 'GET',
    path: `${PROJECT}/rate-limit`,
    tag: TAG,
    summary: 'How often all keys of a project together may ask',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'projects:read', tenant: 'project', audit: 'none', bodyLimit: 0 },
    params: inProject,
    response: s.rateLimit,
    status: 200,
  }),
  projectRateLimitUpdate: define({
    method: 'PATCH',
    path: `${PROJECT}/rate-limit`,
    tag: TAG,
    summary: "Change it; the organization's holds beside it",
    access: { ...change, role: 'ADMIN', tenant: 'project' },
    params: inProject,
    body: figures,
    response: s.rateLimit,
    status: 200,
  }),
  keyRateLimitGet: define({
    method: 'GET',
    path: `${ENV}/keys/{key}/rate-limit`,
    tag: TAG,
    summary: 'How often a key may ask',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'keys:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ key: s.keyId }),
    response: s.rateLimit,
    status: 200,
  }),
  keyRateLimitUpdate: define({
    method: 'PATCH',
    path: `${ENV}/keys/{key}/rate-limit`,
    tag: TAG,
    summary: "Change it; the project's and the organization's hold beside it",
    access: { ...change, role: 'DEVELOPER', tenant: 'environment' },
    params: inEnvironment.extend({ key: s.keyId }),
    body: figures,
    response: s.rateLimit,
    status: 200,
  }),
  browserAccessGet: define({
    method: 'GET',
    path: `${PROJECT}/browser-access`,
    tag: TAG,
    summary: "Which web pages may call with the project's keys",
    access: { audience: 'tenant', role: 'VIEWER', scope: 'projects:read', tenant: 'project', audit: 'none', bodyLimit: 0 },
    params: inProject,
    response: s.browserAccess,
    status: 200,
  }),
  browserAccessUpdate: define({
    method: 'PATCH',
    path: `${PROJECT}/browser-access`,
    tag: TAG,
    summary: 'Change it, as a whole; within a second on every node',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      tenant: 'project',
      audit: 'browser_access.changed',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inProject,
    body: z.strictObject({ origins: z.array(s.origin).max(50) }),
    response: s.browserAccess,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
