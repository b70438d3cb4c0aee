import { formatId, Secret } from '@sallyport/core'
import { ProblemError } from '../../../http/index.ts'
import type { OpenedSession } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import type { RouteDeps } from '../../operation.ts'
import { auditSession } from '../audit-session.ts'

/**
 * The new session's token is always fresh, and one that the browser brought along ends (battery J-19), on record like every other end. It
 * is looked up first: a refusal then leaves the link unused.
 */
export const sessionCreate = implement('sessionCreate', async (call) => {
  const { body, deps, reply, address, sessionToken } = call
  const { sessions, sessionCookie } = deps
  const before = sessionToken && (await sessions.lookup(sessionToken, address))
  const opened = await openedBy(body, deps, address)
  try {
    const person = await sessions.lookup(opened.token, address)
    if (person === undefined) throw new ProblemError('unauthenticated', 'The session ended as it began; sign in again.')
    await auditSession(call, 'session.created', person)
    if (before !== undefined) await auditSession(call, 'session.ended', before)
  } catch (error) {
    // A session that is on no record must not be used.
    await sessions.close(opened.token)
    throw error
  }
  if (sessionToken !== undefined) await sessions.close(sessionToken)
  sessionCookie.set(reply, opened.token, opened.expiresAt)
  return { person: { id: formatId('user', opened.person.userId), name: opened.person.name }, expires_at: opened.expiresAt.toISOString() }
})

/** The contract takes exactly one of the two. */
async function openedBy(
  { owner_token: link, token }: { readonly owner_token?: string | undefined; readonly token?: string | undefined },
  { sessions, people }: Pick<RouteDeps, 'sessions' | 'people'>,
  address: string,
): Promise<OpenedSession> {
  if (token === undefined) return sessions.openWithLink(new Secret(link ?? ''))
  const { person, issuedAt, sessionS } = await people.signIn(new Secret(token), address)
  return sessions.openAs(person.userId, { signIn: person.signIn, issuedAt, sessionS })
}
