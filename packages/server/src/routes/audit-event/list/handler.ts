import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { auditEventList as listEvents } from '../../../db/index.ts'
import type { StoredAuditEvent } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'

export const auditEventList = implement('auditEventList', (call) =>
  inOrganization(call, (tx) =>
    listPage(call, {
      rows: (page) => listEvents(tx, page),
      keyOf: (event) => event.seq,
      readKey: BigInt,
      present: presentEvent,
    }),
  ),
)

function presentEvent(event: StoredAuditEvent): z.input<typeof schemas.auditEvent> {
  return {
    seq: event.seq.toString(),
    at: event.at,
    action: event.action,
    actor: event.actor,
    target: event.target,
    // Stored as the text that was hashed; the database has checked that it is an object.
    detail: JSON.parse(event.detail) as Record<string, unknown>,
    prev_hash: event.prevHash.toString('hex'),
    hash: event.hash.toString('hex'),
  }
}
