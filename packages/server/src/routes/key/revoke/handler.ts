import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { apiKeyFind, apiKeyRevoke } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentKey } from '../present.ts'

/**
 * Repeating it answers the same and writes nothing: one event stands beside each change that it tells of, of the key and of every key that
 * came of it. To a key bound to one connection,
 * keys bound otherwise are absent.
 */
export const keyRevoke = implement('keyRevoke', (call) =>
  inEnvironment(call, async (tx, at) => {
    const only = boundConnection(call.principal)
    const wanted = found(await apiKeyFind(tx, at, call.ids.key))
    if (only !== null && wanted.connection !== only) throw notFound()
    const { key, ended } = found(await apiKeyRevoke(tx, at, call.ids.key))
    const actor = principalRef(call.principal)
    const events = ended.map(({ id }) => {
      const detail = id === key.id ? {} : { with: formatId('key', key.id) }
      return { action: 'key.revoked', actor, target: formatId('key', id), detail }
    })
    await appendAudit(tx, ...events)
    return presentKey(key)
  }),
)
