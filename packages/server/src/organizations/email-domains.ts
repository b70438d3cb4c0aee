/** Owns whom an organization takes by e-mail address. Refuses suffixes: a domain is taken whole. */
import type { OrganizationSettings } from '@sallyport/contract'
import type { Member } from '../db/index.ts'
import { emailAddress, emailDomain } from '../identity/index.ts'

/**
 * Whether an organization with these domains takes the address, which is believed and in lower case; null: there is none. `memberships_of`
 * (0026_memberships.sql) says the same to every look at a session.
 */
export function takesEmail(domains: OrganizationSettings['email_domains'], email: string | null): boolean {
  return domains.length === 0 || (email !== null && domains.includes(emailDomain(email)))
}

/** Whether a member gets in by these domains: while not, it is no member. */
export function getsIn(
  domains: OrganizationSettings['email_domains'],
  { email, emailVerified }: Pick<Member, 'email' | 'emailVerified'>,
): boolean {
  return takesEmail(domains, emailVerified ? (emailAddress(email) ?? null) : null)
}
