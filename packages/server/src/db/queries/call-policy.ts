/** Owns how an integration's calls go out beyond one plain try, and its form in the database. Refuses to read a figure into what is none. */

/** As the column `call_policy` holds it. What is null or false is off: by default a call passes through as it came. */
export interface CallPolicy {
  /** Further tries of a call that may be repeated, 0 to 3. */
  readonly retries: number
  /** Calls a second, of all connections together; on each node. */
  readonly qps: number | null
  /** Calls under way at once, of all connections together; on each node. */
  readonly concurrency: number | null
  /** Whether answers to GET are kept and asked about again. */
  readonly cache: boolean
}

export const PLAIN_CALLS: CallPolicy = { retries: 0, qps: null, concurrency: null, cache: false }

/** The default for each member that is absent, or not what it ought to be. One object for all rows that say nothing. */
export function readCallPolicy(json: unknown): CallPolicy {
  const { retries, qps, concurrency, cache } = (json ?? {}) as Partial<Record<keyof CallPolicy, unknown>>
  if (retries === undefined && qps === undefined && concurrency === undefined && cache === undefined) return PLAIN_CALLS
  return {
    retries: isNumber(retries) ? retries : PLAIN_CALLS.retries,
    qps: isNumber(qps) ? qps : PLAIN_CALLS.qps,
    concurrency: isNumber(concurrency) ? concurrency : PLAIN_CALLS.concurrency,
    cache: cache === true,
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
