import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { Project } from '../../db/index.ts'

export function presentProject({ id, name, returnOrigins, createdAt, archivedAt }: Project): z.input<typeof schemas.project> {
  return {
    id: formatId('proj', id),
    name,
    return_origins: [...returnOrigins],
    created_at: createdAt.toISOString(),
    archived_at: archivedAt && archivedAt.toISOString(),
  }
}
