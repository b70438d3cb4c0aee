import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { Integration } from '../../db/index.ts'

/** Metadata only: the client secret goes in and never comes out. */
export function presentIntegration(integration: Integration, publicUrl: string): z.input<typeof schemas.integration> {
  return {
    id: formatId('int', integration.id),
    slug: integration.slug,
    provider: integration.provider,
    client_id: integration.clientId,
    scopes: [...integration.scopes],
    call_policy: {
      cache: integration.callPolicy.cache,
      retries: integration.callPolicy.retries,
      qps: integration.callPolicy.qps,
      concurrency: integration.callPolicy.concurrency,
    },
    redirect_uri: new URL(`/oauth/cb/${integration.context}`, publicUrl).href,
    created_at: integration.createdAt.toISOString(),
  }
}
