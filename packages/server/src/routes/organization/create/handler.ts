import { foundOrganization, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { presentOwn } from '../present.ts'

export const organizationCreate = implement('organizationCreate', async ({ body, deps, principal }) =>
  presentOwn(await foundOrganization(deps.database, personOf(principal), body.name)),
)
