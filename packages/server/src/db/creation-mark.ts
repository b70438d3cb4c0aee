/**
 * Owns the mark that a creation leaves in its own transaction, so that what is made and that it was made are committed as one. Which creation a
 * transaction belongs to follows the request through every feature on its way, none of which needs to know of it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { OrgId } from '@sallyport/core'
import { DatabaseError } from './errors.ts'
import { creationMade } from './queries/idempotent-creation.ts'
import type { TenantTx } from './tenant.ts'

/** A creation under way. */
export interface Creation {
  readonly org: OrgId
  readonly keyHash: Buffer
  readonly attempt: string
  /** Of the audit event that says it was made. */
  readonly action: string
}

const current = new AsyncLocalStorage<Creation>()

/** Runs `work` as this creation. */
export function creating<T>(creation: Creation, work: () => Promise<T>): Promise<T> {
  return current.run(creation, work)
}

/**
 * Marks the creation of this request, if it is one, as made when one of the events of its transaction says so.
 * @throws DatabaseError `conflict` when another attempt has taken it over: the transaction must not be committed
 */
export async function markMade(tx: TenantTx, events: readonly { readonly action: string; readonly target: string }[]): Promise<void> {
  const creation = current.getStore()
  const event = creation?.org === tx.org ? events.find(({ action }) => action === creation.action) : undefined
  if (creation === undefined || event === undefined) return
  const own = await creationMade(tx, creation.keyHash, creation.attempt, event.target)
  if (!own) throw new DatabaseError('conflict', 'another attempt took this creation over')
}
