/** Owns the sessions in which an end user connects an account. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, inEnvironment } from './paths.ts'

export const connectingOperations = {
  connectSessionCreate: define({
    method: 'POST',
    path: `${ENV}/connect-sessions`,
    tag: 'Connecting',
    summary: 'Begin to connect an end user; gives a short-lived link to the hosted page',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connect_sessions:write',
      tenant: 'environment',
      audit: 'connect_session.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: z.strictObject({
      integration: s.integrationSlug,
      end_user_id: s.endUserId,
      return_to: z
        .string()
        .max(2048)
        .optional()
        .describe("Where the browser goes afterwards; its origin must be one of the project's return_origins"),
      connection: s.connectionId.optional().describe('Reconnect this connection; its id stays, its generation rises'),
    }),
    response: z.object({ session: s.connectSession, link: z.url().describe('Open it in the end user’s browser within 10 minutes') }),
    status: 201,
  }),
  connectSessionGet: define({
    method: 'GET',
    path: `${ENV}/connect-sessions/{session}`,
    tag: 'Connecting',
    summary: 'How far a connect session has come',
    access: { audience: 'tenant', role: 'DEVELOPER', scope: 'connect_sessions:write', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment.extend({ session: s.connectSessionId }),
    response: s.connectSession,
    status: 200,
  }),
  connectSessionComplete: define({
    method: 'POST',
    path: `${ENV}/connect-sessions/{session}/complete`,
    tag: 'Connecting',
    summary: 'Confirm that the browser that came back belongs to the same end user; makes the connection usable',
    access: {
      audience: 'tenant',
      role: 'DEVELOPER',
      scope: 'connect_sessions:write',
      tenant: 'environment',
      audit: 'connection.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment.extend({ session: s.connectSessionId }),
    body: z.strictObject({
      code: z.string().min(1).max(128).describe('From `connect_code` of the return address, or shown on the hosted page'),
      end_user_id: s.endUserId.describe('The user signed in where the browser came back, as the application knows it now'),
    }),
    response: s.connection,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
