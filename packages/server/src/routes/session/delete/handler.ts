import { ProblemError } from '../../../http/index.ts'
import { implement } from '../../operation.ts'
import { auditSession } from '../audit-session.ts'

export const sessionDelete = implement('sessionDelete', async ({ principal, deps, reply, sessionToken }) => {
  if (principal.kind !== 'person' || sessionToken === undefined)
    throw new ProblemError('forbidden', 'A key has no session to end; revoke it instead.')
  await auditSession(deps.database, 'session.ended', principal)
  await deps.sessions.close(sessionToken)
  deps.sessionCookie.clear(reply)
  return undefined
})
