import { Secret } from '@sallyport/core'
import { presentConnection } from '../../connection/present.ts'
import { implement } from '../../operation.ts'

export const connectSessionComplete = implement('connectSessionComplete', async ({ body, deps, ids, principal }) => {
  const confirmation = { code: new Secret(body.code), endUserId: body.end_user_id }
  return presentConnection(await deps.connect.complete(principal, ids, ids.session, confirmation))
})
