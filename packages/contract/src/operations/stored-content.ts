/** Owns what organizations keep of model calls, where they asked for it. Refuses keys: people read it, each reading on record. */
import { z } from 'zod'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, inEnvironment } from './paths.ts'

const ofRequest = inEnvironment.extend({ request: s.requestId })
const access = { audience: 'tenant', role: 'ADMIN', stepUp: true, tenant: 'environment', bodyLimit: 0 } as const

const storedPart = z
  .object({
    part: z.enum(['prompt', 'response']),
    provider: z.string(),
    end_user: z.string().nullable(),
    status: z.int().nullable().describe('Of the provider’s answer; null where there was none'),
    bytes: z.int().describe('Of the whole part'),
    whole: z.boolean().describe('False: its beginning alone is kept'),
    encoding: z.enum(['utf-8', 'base64']).describe('Of `content`'),
    content: z
      .string()
      .nullable()
      .describe('As it went to the provider or came from there; null: the key that it was sealed under was destroyed'),
    stored_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'StoredPart' })

export const storedContentOperations = {
  storedContentGet: define({
    method: 'GET',
    path: `${ENV}/requests/{request}/content`,
    tag: 'Requests',
    summary: 'What is kept of a model call, for organizations that keep prompts or answers; each reading is on record',
    access: { ...access, audit: 'stored_content.read' },
    params: ofRequest,
    response: z.object({ data: z.array(storedPart) }),
    status: 200,
  }),
  storedContentDelete: define({
    method: 'DELETE',
    path: `${ENV}/requests/{request}/content`,
    tag: 'Requests',
    summary: 'Forget what is kept of a model call before its time',
    access: { ...access, audit: 'stored_content.deleted' },
    params: ofRequest,
    response: null,
    status: 204,
  }),
} as const satisfies Record<string, Operation>
