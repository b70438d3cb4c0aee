import type { Scope } from '@sallyport/contract'
import { newId, parseId } from '@sallyport/core'
import type { ConnectionId, Environment } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { apiKeyInsert, connectionFind } from '../../../db/index.ts'
import type { ApiKey, KeySender } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import type { Principal } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { checkedOrigins } from '../../project/update/return-origins.ts'
import { found } from '../../tenant.ts'
import { holdMaker } from '../hold.ts'
import { inKeysOfEnvironment, inKeysOfOrganization } from '../place.ts'
import type { KeyCall } from '../place.ts'
import { presentKey, presentOrganizationKey } from '../present.ts'
import { requireRoomForKey } from '../room.ts'
import { grantFrom } from './grant.ts'

interface Wanted {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly connection?: string | undefined
  readonly expires_in_s?: number | undefined
  readonly allowed_addresses?: readonly string[] | undefined
  readonly allowed_origins?: readonly string[] | undefined
  readonly sender?: KeySender | undefined
}

export const keyCreate = implement('keyCreate', async (call) => {
  const { key, secret } = await makeKey(inKeysOfEnvironment(call), call.ids.environment)
  return { key: presentKey(key), secret }
})

export const organizationKeyCreate = implement('organizationKeyCreate', async (call) => {
  const { environment } = call.body
  requireOwnEnvironment(call.principal, environment)
  const { key, secret } = await makeKey(inKeysOfOrganization(call), environment)
  return { key: presentOrganizationKey(key), secret }
})

/**
 * The text of the key leaves in this answer and is kept nowhere (battery K-01). Hashing takes long, so it is done between two
 * transactions: not before the place is known to be the caller's, and not while a connection waits.
 */
async function makeKey(call: KeyCall<Wanted>, environment: Environment): Promise<{ key: ApiKey; secret: string }> {
  const { body, deps, ids, principal, inPlace } = call
  await inPlace(() => Promise.resolve())
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
  const { text, hmac, argon2id } = await deps.keys.mint(environment, id, ids.org)
  const hashes = { secretHmac: hmac, secretArgon2id: argon2id }
  const key = await inPlace(async (tx, { project }) => {
    await holdMaker(tx, principal)
    await requireRoomForKey(tx, deps.keysPerOrganization)
    if (grant.connection !== null) {
      found(project === null ? undefined : await connectionFind(tx, { project, environment }, grant.connection))
    }
    const made = await apiKeyInsert(tx, { project, environment, ...grant, ...hashes, id, name: body.name, createdBy })
    await appendAudit(tx, created(made, createdBy))
    return made
  })
  return { key, secret: text.reveal() }
}

function created(made: ApiKey, actor: string) {
  const { id, name, scopes, connection, expires_at, allowed_addresses, allowed_origins, sender } = presentKey(made)
  const bounds = {
    ...(allowed_addresses && { allowed_addresses }),
    ...(allowed_origins && { allowed_origins }),
    ...(sender && { sender: { ...sender } }),
  }
  const where = made.project === null ? { environment: made.environment } : {}
  return { action: 'key.created', actor, target: id, detail: { name, scopes, connection, expires_at, ...where, ...bounds } }
}

/** A key makes keys of its own environment alone, here too, where no path says which one it is. */
function requireOwnEnvironment(principal: Principal, environment: Environment): void {
  if (principal.kind === 'person' || principal.environment === environment) return
  throw new ProblemError('environment_mismatch', 'A key makes keys of its own environment.')
}

/** A misspelt id is as absent as a foreign one. */
function boundTo(text: string | undefined): ConnectionId | null {
  return text === undefined ? null : found(parseId('conn', text))
}
