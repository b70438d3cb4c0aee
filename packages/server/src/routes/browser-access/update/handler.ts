import { isDeepStrictEqual } from 'node:util'
import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { browserOriginsFind, browserOriginsPut } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { checkedOrigins } from '../../project/update/return-origins.ts'
import { inProject } from '../../tenant.ts'

/** What is asked for and stands already is no change. */
export const browserAccessUpdate = implement('browserAccessUpdate', (call) =>
  inProject(call, async (tx, { id }) => {
    const origins = checkedOrigins(call.body.origins, call.deps.loopbackOrigins, '/body/origins')
    const before = await browserOriginsFind(tx, id)
    if (isDeepStrictEqual(origins, before)) return { origins }
    await browserOriginsPut(tx, id, origins)
    await appendAudit(tx, {
      action: 'browser_access.changed',
      actor: principalRef(call.principal),
      target: formatId('proj', id),
      detail: { origins, before: [...before] },
    })
    return { origins }
  }),
)
