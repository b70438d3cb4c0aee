import { formatId } from '@sallyport/core'
import type { UserId } from '@sallyport/core'
import { appendAudit } from '../../audit/index.ts'
import type { Database } from '../../db/index.ts'
import type { PersonPrincipal } from '../../identity/index.ts'

/**
 * Writes a session's event into the log of every organization the person belongs to. A session belongs to no tenant, so it can't share
 * a transaction with its events: callers order the two so that a failure leaves less access, never more.
 */
export async function auditSession(
  database: Pick<Database, 'withTenant'>,
  action: string,
  person: Pick<PersonPrincipal, 'memberships'> & { userId: UserId },
): Promise<void> {
  const ref = formatId('user', person.userId)
  for (const org of person.memberships.keys()) {
    await database.withTenant(org, (tx) => appendAudit(tx, { action, actor: ref, target: ref, detail: {} }))
  }
}
