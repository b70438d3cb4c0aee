import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { apiKeyRevoke } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentKey } from '../present.ts'

/** Repeating it answers the same and writes nothing: the event stands beside the change that it tells of. */
export const keyRevoke = implement('keyRevoke', (call) =>
  inEnvironment(call, async (tx, at) => {
    const { key, changed } = found(await apiKeyRevoke(tx, at, call.ids.key))
    if (changed)
      await appendAudit(tx, { action: 'key.revoked', actor: principalRef(call.principal), target: formatId('key', key.id), detail: {} })
    return presentKey(key)
  }),
)
