/** Owns holding on to whoever makes a key while it is made. */
import { apiKeyHold, membershipHold } from '../../db/index.ts'
import type { TenantTx } from '../../db/index.ts'
import type { Principal } from '../../identity/index.ts'
import { ended } from './create/grant.ts'

/**
 * Until the end of the transaction: whoever revokes the key, or takes the person out, waits, and then finds what came of it.
 * @throws ProblemError `unauthenticated` when that has happened: then nothing comes of it any more.
 */
export async function holdMaker(tx: TenantTx, principal: Principal): Promise<void> {
  const held = principal.kind === 'key' ? await apiKeyHold(tx, principal.keyId) : await membershipHold(tx, principal.userId)
  if (!held) throw ended()
}
