/** Owns organizations themselves. */
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, inOrg } from './paths.ts'

export const organizationsOperations = {
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
} as const satisfies Record<string, Operation>
