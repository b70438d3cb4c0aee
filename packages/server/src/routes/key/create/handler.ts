import { formatId, newId, parseId } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { apiKeyInsert, connectionFind } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { checkedOrigins } from '../../project/update/return-origins.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentKey } from '../present.ts'
import { holdMaker } from '../hold.ts'
import { grantFrom } from './grant.ts'

/**
 * The text of the key leaves in this answer and is kept nowhere (battery K-01). Hashing takes long, so it is done between two
 * transactions: not before the place is known to be the caller's, and not while a connection waits.
 */
export const keyCreate = implement('keyCreate', async (call) => {
  const { body, deps, ids, principal } = call
  await inEnvironment(call, () => Promise.resolve())
  const wanted = {
    scopes: body.scopes,
    connection: boundTo(body.connection),
    expiresInS: body.expires_in_s ?? null,
    allowedAddresses: body.allowed_addresses ?? null,
    allowedOrigins: body.allowed_origins ? checkedOrigins(body.allowed_origins, deps.loopbackOrigins, '/body/allowed_origins') : null,
    sender: body.sender ?? null,
  }
  const grant = await grantFrom(deps.database.lookups, principal, ids.org, wanted)
  const id = newId('key')
  const createdBy = principalRef(principal)
  const { text, hmac, argon2id } = await deps.keys.mint(ids.environment, id, ids.org)
  const key = await inEnvironment(call, async (tx, at) => {
    await holdMaker(tx, at, principal)
    if (grant.connection !== null) found(await connectionFind(tx, at, grant.connection))
    const made = await apiKeyInsert(tx, { ...at, ...grant, id, name: body.name, secretHmac: hmac, secretArgon2id: argon2id, createdBy })
    const { scopes, connection, expires_at, allowed_addresses, allowed_origins, sender } = presentKey(made)
    const bounds = {
      ...(allowed_addresses && { allowed_addresses }),
      ...(allowed_origins && { allowed_origins }),
      ...(sender && { sender: { ...sender } }),
    }
    const detail = { name: body.name, scopes, connection, expires_at, ...bounds }
    await appendAudit(tx, { action: 'key.created', actor: createdBy, target: formatId('key', id), detail })
    return made
  })
  return { key: presentKey(key), secret: text.reveal() }
})

/** A misspelt id is as absent as a foreign one. */
function boundTo(text: string | undefined): ConnectionId | null {
  return text === undefined ? null : found(parseId('conn', text))
}
