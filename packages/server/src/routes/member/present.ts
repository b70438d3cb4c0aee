import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { Member } from '../../db/index.ts'

export function presentMember({ person, name, email, emailVerified, role, createdAt }: Member): z.input<typeof schemas.member> {
  return { id: formatId('user', person), name, email, email_verified: emailVerified, role, created_at: createdAt.toISOString() }
}
