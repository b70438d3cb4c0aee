/** Owns the record of calls that went out. Refuses queries, headers and bodies. */
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, inEnvironment } from './paths.ts'

export const requestsOperations = {
  requestList: define({
    method: 'GET',
    path: `${ENV}/requests`,
    tag: 'Requests',
    summary: 'Calls that went out, newest first; no query, headers or bodies',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'requests:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery,
    response: s.pageOf(s.requestRecord),
    status: 200,
  }),
} as const satisfies Record<string, Operation>
