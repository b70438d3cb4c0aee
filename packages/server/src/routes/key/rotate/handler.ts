import { formatId, newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { apiKeyFind, apiKeyInsert, apiKeyOutlive } from '../../../db/index.ts'
import type { ApiKey } from '../../../db/index.ts'
import { notFound, ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import type { Principal } from '../../../identity/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import type { RouteDeps } from '../../operation.ts'
import { found } from '../../tenant.ts'
import { grantFrom } from '../create/grant.ts'
import type { Grant } from '../create/grant.ts'
import { holdMaker } from '../hold.ts'
import { inKeysOfEnvironment, inKeysOfOrganization } from '../place.ts'
import type { OneKeyCall } from '../place.ts'
import { presentKey, presentOrganizationKey } from '../present.ts'
import { requireRoomToRotate } from '../room.ts'

interface Rotated {
  readonly made: ApiKey
  readonly replaced: ApiKey
  readonly secret: string
}

export const keyRotate = implement('keyRotate', async (call) => {
  const { made, replaced, secret } = await rotateKey(inKeysOfEnvironment(call))
  return { key: presentKey(made), secret, replaced: presentKey(replaced) }
})

export const organizationKeyRotate = implement('organizationKeyRotate', async (call) => {
  const { made, replaced, secret } = await rotateKey(inKeysOfOrganization(call))
  return { key: presentOrganizationKey(made), secret, replaced: presentOrganizationKey(replaced) }
})

/**
 * The successor stands in the same place of the same line, and its maker is who was handed its secret. It is no wider than the replaced key in anything. Nor is it wider than who rotates: else a small role, or a narrow key, would be
 * handed a secret that it could not have made (T-10). Keys that the replaced one made end with it: if its secret was read, so may theirs have been
 * made. For the same reason a key that rotates itself hands on its own revocation, and a successor of that kind ends when somebody else replaces
 * the key. One transaction: killed at any moment there is the old key alone, or both (K-11).
 */
async function rotateKey({ body, deps, ids, principal, inPlace }: OneKeyCall<{ readonly overlap_s: number }>): Promise<Rotated> {
  const wanted = await inPlace(async (tx, at) => {
    const key = found(await apiKeyFind(tx, at, ids.key))
    const only = boundConnection(principal)
    if (only !== null && key.connection !== only) throw notFound()
    return key
  })
  if (wanted.revokedAt !== null) throw over()
  const grant = await grantLike(wanted, principal, ids.org, deps)
  const id = newId('key')
  const itself = principal.kind === 'key' && principal.keyId === ids.key
  const actor = principalRef(principal)
  const { text, hmac, argon2id } = await deps.keys.mint(wanted.environment, id, ids.org)
  const { made, replaced } = await inPlace(async (tx, at) => {
    await requireRoomToRotate(tx, deps.keysPerOrganization)
    // Itself it is held by what follows: two that share it first would wait for one another.
    if (!itself) await holdMaker(tx, principal)
    const outlived = await apiKeyOutlive(tx, at, ids.key, { overlapS: body.overlap_s, itself })
    if (outlived === undefined) throw over()
    const { before, after } = outlived
    // Changed while the hash was made: then what was granted is of another key.
    if (!isSame(before, wanted)) throw new ProblemError('conflict', 'The key was changed at this moment. Rotate it again.')
    const { name, project, environment } = before
    const createdBy = makerAfter(before, principal)
    const succeeds = itself ? ids.key : null
    const successor = { project, environment, ...grant, id, name, secretHmac: hmac, secretArgon2id: argon2id, createdBy, succeeds }
    const key = await apiKeyInsert(tx, successor)
    const target = formatId('key', ids.key)
    const detail = { from: target, to: formatId('key', id), overlap_s: body.overlap_s, ends_at: after.expiresAt!.toISOString() }
    await appendAudit(tx, { action: 'key.rotated', actor, target, detail })
    return { made: key, replaced: after }
  })
  return { made, replaced, secret: text.reveal() }
}

async function grantLike(
  key: ApiKey,
  principal: Principal,
  org: OrgId,
  { database, now }: Pick<RouteDeps, 'database' | 'now'>,
): Promise<Grant> {
  const { scopes, connection, allowedAddresses, allowedOrigins, sender, expiresAt } = key
  // Whole seconds, rounded down: the successor ends no later than the key that it replaces. One that has ended is refused by its row.
  const expiresInS = expiresAt === null ? null : Math.max(0, Math.floor((expiresAt.getTime() - now()) / 1000))
  const grant = await grantFrom(database.lookups, principal, org, {
    scopes,
    connection,
    expiresInS,
    allowedAddresses,
    allowedOrigins,
    sender,
  })
  const isLater = expiresAt !== null && (grant.expiresAt === null || grant.expiresAt > expiresAt)
  return isLater ? { ...grant, expiresAt } : grant
}

/**
 * Who is handed the secret answers for it, as if they had made the key: another key, or a person. A key that was made by a key stays below that one
 * when a person turns it; and one that turns itself stays where it is.
 */
function makerAfter({ id, createdBy }: ApiKey, principal: Principal): string {
  if (principal.kind === 'key') return principal.keyId === id ? createdBy : principalRef(principal)
  return createdBy.startsWith('key_') ? createdBy : principalRef(principal)
}

/** But for when it was last used: a key that rotates itself is in use. */
function isSame(a: ApiKey, b: ApiKey): boolean {
  return JSON.stringify(presentKey({ ...a, lastUsedAt: null })) === JSON.stringify(presentKey({ ...b, lastUsedAt: null }))
}

function over(): ProblemError {
  return new ProblemError('conflict', 'This key has ended. Make a new one.')
}
