/** Owns how many keys an organization has at once. Refuses more, made or rotated into. */
import { apiKeysOn } from '../../db/index.ts'
import type { TenantTx } from '../../db/index.ts'
import { ProblemError } from '../../http/index.ts'

/**
 * As many that are being made at the same moment may pass by it: nobody waits for another's key.
 * @throws ProblemError `key_limit`
 */
export async function requireRoomForKey(tx: TenantTx, most: number): Promise<void> {
  if ((await apiKeysOn(tx, most)) < most) return
  throw new ProblemError('key_limit', 'The organization has as many keys as one may have here. Revoke those that nobody uses.')
}

/** A key is replaced also where no other can be made, and beside it its successor is on for a while: so there is room for each to turn once. */
export function requireRoomToRotate(tx: TenantTx, most: number): Promise<void> {
  return requireRoomForKey(tx, 2 * most)
}
