import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId, missingScopes, resolveProvider, TROUBLE_CODES } from '@sallyport/core'
import { healthOf } from '../../credentials/index.ts'
import type { Connection } from '../../db/index.ts'

/** Metadata only: a connection's tokens have no way out but the call that uses them. */
export function presentConnection(connection: Connection): z.input<typeof schemas.connection> {
  return {
    id: formatId('conn', connection.id),
    integration: connection.integrationSlug,
    provider: connection.provider,
    end_user_id: connection.endUserId,
    status: connection.status,
    health: healthOf(connection),
    failure: failureOf(connection),
    account: connection.account && { ...connection.account },
    granted_scopes: [...connection.grantedScopes],
    missing_scopes: missingOf(connection),
    generation: connection.generation,
    token_expires_at: connection.tokenExpiresAt?.toISOString() ?? null,
    created_at: connection.createdAt.toISOString(),
    updated_at: connection.updatedAt.toISOString(),
  }
}

/** Nothing is tried again by itself that a person must mend or has ended. */
function failureOf({ failure, status }: Connection): z.input<typeof schemas.connection>['failure'] {
  if (failure === null) return null
  const { trouble, since, at, failures: attempts, retryAt } = failure
  const over = status === 'reconnect_required' || status === 'revoked'
  return {
    code: TROUBLE_CODES[trouble],
    trouble,
    since: since.toISOString(),
    at: at.toISOString(),
    attempts,
    retry_at: over ? null : retryAt.toISOString(),
  }
}

/** Nothing is missing before anything was granted. */
function missingOf({ headSeq, requiredScopes, grantedScopes, provider }: Connection): string[] {
  return headSeq === 0n ? [] : [...missingScopes(requiredScopes, grantedScopes, resolveProvider(provider)?.scopeContents ?? {})]
}
