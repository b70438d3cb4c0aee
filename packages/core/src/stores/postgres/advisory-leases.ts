/**
 * Owns leases as session-level advisory locks of PostgreSQL, all of a process on one connection: they end when it ends, so with the process,
 * however that ends, and nobody has to wait for a time to pass. Refuses to lend one twice within the process, which the database would do.
 *
 * A process that is stopped and not dead keeps its connection, and its locks with it. So each connection shows life once a second, and
 * whoever finds a lock taken has the database end the connections of this kind that have not for `stalledAfterMs`, by the database's
 * clock. A stopped one can't get past it: when it goes on, `prove` finds its connection gone.
 *
 * Needs a connection of its own all the way to the server: a pooler that hands sessions out by the transaction breaks it (`RowLeases`).
 */
import type { Client, ClientConfig, QueryResultRow } from 'pg'
import { sha256 } from '../../crypto/index.ts'
import { systemClock } from '../../kernel/index.ts'
import type { Clock } from '../../kernel/index.ts'
import type { Lease, LeaseKeeper } from '../../tokens/index.ts'
import { Proof, PROOF_LIFE_MS } from '../leases/proof.ts'
import { storeUnavailable } from '../records.ts'

/** How long a holder and the server may be silent. Milliseconds. */
export interface AdvisoryLeaseOptions {
  /** How long a holder may show no life before its connection is ended. Well over a heartbeat and a slow network; 10,000 when absent. */
  readonly stalledAfterMs?: number
  /** How long the database may take to answer before it counts as gone, and all leases with it; 2,000 when absent. */
  readonly answerMs?: number
  readonly clock?: Clock
}

/** What these connections are called, in all processes: by it they find each other. */
const NAME = 'sallyport leases'
const HEARTBEAT_MS = 1_000
/** A process looks for stopped ones at most this often, however many leases it finds taken. */
const LOOK_AGAIN_MS = 1_000
/** Locks that are asked for in one statement. */
const BATCH = 1_000
/** How long a connection that is ended by us may take to go. */
const FAREWELL_MS = 500
const KIND = 'postgres, advisory locks'

/** Leases of one connection of their own: the server frees them when the process dies. Not behind a pooler that shares sessions. */
export class AdvisoryLeases implements LeaseKeeper {
  readonly #config: ClientConfig
  readonly #stalledAfterMs: number
  readonly #clock: Clock
  /** Keys that are held, being taken or being given back. */
  readonly #keys = new Set<string>()
  #session: Promise<Session> | undefined
  #lookedAt = -Infinity
  #closed = false

  constructor(config: ClientConfig, options: AdvisoryLeaseOptions = {}) {
    const answerMs = options.answerMs ?? 2_000
    this.#config = { keepAlive: true, ...config, application_name: NAME, connectionTimeoutMillis: answerMs, query_timeout: answerMs }
    this.#stalledAfterMs = options.stalledAfterMs ?? 10_000
    this.#clock = options.clock ?? systemClock
  }

