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
  /** Instead of so many bytes: a body of JSON. */
  readonly json?: string
  /** What every answer must be; anything else counts as an error. */
  readonly expect: { readonly status: number; /** Absent: whatever it is. */ readonly bytes?: number }
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

/** No key by its form; an id that nobody has; a true id with a wrong secret. */
export const BAD_KEYS = ['formless', 'absent', 'wrong'] as const
export type BadKey = (typeof BAD_KEYS)[number]

export interface FloodOrder {
  readonly type: 'arm'
  readonly port: number
  readonly path: string
  /** `key_...` of a key that is good; its secret is nobody's business here. */
  readonly trueId: string
  /** In turns. */
  readonly kinds: readonly BadKey[]
  /** Addresses that it comes from, as a trusted proxy would tell them. */
  readonly addresses: number
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
}

/** Begins the flood that was made last. */
export interface FloodStart {
  readonly type: 'flood'
}

export interface FloodResult {
  readonly type: 'flooded'
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Requests that found no time or no free connection before the end. */
  readonly unsent: number
  /** How even it was: requests of one tick at most, and milliseconds between two ticks. */
  readonly pace: { readonly largest: number; readonly gapP50Ms: number; readonly gapP99Ms: number }
}
