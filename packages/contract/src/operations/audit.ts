/** Owns an organization's audit log. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, inOrg } from './paths.ts'

const filters = {
  actor: z.string().min(1).max(255).optional().describe('`key_...`, `user_...` or `system`'),
  action: z
    .string()
    .regex(/^[a-z0-9_]+\.[a-z0-9_]+$/u, 'must be noun.verb')
    .max(100)
    .optional(),
  target: z.string().min(1).max(512).optional().describe('What it was done to, by its id'),
  outcome: z.enum(s.AUDIT_OUTCOMES).optional().describe('As the action says: refused, failed, or done'),
  from: s.timestamp.optional().describe('From this moment on'),
  until: s.timestamp.optional().describe('Before this moment'),
}

export const auditOperations = {
  auditEventList: define({
    method: 'GET',
    path: `${ORG}/audit-events`,
    tag: 'Audit',
    summary: "The organization's audit events, newest first; reading them is one",
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'audit_log.read', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery.extend(filters),
    response: s.pageOf(s.auditEvent),
    status: 200,
  }),
  auditExport: define({
    method: 'GET',
    path: `${ORG}/audit-events/export`,
    tag: 'Audit',
    summary: 'The whole log as text, oldest first: JSON Lines, which `sallyport audit verify` proves offline, or CSV; at most 20 an hour',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'audit_log.exported', bodyLimit: 0 },
    params: inOrg,
    query: z.strictObject({
      format: z.enum(s.AUDIT_EXPORT_FORMATS).default('jsonl').describe('With a filter neither proves the log whole'),
      ...filters,
    }),
    response: z.string(),
    media: ['application/jsonl', 'text/csv'],
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
  auditForget: define({
    method: 'POST',
    path: `${ORG}/audit-events/forget`,
    tag: 'Audit',
    summary: 'Destroy what the log says of one person, for good; its events stay, and it verifies as before',
    access: {
      audience: 'tenant',
      role: 'OWNER',
      stepUp: true,
      tenant: 'org',
      audit: 'audit_log.person_forgotten',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inOrg,
    body: z.strictObject({
      about: z
        .string()
        .regex(/^(?:user|inv|key)_[0-9A-Za-z]{22}$/u, 'must be user_..., inv_... or key_...')
        .describe('Whom; with a person go the invitations that they accepted'),
    }),
    response: s.auditForgotten,
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
