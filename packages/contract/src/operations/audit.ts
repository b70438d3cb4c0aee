/** Owns an organization's audit log. */
import { z } from 'zod'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, inOrg } from './paths.ts'

export const auditOperations = {
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
  auditSigningKeyList: define({
    method: 'GET',
    path: '/.well-known/sallyport-audit-keys.json',
    tag: 'Audit',
    summary: 'Public keys by which checkpoints of audit logs are signed: a JWK set, for anybody',
    access: { audience: 'public', tenant: 'none', audit: 'none', bodyLimit: 0 },
    response: z.object({ keys: z.array(s.auditSigningKey) }),
    status: 200,
  }),
} as const satisfies Record<string, Operation>
