/** Owns how the people of an organization must sign in. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { inOrg, ORG } from './paths.ts'

export const signInPolicyOperations = {
  signInPolicyGet: define({
    method: 'GET',
    path: `${ORG}/sign-in-policy`,
    tag: 'Organizations',
    summary: 'How people must have signed in to act in this organization',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: s.signInPolicy,
    status: 200,
  }),
  signInPolicyUpdate: define({
    method: 'PATCH',
    path: `${ORG}/sign-in-policy`,
    tag: 'Organizations',
    summary: "Change how people must sign in; refused unless the maker's own session is of one of the new ways",
    access: {
      audience: 'tenant',
      role: 'OWNER',
      stepUp: true,
      tenant: 'org',
      audit: 'sign_in_policy.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inOrg,
    body: z.strictObject({
      ways: z.array(s.signInWay).min(1).max(20).nullable().describe('One of them is enough. null: any way is taken'),
      break_glass: z.boolean().default(false).describe('Whether an owner with a second factor may come in another way'),
    }),
    response: s.signInPolicy,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
