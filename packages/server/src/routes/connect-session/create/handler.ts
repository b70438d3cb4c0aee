import { parseId } from '@sallyport/core'
import { implement } from '../../operation.ts'
import { found } from '../../tenant.ts'

export const connectSessionCreate = implement('connectSessionCreate', async ({ body, deps, ids, principal }) =>
  deps.connect.createSession(principal, ids, {
    integration: body.integration,
    endUserId: body.end_user_id,
    returnTo: body.return_to,
    // A misspelt id is as absent as a foreign one.
    connection: body.connection === undefined ? undefined : found(parseId('conn', body.connection)),
  }),
)
