/** Owns what is done after secrets may have been read. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, inOrg } from './paths.ts'

export const emergencyOperations = {
  organizationContain: define({
    method: 'POST',
    path: `${ORG}/contain`,
    tag: 'Emergency',
    summary:
      'After secrets of the organization may have been read: a new data key, every record resealed, every data key rewrapped and, if asked, every connection revoked; goes on where it was when repeated',
    access: {
      audience: 'tenant',
      role: 'OWNER',
      stepUp: true,
      tenant: 'org',
      audit: 'organization.contained',
      bodyLimit: CONTROL_BODY_BYTES,
    },
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
} as const satisfies Record<string, Operation>
