/**
 * Owns the token store's pool, and the connection that hears of changes. Refuses to end the process over a lost connection, and to wait for
 * a server that does not answer.
 */
import type { Client, ClientConfig, Pool, QueryResultRow } from 'pg'
import type { CredentialRef } from '../../tokens/index.ts'
import { hasCode, systemClock } from '../../kernel/index.ts'
import { misconfigured } from '../address.ts'
import { once } from '../once.ts'
import { storeUnavailable } from '../records.ts'
import { prepareTables } from './schema.ts'

/** How many connections, and how long the server may take. */
export interface PostgresOptions {
  /** Connections of the pool; 5 when absent. One more hears of changes, once somebody listens. */
  readonly poolSize?: number
  /** How long the server may take for anything, in milliseconds; 5,000 when absent. */
  readonly answerMs?: number
  /** False behind a pooler that hands sessions out by the transaction: no session settings, and no word of changes. True when absent. */
  readonly sessions?: boolean
}

export type SqlValue = string | number | bigint | boolean | Uint8Array | null

/** Every query rejects with TokenError `store_unavailable`, once the tables are there or could not be made. */
export interface PostgresDatabase {
  query<Row extends QueryResultRow>(text: string, values?: readonly SqlValue[]): Promise<Row[]>
  close(): Promise<void>
}

const KIND = 'postgres'
const FAREWELL_MS = 2_000

export function openPostgres(config: ClientConfig, { poolSize = 5, answerMs = 5_000, sessions = true }: PostgresOptions): PostgresDatabase {
  const timeouts = { connectionTimeoutMillis: Math.min(answerMs, 2_000), query_timeout: answerMs }
  // The server ends what the client no longer waits for, so that a late write is not made behind its back for long.
  const settings = sessions ? { statement_timeout: answerMs, lock_timeout: answerMs } : {}
  const silence = new Silence(timeouts.connectionTimeoutMillis)
  let opened: Pool | undefined
  const pool = once(async () => {
    const { Pool } = await import('pg').catch(() => {
      throw misconfigured('a token store in Postgres needs the package "pg", which can\'t be loaded')
    })
    opened = new Pool({ ...config, ...timeouts, ...settings, max: poolSize, allowExitOnIdle: true })
    // A lost connection is news to its pool while idle, and to its client while in use; unheard, either would end the process.
    opened.on('error', () => undefined)
    opened.on('connect', (client) => client.on('error', () => undefined))
    return opened
  })
  const prepared = once(async () => {
    const client = await (await pool()).connect()
    try {
      await prepareTables(client)
      client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
  })
  return {
    async query<Row extends QueryResultRow>(text: string, values: readonly SqlValue[] = []) {
      const answered = silence.asking()
      try {
        await prepared()
        const { rows } = await (await pool()).query<Row>(text, values.map(asParameter))
        answered(true)
        return rows
      } catch (error) {
        answered(false)
        throw hasCode(error, 'store_misconfigured') ? error : storeUnavailable(KIND, error)
      }
    },
    async close() {
      if (opened === undefined || opened.ending) return
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, FAREWELL_MS)
      await Promise.race([opened.end(), late])
      clearTimeout(timer)
    },
  }
}

/** A server that let one wait in vain is asked by one at a time, this often, until it answers; the others fail at once. */
const ASK_AGAIN_MS = 500

/** Knows whether the server is silent: an error that comes at once is an answer. */
class Silence {
  readonly #patienceMs: number
  #askAgainAt: number | undefined

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  /** Gives what is to be called with whether it went well. @throws TokenError `store_unavailable` while somebody else is asking. */
  asking(): (well: boolean) => void {
    const began = systemClock.monotonic()
    if (this.#askAgainAt !== undefined) {
      if (began < this.#askAgainAt) throw storeUnavailable(KIND)
      this.#askAgainAt = began + ASK_AGAIN_MS
    }
    return (well) => {
      const now = systemClock.monotonic()
      if (well) this.#askAgainAt = undefined
      else if (now - began >= 0.9 * this.#patienceMs) this.#askAgainAt = now + ASK_AGAIN_MS
    }
  }
}

function asParameter(value: SqlValue): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value
}

const FIRST_DELAY_MS = 100
const LAST_DELAY_MS = 5_000
const HEARTBEAT_MS = 4_000
const LISTEN = 'listen sallyport_tokens'

/** Tells of changes by any process from `start` on until `stop`; of what may have been missed while it was cut off as `unknown`. */
export class PostgresChanges {
  readonly #config: ClientConfig
  readonly #tell: (ref: CredentialRef | 'unknown') => void
  #client: Client | undefined
  #timer: NodeJS.Timeout | undefined
  #delay = FIRST_DELAY_MS
  #state: 'idle' | 'running' | 'stopped' = 'idle'

  constructor(config: ClientConfig, tell: (ref: CredentialRef | 'unknown') => void) {
    this.#config = { ...config, connectionTimeoutMillis: HEARTBEAT_MS, query_timeout: HEARTBEAT_MS }
    this.#tell = tell
  }

  /** Idempotent. */
  start(): void {
    if (this.#state !== 'idle') return
    this.#state = 'running'
    void this.#connect()
  }

  stop(): void {
    this.#state = 'stopped'
    clearTimeout(this.#timer)
    this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }

  async #connect(): Promise<void> {
    const client = await this.#newClient()
    if (client === undefined) return
    this.#client = client
    try {
      await client.connect()
      await client.query(LISTEN)
    } catch {
      this.#lost(client)
      return
    }
    this.#delay = FIRST_DELAY_MS
    // Also the first time: listeners were there before, and what they remember with them.
    this.#tell('unknown')
    this.#beat(client)
  }

  /** Undefined without the driver, which is told to whoever asks the store for something. */
  async #newClient(): Promise<Client | undefined> {
    const pg = await import('pg').catch(() => undefined)
    if (pg === undefined || this.#state !== 'running') return undefined
    const client = new pg.Client(this.#config)
    client.on('error', () => this.#lost(client))
    client.on('end', () => this.#lost(client))
    client.on('notification', ({ payload }) => this.#tell(readChange(payload)))
    return client
  }

  #beat(client: Client): void {
    if (this.#client !== client) return
    const ask = (): void =>
      void client.query('select 1').then(
        () => this.#beat(client),
        () => this.#lost(client),
      )
    this.#timer = setTimeout(ask, HEARTBEAT_MS).unref()
  }

  #lost(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearTimeout(this.#timer)
    client.end().catch(() => undefined)
    if (this.#state !== 'running') return
    this.#timer = setTimeout(() => void this.#connect(), this.#delay).unref()
    this.#delay = Math.min(this.#delay * 2, LAST_DELAY_MS)
  }
}

/** Anybody with a login may notify, so the text is judged. */
function readChange(payload: string | undefined): CredentialRef | 'unknown' {
  try {
    const parsed: unknown = JSON.parse(payload ?? '')
    if (!Array.isArray(parsed) || parsed.length !== 2) return 'unknown'
    const [scope, id]: unknown[] = parsed
    return typeof scope === 'string' && typeof id === 'string' ? { scope, id } : 'unknown'
  } catch {
    return 'unknown'
  }
}
