/** Owns what the processes of the benchmark say to each other over their channels. */

/** Said once by each process when it can be used. `port` 0: it listens nowhere. */
export interface Ready {
  readonly type: 'ready'
  readonly port: number
}

/** One request, sent over and over. */
export interface Call {
  readonly port: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Bytes of the body; 0 for none. */
  readonly bodyBytes: number
  /** What every answer must be; anything else counts as an error. */
  readonly expect: { readonly status: number; readonly bytes: number }
}

/** Sends `call` for `seconds`, or until `calls` were answered. */
export interface LoadOrder {
  readonly type: 'load'
  readonly call: Call
  readonly connections: number
  readonly seconds: number
  /** Absent: time alone is the limit. */
  readonly calls?: number
  /** Absent: each connection sends again as soon as it was answered. Given: this many a second, whether or not the answers keep up. */
  readonly perSecond?: number
}

/** Opens streams one after another, and reads each to its end. */
export interface FirstBytesOrder {
  readonly type: 'first-bytes'
  readonly call: Call
  readonly count: number
}

/** Opens streams and leaves them open. Answered when each has given its first bytes. */
export interface HoldOrder {
  readonly type: 'hold'
  readonly call: Call
  readonly count: number
}

/** Closes what was held. */
export interface ReleaseOrder {
  readonly type: 'release'
}

export type Order = LoadOrder | FirstBytesOrder | HoldOrder | ReleaseOrder

/** Microseconds. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface LoadResult {
  readonly type: 'result'
  readonly answered: number
  /** From the first request to the last answer. */
  readonly seconds: number
  readonly latencyUs: Latency
  /** Kind of error to how often. Empty in a good run. */
  readonly errors: Readonly<Record<string, number>>
  /** Requests of a paced load that were due and found every connection busy to its end: the target did not keep up. */
  readonly unsent: number
}

/** Asks a probed process for its counters and its memory, and has it collect garbage. */
export interface ProbeOrder {
  readonly type: 'bench.probe'
}

export interface ProbeResult {
  readonly type: 'bench.probe'
  /** Queries handed to PostgreSQL clients since the start; each is one round trip. */
  readonly queries: number
  /** Runs of argon2id since the start, to make and to verify. */
  readonly argon2: number
  /** Resident memory before the collection and after it. */
  readonly rssBefore: number
  readonly rssAfter: number
  /** Heap and what it holds outside of it, both in use after the collection. */
  readonly heldBytes: number
}
