import type { UserId } from '@sallyport/core'
import { memberList as listMembers } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'
import { presentMember } from '../present.ts'

export const memberList = implement('memberList', (call) =>
  inOrganization(call, (tx) =>
    listPage(call, {
      rows: (page) => listMembers(tx, page),
      keyOf: ({ person }) => person,
      readKey: (text: string) => text as UserId,
      present: presentMember,
    }),
  ),
)
