import { formatId, parseId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { invitationListAcceptedBy } from '../../../db/index.ts'
import type { TenantTx } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'

/** Destroying the keys and the event of it are one transaction. Repeating it does nothing, and is on record too. */
export const auditForget = implement('auditForget', (call) =>
  inOrganization(call, async (tx) => {
    const { about } = call.body
    const keys = await call.deps.personal.forget(tx, [about, ...(await acceptedBy(tx, about))])
    const forgotten = keys > 0
    await appendAudit(tx, {
      action: 'audit_log.person_forgotten',
      actor: principalRef(call.principal),
      target: about,
      detail: { forgotten },
    })
    return { about, forgotten }
  }),
)

async function acceptedBy(tx: TenantTx, about: string): Promise<string[]> {
  const person = parseId('user', about)
  return person === undefined ? [] : (await invitationListAcceptedBy(tx, person)).map((id) => formatId('inv', id))
}
