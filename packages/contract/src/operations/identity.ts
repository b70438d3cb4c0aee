/** Owns what a principal asks about itself: who it is, and its console session. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { API } from './paths.ts'

export const identityOperations = {
  whoami: define({
    method: 'GET',
    path: `${API}/whoami`,
    tag: 'Identity',
    summary: 'Who this key or session is, and where it may act',
    access: { audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 },
    response: s.whoami,
    status: 200,
  }),
  sessionCreate: define({
    method: 'POST',
    path: `${API}/session`,
    tag: 'Identity',
    summary: "Exchange a one-time owner link's token, or an outside issuer's, for a console session (sets a cookie)",
    access: { audience: 'public', tenant: 'none', audit: 'session.created', bodyLimit: CONTROL_BODY_BYTES },
    body: z
      .strictObject({
        owner_token: z.string().min(20).max(128).optional(),
        token: z.string().min(20).max(16_384).optional().describe('A JWT of an issuer that is configured'),
      })
      .refine((body) => (body.owner_token === undefined) !== (body.token === undefined), 'must hold exactly one of owner_token and token')
      .meta({ minProperties: 1, maxProperties: 1 }),
    response: s.session,
    status: 201,
  }),
  sessionDelete: define({
    method: 'DELETE',
    path: `${API}/session`,
    tag: 'Identity',
    summary: "Sign out: the session ends on every node; with an issuer's token, that token's session, as far as this gateway goes",
    access: { audience: 'principal', tenant: 'none', audit: 'session.ended', bodyLimit: 0 },
    response: null,
    status: 204,
  }),
} as const satisfies Record<string, Operation>
