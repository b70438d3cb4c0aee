/** Owns the installation's root keys, as one organization sees them. */
import { z } from 'zod'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, inOrg } from './paths.ts'

export const rootKeysOperations = {
  rootKeyList: define({
    method: 'GET',
    path: `${ORG}/root-keys`,
    tag: 'Root keys',
    summary: "The installation's root keys that the organization's data keys can be under; never the keys themselves",
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: z.object({ data: z.array(s.rootKey) }),
    status: 200,
  }),
  rootKeyRotate: define({
    method: 'POST',
    path: `${ORG}/root-keys/rotate`,
    tag: 'Root keys',
    summary: "Put the organization's data keys under the primary root key now, instead of within the hour",
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'root_key.rotated', bodyLimit: 0 },
    params: inOrg,
    response: s.rewrapReport,
    status: 200,
  }),
  rootKeyRemove: define({
    method: 'DELETE',
    path: `${ORG}/root-keys/{root_key}`,
    tag: 'Root keys',
    summary: 'Make the installation forget a rotated root key that nothing is under and that is not configured any more',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'root_key.removed', bodyLimit: 0 },
    params: inOrg.extend({ root_key: s.rootKeyId }),
    response: null,
    status: 204,
  }),
} as const satisfies Record<string, Operation>