  async take(key: string): Promise<Lease | undefined> {
    if (this.#keys.has(key)) return undefined
    this.#keys.add(key)
    try {
      const session = await this.#connected()
      const lock = lockOf(key)
      const taken = (await session.tryLock(lock)) || ((await this.#endStalled(session)) && (await session.tryLock(lock)))
      if (taken) return this.#lease(key, lock, session)
      this.#keys.delete(key)
      return undefined
    } catch (error) {
      this.#keys.delete(key)
      throw storeUnavailable(KIND, error)
    }
  }

  /** Gives every lease back. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    const session = await this.#session?.catch(() => undefined)
    await session?.end()
  }

  async #endStalled(session: Session): Promise<boolean> {
    const now = this.#clock.monotonic()
    if (now - this.#lookedAt < LOOK_AGAIN_MS) return false
    this.#lookedAt = now
    return session.endStalled(this.#stalledAfterMs)
  }

  #lease(key: string, lock: Lock, session: Session): Lease {
    let released: Promise<void> | undefined
    return {
      prove: async () => released === undefined && (await session.prove()),
      release: () => {
        released ??= session.unlock(lock).finally(() => this.#keys.delete(key))
        return released
      },
    }
  }

  #connected(): Promise<Session> {
    if (this.#closed) throw new Error('closed')
    this.#session ??= this.#connect()
    return this.#session
  }

  async #connect(): Promise<Session> {
    const lost = (): void => void (this.#session = undefined)
    try {
      const session = await Session.open(this.#config, this.#clock, lost)
      if (this.#closed) await session.end()
      return session
    } catch (error) {
      lost()
      throw error
    }
  }
}

/** The two numbers of a lock: 64 bits of the key's SHA-256. Unsigned, as `pg_locks` shows them. */
interface Lock {
  readonly high: number
  readonly low: number
}

function lockOf(key: string): Lock {
  const digest = sha256(key)
  return { high: digest.readUInt32BE(0), low: digest.readUInt32BE(4) }
}

/** Asks for many at a time: one statement is under way at most, and whatever is wanted meanwhile goes with the next. */
class LockQueue {
  readonly #askAll: (locks: readonly Lock[]) => Promise<readonly boolean[]>
  #wanted: { readonly lock: Lock; readonly resolve: (done: boolean) => void; readonly reject: (error: unknown) => void }[] = []
  #asking = false

  constructor(askAll: (locks: readonly Lock[]) => Promise<readonly boolean[]>) {
    this.#askAll = askAll
  }

  ask(lock: Lock): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    this.#wanted.push({ lock, resolve, reject })
    if (!this.#asking) void this.#askWanted()
    return promise
  }

  async #askWanted(): Promise<void> {
    this.#asking = true
    while (this.#wanted.length > 0) {
      const batch = this.#wanted.splice(0, BATCH)
      try {
        const done = await this.#askAll(batch.map(({ lock }) => lock))
        batch.forEach(({ resolve }, i) => resolve(done[i]!))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#asking = false
  }
}

/** The one connection. Once anything on it fails or is late, it is gone for good, and with it all that was locked on it. */
class Session {
  readonly #client: Client
  readonly #proof: Proof
  readonly #lost: () => void
  readonly #locks = new LockQueue((locks) => this.#askLocks(TRY_LOCKS, locks))
  readonly #unlocks = new LockQueue((locks) => this.#askLocks(UNLOCK, locks))
  #pinging: Promise<boolean> | undefined
  #backend = 0
  #alive = true
  #heartbeat: NodeJS.Timeout | undefined
  /** Ends with the question before: the driver takes one at a time, and warns of more. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(client: Client, clock: Clock, lost: () => void) {
    this.#client = client
    this.#proof = new Proof(clock)
    this.#lost = lost
    client.on('error', () => this.#lose())
    client.on('end', () => this.#lose())
  }

  static async open(config: ClientConfig, clock: Clock, lost: () => void): Promise<Session> {
    const { Client } = await import('pg')
    const session = new Session(new Client(config), clock, lost)
    try {
      await session.#client.connect()
      session.#backend = await session.#askBackend()
    } catch (error) {
      session.#lose()
      throw error
    }
    session.#beat()
    return session
  }

  tryLock(lock: Lock): Promise<boolean> {
    return this.#locks.ask(lock)
  }

  /** Ends the connections of this kind that have shown no life for `ms`. True when one was ended. */
  async endStalled(ms: number): Promise<boolean> {
    const rows = await this.#ask<{ ended: boolean }>(END_STALLED, [NAME, ms, FAREWELL_MS])
    return rows.some(({ ended }) => ended)
  }

  /** Never rejects: a connection that can't be asked has lost its locks, or loses them here. */
  async unlock(lock: Lock): Promise<void> {
    if (!this.#alive) return
    try {
      await this.#unlocks.ask(lock)
    } catch {
      this.#lose()
    }
  }

  /** Whether this is still the connection on which the locks were taken. Never rejects. */
  async prove(): Promise<boolean> {
    const isFresh = (): boolean => this.#alive && this.#proof.isYoungerThan(PROOF_LIFE_MS)
    if (isFresh()) return true
    if (this.#pinging !== undefined) {
      // Asked by another a moment ago. Its answer may be too old to be of use when it comes.
      await this.#pinging
      if (isFresh()) return true
    }
    return this.#ping()
  }

  async end(): Promise<void> {
    this.#lose()
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, FAREWELL_MS)
    await Promise.race([this.#client.end().catch(() => undefined), late])
    clearTimeout(timer)
  }

  #ping(): Promise<boolean> {
    this.#pinging ??= this.#askAlive().finally(() => (this.#pinging = undefined))
    return this.#pinging
  }

  async #askAlive(): Promise<boolean> {
    if (!this.#alive) return false
    try {
      // Another backend answers where a pooler hands sessions out by the transaction: the locks are not ours to speak of then.
      if ((await this.#askBackend()) === this.#backend) return this.#alive
    } catch {
      // Nobody knows what became of a connection that doesn't answer, so it is not one any more.
    }
    this.#lose()
    return false
  }

  async #askBackend(): Promise<number> {
    const proven = this.#proof.asking()
    const [row] = await this.#ask<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')
    proven()
    return row!.pid
  }

  async #askLocks(text: string, locks: readonly Lock[]): Promise<readonly boolean[]> {
    const rows = await this.#ask<{ done: boolean }>(text, [locks.map(({ high }) => high | 0), locks.map(({ low }) => low | 0)])
    return rows.map(({ done }) => done)
  }

  async #ask<Row extends QueryResultRow>(text: string, values: readonly (number | string | readonly number[])[] = []): Promise<Row[]> {
    const asking = this.#turn.then(() => this.#client.query<Row>(text, [...values]))
    this.#turn = asking.catch(() => undefined)
    try {
      return (await asking).rows
    } catch (error) {
      this.#lose()
      throw error
    }
  }

  #beat(): void {
    if (!this.#alive) return
    this.#heartbeat = setTimeout(() => void this.#ping().then(() => this.#beat()), HEARTBEAT_MS).unref()
  }

  #lose(): void {
    if (!this.#alive) return
    this.#alive = false
    clearTimeout(this.#heartbeat)
    this.#lost()
    // Half-open or gone, its end is news to nobody.
    this.#client.end().catch(() => undefined)
  }
}

/** The order of the answers is that of the locks asked for. */
const TRY_LOCKS = `
  select pg_catalog.pg_try_advisory_lock(k.high, k.low) as done
  from rows from (pg_catalog.unnest($1::int4[]), pg_catalog.unnest($2::int4[])) with ordinality as k(high, low, place) order by k.place`

const UNLOCK = `
  select pg_catalog.pg_advisory_unlock(k.high, k.low) as done
  from rows from (pg_catalog.unnest($1::int4[]), pg_catalog.unnest($2::int4[])) with ordinality as k(high, low, place) order by k.place`

/**
 * One statement, so that what is ended is what was judged. A backend's `state_change` moves with every heartbeat. Sees, and may end,
 * connections of the same login alone.
 */
const END_STALLED = `
  select pg_catalog.pg_terminate_backend(a.pid, $3::bigint) as ended
  from pg_catalog.pg_stat_activity a
  where a.application_name = $1 and a.usename = session_user and a.datname = pg_catalog.current_database()
    and a.pid <> pg_catalog.pg_backend_pid()
    and a.state_change < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2::float8 / 1000)`
