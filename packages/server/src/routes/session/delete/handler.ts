import { ProblemError } from '../../../http/index.ts'
import type { PersonPrincipal } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import type { AnyCall } from '../../operation.ts'
import { auditSession } from '../audit-session.ts'

export const sessionDelete = implement('sessionDelete', async (call) => {
  const { principal, deps, reply, sessionToken } = call
  if (principal.kind !== 'person') throw new ProblemError('forbidden', 'A key has no session to end; revoke it instead.')
  if (principal.via === 'token') {
    await endAtIssuer(principal, call)
    return undefined
  }
  if (sessionToken === undefined) throw new ProblemError('unauthenticated', 'There is no session to end.')
  await auditSession(call, 'session.ended', principal)
  await deps.sessions.close(sessionToken)
  deps.sessionCookie.clear(reply)
  return undefined
})

/** Here alone: what its issuer makes of the session is between the person and the issuer. */
async function endAtIssuer(principal: PersonPrincipal, call: Pick<AnyCall, 'deps' | 'address' | 'reply'>): Promise<void> {
  const { people, sessions } = call.deps
  const { issuerSession } = principal.signIn
  if (issuerSession === null) {
    throw new ProblemError('conflict', 'This token names no session at its issuer: sign out there, and it ends when it expires.')
  }
  await auditSession(call, 'session.ended', principal)
  await people.end(principal.signIn)
  sessions.forget(issuerSession)
}
