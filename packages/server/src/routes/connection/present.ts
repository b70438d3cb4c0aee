import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId, missingScopes, resolveProvider } from '@sallyport/core'
import type { Connection } from '../../db/index.ts'

/** Metadata only: a connection's tokens have no way out but the call that uses them. */
export function presentConnection(connection: Connection): z.input<typeof schemas.connection> {
  return {
    id: formatId('conn', connection.id),
    integration: connection.integrationSlug,
    provider: connection.provider,
    end_user_id: connection.endUserId,
    status: connection.status,
    account: connection.account && { ...connection.account },
    granted_scopes: [...connection.grantedScopes],
    missing_scopes: missingOf(connection),
    generation: connection.generation,
    token_expires_at: connection.tokenExpiresAt?.toISOString() ?? null,
    created_at: connection.createdAt.toISOString(),
    updated_at: connection.updatedAt.toISOString(),
  }
}

/** Nothing is missing before anything was granted. */
function missingOf({ headSeq, requiredScopes, grantedScopes, provider }: Connection): string[] {
  return headSeq === 0n ? [] : [...missingScopes(requiredScopes, grantedScopes, resolveProvider(provider)?.scopeContents ?? {})]
}
