/**
 * Owns moving an organization's records from its previous data keys to the current one, page by page, while they are read and written. Refuses
 * to keep any state of its own: the envelopes say how far it has come, so that a killed sweep goes on where it was, and two at once share the work.
 */
import { formatId, hasCode } from '@sallyport/core'
import type { Clock, DataKeyId, Logger, OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { dataKeyList, sealedCount, sealedReplace, sealedTake } from '../db/index.ts'
import type { Database, DataKey, SealedRow, TenantTx } from '../db/index.ts'
import { pageOf, SEALED_COLUMNS } from './sealed-columns.ts'
import type { SealedColumn } from './sealed-columns.ts'
import type { Vault } from './vault.ts'

export interface SweepContext {
  readonly database: Database
  readonly vault: Pick<Vault, 'reseal'>
  readonly clock: Clock
  readonly logger: Logger
  /** Ends a sweep after the page it is at; the rest is the next one's. */
  readonly signal?: AbortSignal | undefined
}

/** What one sweep did, and the proof of what it left: counts over every sealed column, taken after it. */
export interface SweepReport {
  readonly to: DataKeyId | null
  /** Records that this sweep put under the current key. */
  readonly resealed: number
  /** Records that don't open under their own key: changed, or moved by somebody. They are left as they are. */
  readonly unreadable: number
  /** What is still under each previous key. All zero: nothing needs them any more. */
  readonly left: ReadonlyMap<DataKeyId, number>
}

/** A long sweep says how far it is this often. */
const TELL_EVERY_MS = 5_000

/** @throws DatabaseError, KeySourceError, VaultError: what was done until then stays done. */
export async function sweepOrganization(context: SweepContext, org: OrgId, actor: string): Promise<SweepReport> {
  const keys = await context.database.withTenant(org, dataKeyList)
  const current = keys.find(({ status }) => status === 'current')
  const previous = keys.filter(({ status }) => status === 'previous')
  const done = { resealed: 0, unreadable: 0, toldAt: context.clock.monotonic() }
  if (current !== undefined && previous.length > 0) {
    // The first pass passes by what another sweep holds; the second waits for it, so that the count is of finished work.
    for (const held of ['skip', 'wait'] as const) {
      done.unreadable = 0
      for (const from of previous) await sweepKey({ ...context, org, from: from.id, to: current.id, held }, done)
    }
  }
  const { resealed, unreadable } = done
  return finish(context, org, actor, { to: current?.id ?? null, resealed, unreadable, previous })
}

interface Pass extends SweepContext {
  readonly org: OrgId
  readonly from: DataKeyId
  readonly to: DataKeyId
  readonly held: 'skip' | 'wait'
}

interface Done {
  resealed: number
  unreadable: number
}

interface Course extends Done {
  /** When it was last told how far it is, by the monotonic clock. */
  toldAt: number
}

async function sweepKey(pass: Pass, done: Course): Promise<void> {
  for (const column of SEALED_COLUMNS) {
    let after: SealedRow | undefined
    do {
      if (pass.signal?.aborted === true) return
      const from = after
      after = await pass.database.withTenant(pass.org, (tx) => sweepPage(tx, pass, column, from, done))
      tell(pass, done)
    } while (after !== undefined)
  }
}

function tell({ clock, logger, org }: Pass, done: Course): void {
  if (clock.monotonic() - done.toldAt < TELL_EVERY_MS) return
  done.toldAt = clock.monotonic()
  logger.info('Resealing records under the current data key', { org, resealed: done.resealed, unreadable: done.unreadable })
}

/** Answers the last row while there may be more. The rows are held, and each is replaced only if it is still what was opened. */
async function sweepPage(
  tx: TenantTx,
  pass: Pass,
  column: SealedColumn,
  after: SealedRow | undefined,
  done: Done,
): Promise<SealedRow | undefined> {
  const limit = pageOf(column)
  const rows = await sealedTake(tx, column, { under: pass.from, after, limit }, pass.held)
  const changes: { row: SealedRow; envelope: Buffer }[] = []
  for (const row of rows) {
    const envelope = await resealed(tx, pass, column, row)
    if (envelope === undefined) done.unreadable += 1
    else changes.push({ row, envelope })
  }
  done.resealed += await sealedReplace(tx, column, changes)
  return rows.length === limit ? rows.at(-1) : undefined
}

/** Undefined for a record that does not open at its own place: it is reported and never overwritten. */
async function resealed(tx: TenantTx, pass: Pass, column: SealedColumn, row: SealedRow): Promise<Buffer | undefined> {
  try {
    return await pass.vault.reseal(tx, column.place(row.names), row.envelope, pass.to)
  } catch (error) {
    if (!hasCode(error, 'decrypt_failed')) throw error
    pass.logger.error('A sealed record does not open', { org: pass.org, table: column.table, record: column.place(row.names).record })
    return undefined
  }
}

async function finish(
  { database, logger }: SweepContext,
  org: OrgId,
  actor: string,
  { to, resealed, unreadable, previous }: Done & { to: DataKeyId | null; previous: readonly DataKey[] },
): Promise<SweepReport> {
  return database.withTenant(org, async (tx) => {
    const counts = await recordsPerKey(tx)
    const left = new Map(previous.map(({ id }) => [id, counts.get(id) ?? 0]))
    if (to !== null && resealed > 0) {
      const remaining = Object.fromEntries([...left].map(([id, count]) => [formatId('dk', id), count]))
      const detail = { from: Object.keys(remaining), to: formatId('dk', to), records: resealed, unreadable, left: remaining }
      logger.info('Resealed records under the current data key', { org, ...detail })
      await appendAudit(tx, { action: 'data_key.resealed', actor, target: formatId('dk', to), detail })
    }
    return { to, resealed, unreadable, left }
  })
}

/** How many records each of the organization's data keys holds, over every sealed column. */
export async function recordsPerKey(tx: TenantTx): Promise<ReadonlyMap<DataKeyId, number>> {
  const totals = new Map<DataKeyId, number>()
  for (const column of SEALED_COLUMNS) {
    for (const [id, count] of await sealedCount(tx, column)) if (id !== undefined) totals.set(id, (totals.get(id) ?? 0) + count)
  }
  return totals
}
