import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { ApiKey } from '../../db/index.ts'

/** The same of a key of the organization, whose path does not say of which environment it is. */
export function presentOrganizationKey(key: ApiKey): z.input<typeof schemas.organizationKey> {
  return { ...presentKey(key), environment: key.environment }
}

/** A key without its secret, which no row holds in a form that could be shown (battery K-01). */
export function presentKey(key: ApiKey): z.input<typeof schemas.apiKey> {
  return {
    id: formatId('key', key.id),
    name: key.name,
    scopes: [...key.scopes],
    connection: key.connection && formatId('conn', key.connection),
    allowed_addresses: key.allowedAddresses && [...key.allowedAddresses],
    allowed_origins: key.allowedOrigins && [...key.allowedOrigins],
    sender: key.sender,
    created_by: key.createdBy,
    succeeds: key.succeeds && formatId('key', key.succeeds),
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  }
}
