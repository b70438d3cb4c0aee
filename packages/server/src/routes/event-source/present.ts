import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { EventSource } from '../../db/index.ts'

export function presentEventSource(source: EventSource, publicUrl: string): z.input<typeof schemas.eventSource> {
  return {
    id: formatId('esrc', source.id),
    kind: source.kind,
    url: `${publicUrl}/events/in/${source.context}`,
    issuers: [...source.issuers],
    audiences: [...source.audiences],
    keys_uri: source.keysUri,
    stream_status: source.streamStatus,
    verified_at: source.verifiedAt?.toISOString() ?? null,
    received_at: source.receivedAt?.toISOString() ?? null,
    created_at: source.createdAt.toISOString(),
  }
}
