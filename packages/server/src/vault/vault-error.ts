/** Owns the failures of the vault. Refuses to say more of a key than its id. */
import { hasCode, SallyportError } from '@sallyport/core'

/**
 * - `root_key_missing`: something in the database is wrapped under a root key that was not configured.
 * - `root_key_wrong`: a root key was configured under a known id, with other bytes than that id had.
 * - `data_key_missing`: an envelope names a data key that its organization doesn't have: destroyed, or never its own.
 * - `key_in_use`: a key that was to be removed is current, or something is still sealed under it.
 */
export type VaultErrorCode = 'root_key_missing' | 'root_key_wrong' | 'data_key_missing' | 'key_in_use'

export class VaultError extends SallyportError<VaultErrorCode> {
  override readonly name = 'VaultError'
}

const LOST = ['decrypt_failed', 'envelope_malformed', 'envelope_version_unknown', 'data_key_missing'] as const

/** Whether something sealed does not open because of what it is, whatever is waited for, and not because whoever holds keys is away. */
export function isLost(error: unknown): boolean {
  return LOST.some((code) => hasCode(error, code))
}
