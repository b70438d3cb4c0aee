/** Owns what the signed-in person may do here, by the contract's own table. It hides what would be refused; the gateway is who refuses. */
import { useSuspenseQuery } from '@tanstack/react-query'
import { operations, ROLE_CONTAINS } from '@sallyport/contract'
import type { OperationName, Role, RouteAccess } from '@sallyport/contract'
import { whoamiQuery } from '../api/queries.ts'
import { usePlace } from './place.ts'

/** The person's role in the organization of the address; undefined for one that is not theirs. */
export function useRole(): Role | undefined {
  const { org } = usePlace()
  const { data: person } = useSuspenseQuery(whoamiQuery)
  return person?.memberships.find((membership) => membership.org === org)?.role
}

/** Whether the person may, of each operation that names the least role for it. */
export function useMay(): (operation: OperationName) => boolean {
  const role = useRole()
  return (operation) => {
    const access: RouteAccess = operations[operation].access
    return role !== undefined && access.role !== undefined && ROLE_CONTAINS[role].includes(access.role)
  }
}
