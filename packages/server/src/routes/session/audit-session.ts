import { formatId } from '@sallyport/core'
import { appendAudit } from '../../audit/index.ts'
import type { Database } from '../../db/index.ts'
import { admission } from '../../identity/index.ts'
import type { PersonPrincipal } from '../../identity/index.ts'

/**
 * Writes a session's event, with how it was signed in and what the organization makes of that, into the log of every organization the person belongs to. A session belongs to no tenant, so it can't share
 * a transaction with its events: callers order the two so that a failure leaves less access, never more.
 */
export async function auditSession(database: Pick<Database, 'withTenant'>, action: string, person: PersonPrincipal): Promise<void> {
  const ref = formatId('user', person.userId)
  const { issuer, methods, assurance, provider } = person.signIn
  for (const [org, role] of person.memberships) {
    const admitted = admission(person.signInPolicies.get(org), person.signIn, role === 'OWNER')
    const detail = { issuer, methods: [...methods], assurance, provider, admission: admitted }
    await database.withTenant(org, (tx) => appendAudit(tx, { action, actor: ref, target: ref, detail }))
  }
}
