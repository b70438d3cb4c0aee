/** Owns the keys that seal an organization's secrets. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, inOrg } from './paths.ts'

export const dataKeysOperations = {
  dataKeyList: define({
    method: 'GET',
    path: `${ORG}/data-keys`,
    tag: 'Data keys',
    summary: "The keys that seal the organization's secrets, with what is under each; never the keys themselves",
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    response: z.object({ data: z.array(s.dataKey) }),
    status: 200,
  }),
  dataKeyRotate: define({
    method: 'POST',
    path: `${ORG}/data-keys/rotate`,
    tag: 'Data keys',
    summary: 'Make a new data key and begin to move everything to it, or go on with a rotation under way; calls go on meanwhile',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.rotated', bodyLimit: 0 },
    params: inOrg,
    response: z.object({
      started: z.boolean().describe('False: an earlier rotation is still under way and is gone on with, or nothing was ever sealed'),
      data: z.array(s.dataKey),
    }),
    status: 200,
  }),
  dataKeyVerify: define({
    method: 'POST',
    path: `${ORG}/data-keys/verify`,
    tag: 'Data keys',
    summary: 'Unwrap every data key and open every sealed record of the organization; changes nothing',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.verified', bodyLimit: 0 },
    params: inOrg,
    response: s.keyVerification,
    status: 200,
  }),
  dataKeyRemove: define({
    method: 'DELETE',
    path: `${ORG}/data-keys/{data_key}`,
    tag: 'Data keys',
    summary: 'Forget a previous data key that nothing is under; refused with the count while anything is',
    access: { audience: 'tenant', role: 'OWNER', tenant: 'org', audit: 'data_key.removed', bodyLimit: 0 },
    params: inOrg.extend({ data_key: s.dataKeyId }),
    response: null,
    status: 204,
  }),
  dataKeyShred: define({
    method: 'POST',
    path: `${ORG}/data-keys/shred`,
    tag: 'Data keys',
    summary: 'Destroy all data keys of the organization: what they sealed can never be opened again, but from a backup of their rows',
    access: { audience: 'tenant', role: 'OWNER', stepUp: true, tenant: 'org', audit: 'data_key.destroyed', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: z.strictObject({
      dry_run: z.boolean().describe('True: say what would be lost, and do nothing'),
      confirm: s.orgId.optional().describe("The organization's own id; needed when it is to be done"),
    }),
    response: s.shredReport,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
