/**
 * Owns how much of each an organization may have, so that no tenant fills the installation by itself. Refuses one more where there is no room; what is
 * there stays, also where the bound was lowered below it.
 */
import { countUpTo } from '../db/index.ts'
import type { Counted, TenantTx } from '../db/index.ts'
import { OrganizationError } from './organization-error.ts'

/** The most of each, as the operator has set it. */
export type Room = Readonly<Record<Counted, number>>

const ADVICE: Readonly<Record<Counted, string>> = {
  connections: 'connections as it may have here. Disconnect those that nobody uses',
  integrations: 'integrations as it may have here. Delete those that nobody uses',
  members: 'members and open invitations as it may have here. Take back invitations that nobody accepts',
  projects: 'projects, archived ones counted, as it may have here. Use one that is there',
  providerKeys: 'keys of model providers as it may have here. Revoke those that nobody uses',
}

/**
 * As many that are being made at the same moment may pass by it: nobody waits for another's.
 * @throws OrganizationError `resource_limit`
 */
export async function requireRoom(tx: TenantTx, room: Room, what: Counted): Promise<void> {
  if ((await countUpTo(tx, what, room[what])) < room[what]) return
  throw new OrganizationError('resource_limit', `The organization has as many ${ADVICE[what]}, or ask the operator.`)
}
