import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { containmentId } from '../../../revocation/index.ts'
import { presentBulkRevocation } from '../../bulk-revocation/present.ts'
import { presentRewrap } from '../../data-key/present.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'

/** Clocks of callers and of this machine differ by less. */
const CLOCK_SLACK_MS = 60_000

export const organizationContain = implement('organizationContain', async (call) => {
  const { body, deps, ids, principal } = call
  const exposedUntil = new Date(body.exposed_until)
  if (exposedUntil.getTime() > deps.now() + CLOCK_SLACK_MS) {
    throw new ProblemError('validation_failed', 'Keys that will be made later can not have been read.', {
      faults: [{ pointer: '/body/exposed_until', reason: 'must not be in the future' }],
    })
  }
  const actor = principalRef(principal)
  // First what stops the use of what was read; it goes on while keys are turned.
  const id = containmentId(ids.org, exposedUntil)
  const bulk = body.connections === 'keep' ? undefined : await deps.revocation.bulk.beginOnce(ids.org, id, actor)
  const { root, to, ...data } = await deps.keeper.contain(ids.org, exposedUntil, actor)
  const report = { data_key: { to: to && formatId('dk', to), ...data }, root_key: presentRewrap(root) }
  const detail = {
    exposed_until: exposedUntil.toISOString(),
    ...report,
    bulk_revocation: bulk === undefined ? null : formatId('bulk', bulk.id),
  }
  await inOrganization(call, (tx) => appendAudit(tx, { action: 'organization.contained', actor, target: formatId('org', ids.org), detail }))
  return { ...report, bulk_revocation: bulk === undefined ? null : presentBulkRevocation(bulk) }
})
