import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { ModelRoute, ModelTarget } from '../../db/index.ts'

export function presentModelRoute(route: ModelRoute): z.input<typeof schemas.modelRoute> {
  return {
    id: formatId('mroute', route.id),
    name: route.name,
    strategy: route.strategy,
    targets: route.targets.map(presentTarget),
    fallback_on: [...route.fallbackOn],
    deadline_ms: route.deadlineMs,
    created_by: route.createdBy,
    created_at: route.createdAt.toISOString(),
    updated_at: route.updatedAt.toISOString(),
  }
}

export function presentTarget({ provider, model, keyName, weight, firstByteTimeoutMs }: ModelTarget): z.input<typeof schemas.modelTarget> {
  return { provider, model, key_name: keyName, weight, first_byte_timeout_ms: firstByteTimeoutMs }
}
