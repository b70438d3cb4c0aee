/**
 * Owns what the audit log says of a credential's life. Refuses to repeat itself: an event is of a change from one state to another, decided
 * under the connection's lock, so that many nodes and many callers make one (battery F-15).
 */
import { formatId } from '@sallyport/core'
import type { ConnectionId, Logger, RefreshTrouble } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { AuditEvent, UseLog } from '../audit/index.ts'
import type { ConnectionFailure, ConnectionPlace, TenantTx } from '../db/index.ts'

export interface Transitions {
  /** The first failure after a success. In the transaction that notes it. */
  failing(tx: TenantTx, id: ConnectionId, trouble: RefreshTrouble): Promise<void>
  /** In the transaction that ends the grant. */
  ended(
    tx: TenantTx,
    id: ConnectionId,
    end: { readonly status: 'reconnect_required' | 'revoked'; readonly trouble: RefreshTrouble; readonly generation: number },
  ): Promise<void>
  /** After a version was saved, with the group of events that is written next. */
  saved(at: ConnectionPlace, version: SavedVersion): void
}

export interface SavedVersion {
  readonly outcome: 'head' | 'sibling' | 'ended'
  readonly seq: bigint
  readonly parentSeq: bigint
  /** What failed before. */
  readonly failure?: ConnectionFailure | null
  /** What the provider grants now, where that is not what it was. */
  readonly scopes?: readonly string[]
}

export function createTransitions({ useLog, logger }: { readonly useLog: Pick<UseLog, 'use'>; readonly logger: Logger }): Transitions {
  return {
    failing: (tx, id, trouble) => appendAudit(tx, event('connection.refresh_failed', id, { trouble })),
    ended: (tx, id, { status, trouble, generation }) => appendAudit(tx, event(`connection.${status}`, id, { trouble, generation })),
    saved({ org, connection }, { outcome, seq, parentSeq, failure, scopes }) {
      const detail = { seq: String(seq), parent: String(parentSeq), kept: outcome }
      const events = [event('connection.refreshed', connection, detail)]
      if (outcome === 'head' && failure) {
        events.push(event('connection.recovered', connection, { trouble: failure.trouble, failures: failure.failures }))
      }
      if (scopes !== undefined) events.push(event('connection.scopes_changed', connection, { granted: [...scopes] }))
      try {
        // Batched for every organization: a log that is full or slow may not cost a token that is saved already.
        for (const each of events) void useLog.use(org, 'batched', each)
      } catch (error) {
        logger.error('Refreshed a credential, and could not log that', { org, connection: formatId('conn', connection), error })
      }
    },
  }
}

function event(action: string, id: ConnectionId, detail: AuditEvent['detail']): AuditEvent {
  return { action, actor: 'system', target: formatId('conn', id), detail }
}
