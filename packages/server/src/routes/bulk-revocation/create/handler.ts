import { parseId } from '@sallyport/core'
import type { IdPrefix, Uuid } from '@sallyport/core'
import type { BulkFilter } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'
import { presentBlastRadius, presentBulkRevocation } from '../present.ts'

export const bulkRevocationCreate = implement('bulkRevocationCreate', async (call) => {
  const { ids, deps, body, principal } = call
  const filter = filterOf(body)
  if (body.dry_run) {
    const radius = await deps.revocation.bulk.preview(ids.org, filter)
    return { dry_run: true, radius: presentBlastRadius(radius), bulk_revocation: null }
  }
  const { bulk, radius } = await deps.revocation.bulk.begin(ids.org, filter, principalRef(principal))
  return { dry_run: false, radius: presentBlastRadius(radius), bulk_revocation: presentBulkRevocation(bulk) }
})

/** A filter that falls away would widen what is ended: what is no id ends nothing. What is one need not exist. */
function filterOf({ project, environment, integration, provider }: Call<'bulkRevocationCreate'>['body']): BulkFilter {
  return {
    place: {
      ...(project === undefined ? {} : { project: idOf('proj', project, 'project') }),
      ...(environment === undefined ? {} : { environment }),
    },
    integration: integration === undefined ? undefined : idOf('int', integration, 'integration'),
    provider,
  }
}

function idOf<Kind extends IdPrefix>(prefix: Kind, text: string, name: string): Uuid<Kind> {
  const id = parseId(prefix, text)
  if (id !== undefined) return id
  const faults = [{ pointer: `/body/${name}`, reason: 'is no such id' }]
  throw new ProblemError('validation_failed', 'The body names something that is no id.', { faults })
}
