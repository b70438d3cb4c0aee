/**
 * Owns telling that a sealed value does not open where it stands, which nothing but damage or somebody's hand can bring about: as a metric each time,
 * in the log and in the organization's audit log once an hour and place. Refuses to hold up whoever met it, and to say anything of the value.
 */
import { noMetrics } from '@sallyport/core'
import type { Clock, Logger, Metrics, OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { Database } from '../db/index.ts'
import type { TenantPlace } from './sealed-columns.ts'

export interface SealAlarmOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics?: Metrics | undefined
}

const HOUR_MS = 3_600_000
/** A damaged table is told of by its first thousand records; the metric counts on. */
const MOST_PLACES = 1_000

export class SealAlarm {
  readonly #o: SealAlarmOptions
  /** When a place was told of, by the monotonic clock. */
  readonly #told = new Map<string, number>()

  constructor(options: SealAlarmOptions) {
    this.#o = options
  }

  raise(org: OrgId, { table, column, record, seq }: TenantPlace, code: string): void {
    const { database, logger, metrics = noMetrics } = this.#o
    metrics.count('sallyport_open_failures_total', {})
    if (!this.#isNews(`${org} ${table} ${column} ${record}`)) return
    logger.error('A sealed value does not open where it stands: it was changed or moved', { org, table, column, record, code })
    const detail = { record, seq: seq.toString(), code }
    database
      .withTenant(org, (tx) => appendAudit(tx, { action: 'seal.broken', actor: 'system', target: `${table}.${column}`, detail }))
      .catch((error: unknown) => logger.error('A broken seal could not be written into the audit log', { org, error }))
  }

  #isNews(place: string): boolean {
    const now = this.#o.clock.monotonic()
    const toldAt = this.#told.get(place)
    if (toldAt !== undefined && now - toldAt < HOUR_MS) return false
    // In the order in which they were told of, so that the first is the oldest.
    this.#told.delete(place)
    const [oldest] = this.#told.keys()
    if (this.#told.size >= MOST_PLACES && oldest !== undefined) {
      if (now - this.#told.get(oldest)! < HOUR_MS) return false
      this.#told.delete(oldest)
    }
    this.#told.set(place, now)
    return true
  }
}
