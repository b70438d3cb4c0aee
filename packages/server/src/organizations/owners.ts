/** Owns that an organization keeps an owner who gets in. Refuses to count one whom its own domains keep out: nobody could open them again. */
import { memberFind, ownerList } from '../db/index.ts'
import type { Member, TenantTx } from '../db/index.ts'
import { getsIn } from './email-domains.ts'
import { OrganizationError } from './organization-error.ts'
import { readSettings } from './settings.ts'

/** @throws OrganizationError `last_owner` when `member` is the only one. Only behind `holdAs`. */
export async function requireAnotherOwner(tx: TenantTx, member: Pick<Member, 'person' | 'role'>): Promise<void> {
  if (member.role !== 'OWNER') return
  const { settings } = await readSettings(tx)
  for (const person of await ownerList(tx)) {
    const owner = person === member.person ? undefined : await memberFind(tx, person)
    if (owner !== undefined && getsIn(settings.email_domains, owner)) return
  }
  throw new OrganizationError('last_owner', 'Make somebody else an owner first.')
}
