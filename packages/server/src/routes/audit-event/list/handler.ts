import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import { appendAudit, canonicalJson, withFacts } from '../../../audit/index.ts'
import type { AuditEvent, OpenedEvent } from '../../../audit/index.ts'
import { auditEventListFiltered } from '../../../db/index.ts'
import type { TenantTx } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'

/** Reading is on record as well: once for the pages of one list, and not again while nothing else happened. */
export const auditEventList = implement('auditEventList', (call) =>
  inOrganization(call, async (tx) => {
    const { limit: _limit, cursor, ...filter } = call.query
    const named = Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
    const page = await listPage(call, {
      rows: async (page) => withFacts(tx, await auditEventListFiltered(tx, filter, page, 'descending'), call.deps.personal),
      keyOf: ({ event }) => event.seq,
      readKey: BigInt,
      present: presentEvent,
      filters: named.map(([name, value]) => `${name}=${value}`),
    })
    if (cursor === undefined) {
      const actor = principalRef(call.principal)
      const detail = { filter: Object.fromEntries(named) }
      await recordReading(tx, { action: 'audit_log.read', actor, target: formatId('org', call.ids.org), detail })
    }
    return page
  }),
)

async function recordReading(tx: TenantTx, event: AuditEvent): Promise<void> {
  const [last] = await auditEventListFiltered(tx, {}, { limit: 1 }, 'descending')
  const again = last?.action === event.action && last.actor === event.actor && last.detail === canonicalJson(event.detail)
  if (!again) await appendAudit(tx, event)
}

function presentEvent({ event, facts }: OpenedEvent): z.input<typeof schemas.auditEvent> {
  return {
    seq: event.seq.toString(),
    at: event.at,
    action: event.action,
    actor: event.actor,
    target: event.target,
    // Stored as the text that was hashed; the database has checked that it is an object.
    detail: JSON.parse(event.detail) as Record<string, unknown>,
    personal: event.personal === null ? null : { sealed: event.personal, facts: facts ?? null },
    prev_hash: event.prevHash.toString('hex'),
    hash: event.hash.toString('hex'),
  }
}
