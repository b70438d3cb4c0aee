import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { Organization } from '../../db/index.ts'
import type { Joined } from '../../organizations/index.ts'

type Named = Pick<Organization, 'id' | 'name' | 'createdAt'>

export function presentOrganization({ id, name, createdAt }: Named): z.input<typeof schemas.organization> {
  return { id: formatId('org', id), name, created_at: createdAt.toISOString() }
}

export function presentOwn({ org, name, createdAt, role }: Joined): z.input<typeof schemas.ownOrganization> {
  return { ...presentOrganization({ id: org, name, createdAt }), role }
}
