import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { ProviderKey } from '../../db/index.ts'

type Shown = z.input<typeof schemas.providerKey>

/** `now`: milliseconds since 1970. */
export function presentProviderKey(key: ProviderKey, now: number): Shown {
  return {
    id: formatId('pkey', key.id),
    provider: key.provider,
    name: key.name,
    project: key.place && formatId('proj', key.place.project),
    environment: key.place?.environment ?? null,
    masked: key.mask,
    fingerprint: key.fingerprint.toString('hex'),
    settings: { ...key.settings },
    state: stateOf(key, now),
    replaces: key.replaces && formatId('pkey', key.replaces),
    created_by: key.createdBy,
    created_at: key.createdAt.toISOString(),
    ends_at: key.endsAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  }
}

function stateOf({ endsAt, revokedAt }: ProviderKey, now: number): Shown['state'] {
  if (revokedAt !== null || (endsAt !== null && endsAt.getTime() <= now)) return 'ended'
  return endsAt === null ? 'active' : 'ending'
}
