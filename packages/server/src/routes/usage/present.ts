import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId, usdOf } from '@sallyport/core'
import type { KeyId, ProjectId } from '@sallyport/core'
import type { UsageRow, UsageSum } from '../../db/index.ts'

const US_PER_MS = 1_000

export function presentUsage(row: UsageRow): z.input<typeof schemas.usageRecord> {
  return {
    id: formatId('use', row.id),
    at: row.at.toISOString(),
    request: formatId('req', row.request),
    key: formatId('key', row.key),
    end_user: row.endUser,
    provider: row.provider,
    model: row.model,
    route: row.route,
    status: row.status,
    error: row.error,
    source: row.source,
    input_tokens: row.inputTokens,
    cached_tokens: row.cachedTokens,
    cache_write_tokens: row.writtenTokens,
    output_tokens: row.outputTokens,
    reasoning_tokens: row.reasoningTokens,
    cost_usd: row.costNano === null ? null : usdOf(row.costNano),
    duration_ms: row.durationUs / US_PER_MS,
    first_byte_ms: row.firstByteUs === null ? null : row.firstByteUs / US_PER_MS,
  }
}

export function presentSum({ of, ...sum }: UsageSum): z.input<typeof schemas.usageSum> {
  return {
    ...(of.day === undefined ? {} : { day: of.day }),
    ...(of.project === undefined ? {} : { project: formatId('proj', of.project as ProjectId) }),
    ...(of.environment === undefined ? {} : { environment: of.environment as 'live' | 'test' }),
    ...(of.key === undefined ? {} : { key: formatId('key', of.key as KeyId) }),
    ...(of.end_user === undefined ? {} : { end_user: of.end_user }),
    ...(of.provider === undefined ? {} : { provider: of.provider }),
    ...(of.model === undefined ? {} : { model: of.model === '' ? null : of.model }),
    calls: sum.calls,
    failed_calls: sum.failed,
    estimated_calls: sum.estimated,
    unpriced_calls: sum.unpriced,
    input_tokens: sum.inputTokens,
    cached_tokens: sum.cachedTokens,
    cache_write_tokens: sum.writtenTokens,
    output_tokens: sum.outputTokens,
    reasoning_tokens: sum.reasoningTokens,
    cost_usd: usdOf(sum.costNano),
  }
}
