/** Owns the list of providers that can be integrated. */
import { z } from 'zod'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { API } from './paths.ts'

export const catalogOperations = {
  providerList: define({
    method: 'GET',
    path: `${API}/providers`,
    tag: 'Catalog',
    summary: 'Providers that can be integrated',
    access: { audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 },
    response: z.object({ data: z.array(s.provider) }),
    status: 200,
  }),
} as const satisfies Record<string, Operation>
