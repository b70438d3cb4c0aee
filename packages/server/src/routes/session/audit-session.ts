import { formatId } from '@sallyport/core'
import { appendAudit } from '../../audit/index.ts'
import { admission } from '../../identity/index.ts'
import type { PersonPrincipal } from '../../identity/index.ts'
import type { AnyCall } from '../operation.ts'

type Asking = Pick<AnyCall, 'deps' | 'address' | 'reply'>

/**
 * Writes a session's event, with how it was signed in and what the organization makes of that, into the log of every organization the person belongs to. A session belongs to no tenant, so it can't share
 * a transaction with its events: callers order the two so that a failure leaves less access, never more.
 */
export async function auditSession({ deps, address, reply }: Asking, action: string, person: PersonPrincipal): Promise<void> {
  const ref = formatId('user', person.userId)
  const { issuer, methods, assurance, provider } = person.signIn
  const about = { subject: ref, facts: { email: person.email, address, user_agent: reply.request.headers['user-agent'] ?? null } }
  for (const [org, role] of person.memberships) {
    const admitted = admission(person.signInPolicies.get(org), person.signIn, role === 'OWNER')
    const detail = { issuer, methods: [...methods], assurance, provider, admission: admitted }
    const event = { action, actor: ref, target: ref, detail }
    await deps.database.withTenant(org, async (tx) => appendAudit(tx, { ...event, personal: await deps.personal.seal(tx, event, about) }))
  }
}
