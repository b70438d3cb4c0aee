/**
 * Owns putting on record that an owner came in another way than the organization asks for, before anything is done by it: once for each session or
 * token on each node. Refuses to let anybody break the glass unseen: what can't be written down does not happen.
 */
import { formatId, hasCode } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { PersonalSealer } from '../audit/index.ts'
import type { Database } from '../db/index.ts'
import { IdentityError } from './identity-error.ts'
import type { PersonPrincipal, Principal } from './principal.ts'
import { RecentMap } from './recent-map.ts'
import { admission } from './sign-in-policy.ts'

export interface BreakGlassRecord {
  /**
   * To be awaited before `principal`, who is let into `org`, does anything there. Undefined, at once, for whoever came as the organization asks, and
   * where it is on record already.
   * @param address where it came from
   * @throws IdentityError `database_unavailable`
   */
  note(principal: Principal, org: OrgId, address: string): Promise<void> | undefined
}

export interface BreakGlassOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly personal: PersonalSealer
}

/** Sessions and tokens of which it is remembered. One that is forgotten is written once more. */
const MAX_REMEMBERED = 10_000

export function createBreakGlassRecord(options: BreakGlassOptions): BreakGlassRecord {
  return new RememberingRecord(options)
}

class RememberingRecord implements BreakGlassRecord {
  readonly #o: BreakGlassOptions
  readonly #known = new RecentMap<string, Promise<void>>(MAX_REMEMBERED)

  constructor(options: BreakGlassOptions) {
    this.#o = options
  }

  note(principal: Principal, org: OrgId, address: string): Promise<void> | undefined {
    if (principal.kind === 'key' || !principal.signInPolicies.has(org)) return undefined
    const role = principal.memberships.get(org) ?? principal.closing?.get(org)
    if (admission(principal.signInPolicies.get(org), principal.signIn, role === 'OWNER') !== 'break_glass') return undefined
    return this.#once(`${org} ${principal.sessionHash.toString('base64')}`, () => this.#write(principal, org, address))
  }

  /** Whoever comes at the same moment waits for the same event. What failed is tried again by the next. */
  #once(name: string, write: () => Promise<void>): Promise<void> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const writing = write()
    this.#known.put(name, writing)
    writing.catch(() => this.#known.get(name) === writing && this.#known.delete(name))
    return writing
  }

  async #write({ userId, email, signIn, via }: PersonPrincipal, org: OrgId, address: string): Promise<void> {
    const who = formatId('user', userId)
    const { issuer, methods, assurance, provider } = signIn
    const event = {
      action: 'break_glass.used',
      actor: who,
      target: who,
      detail: { via, issuer, methods: [...methods], assurance, provider },
    }
    const about = { subject: who, facts: { email, address } }
    const { database, personal } = this.#o
    try {
      await database.withTenant(org, async (tx) => appendAudit(tx, { ...event, personal: await personal.seal(tx, event, about) }))
    } catch (error) {
      if (!hasCode(error, 'database_unavailable')) throw error
      throw new IdentityError('database_unavailable', 'breaking the glass could not be put on record', { cause: error, retryAfterS: 1 })
    }
  }
}
