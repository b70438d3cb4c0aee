import { implement } from '../../operation.ts'
import { presentDeletion } from '../present.ts'

export const organizationDeletionGet = implement('organizationDeletionGet', async ({ deps, ids }) =>
  presentDeletion(await deps.deletions.find(ids.org)),
)
