import type { Role } from '@sallyport/contract'
import type { OrgId } from '@sallyport/core'
import { isAdmitted } from '../../../access/index.ts'
import { organizationFind } from '../../../db/index.ts'
import type { PersonPrincipal } from '../../../identity/index.ts'
import { personOf } from '../../../organizations/index.ts'
import type { Joined } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { presentOwn } from '../present.ts'

/** From the caller's own memberships; each organization is read inside itself. */
export const organizationList = implement('organizationList', (call) => {
  const person = personOf(call.principal)
  return listPage(call, {
    rows: async ({ after, limit }) => {
      const page = admitting(person).filter(([org]) => after === undefined || org > after)
      const rows: Joined[] = []
      for (const [org, role] of page.slice(0, limit)) {
        const found = await call.deps.database.withTenant(org, organizationFind)
        if (found !== undefined) rows.push({ org, role, name: found.name, createdAt: found.createdAt })
      }
      return rows
    },
    keyOf: ({ org }) => org,
    readKey: (text: string) => text as OrgId,
    present: presentOwn,
    filters: [`person=${person.userId}`],
  })
})

/** Organizations that let this session in, with the role in each, in the order of their ids. */
function admitting(person: PersonPrincipal): [OrgId, Role][] {
  return [...person.memberships].filter(([org, role]) => isAdmitted(person, org, role)).toSorted(([one], [other]) => (one < other ? -1 : 1))
}
