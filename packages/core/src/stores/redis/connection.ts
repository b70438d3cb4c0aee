/**
 * Owns how the token store reaches Redis. Refuses TLS that isn't verified; refuses other hosts without TLS or without a password, unless told
 * to; and refuses to wait for a server that does not answer: a connection on which nothing comes back is ended, so that what follows fails at once.
 */
import { createHash } from '../../crypto/index.ts'
import { isIP } from 'node:net'
import type { Redis, RedisOptions } from 'ioredis'
import { hasCode, Secret, systemClock } from '../../kernel/index.ts'
import { decoded, hostOf, isLocalHost, misconfigured, readStoreUrl } from '../address.ts'
import { once } from '../once.ts'
import { storeUnavailable } from '../records.ts'

/** Where the server is, and how its identity is proved. */
export interface RedisAddress {
  /** `redis://user:password@host:port/db`, or `rediss://` for TLS. */
  readonly url: string | Secret
  /** PEM of the authorities to trust, in place of the system's. */
  readonly ca?: string
  /** Speaks to another host without TLS, or without a password. Everybody on the way reads along, and may answer in its place. */
  readonly insecurePlaintext?: boolean
  readonly insecureNoPassword?: boolean
  /** How long the server may be silent before it counts as gone; 400 when absent. */
  readonly answerMs?: number
}

export type RedisValue = string | number | Uint8Array

/** A script that runs whole or not at all. */
export interface RedisScript {
  readonly lua: string
  /** What the server calls it once it knows it. */
  readonly sha: string
}

export function script(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

const KIND = 'redis'
const FIRST_DELAY_MS = 50
const LAST_DELAY_MS = 1_000

/** @throws TokenError `store_misconfigured` */
export function redisOptions(address: RedisAddress): RedisOptions {
  const url = readStoreUrl(address.url, ['redis:', 'rediss:'])
  const [host, password, tls] = [hostOf(url), decoded(url.password), url.protocol === 'rediss:']
  if (host === '') throw misconfigured("the store's url needs a host")
  if (url.search !== '') throw misconfigured("the store's url has options, and none is known")
  if (!/^\/?\d{0,4}$/u.test(url.pathname)) throw misconfigured("the store's url has a path that is no database number")
  if (!isLocalHost(host)) {
    if (!tls && address.insecurePlaintext !== true)
      throw misconfigured('the store is on another host: use rediss://, or set insecurePlaintext to mean it')
    if (password === '' && address.insecureNoPassword !== true) {
      throw misconfigured('the store is on another host and its url has no password: give one, or set insecureNoPassword to mean it')
    }
  }
  const answerMs = address.answerMs ?? 400
  return {
    host,
    port: Number(url.port || '6379'),
    db: Number(url.pathname.slice(1) || '0'),
    ...(url.username === '' ? {} : { username: decoded(url.username) }),
    ...(password === '' ? {} : { password }),
    ...(tls ? { tls: tlsOptions(host, address.ca) } : {}),
    connectionName: 'sallyport',
    connectTimeout: answerMs,
    lazyConnect: true,
    enableOfflineQueue: false,
    // A command whose answer was lost may have run: whoever asked decides whether to ask again.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(FIRST_DELAY_MS * 2 ** (times - 1), LAST_DELAY_MS) * (0.75 + Math.random() / 2),
  }
}

function tlsOptions(host: string, ca: string | undefined): NonNullable<RedisOptions['tls']> {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
  }
}

/** One connection, made when it is first needed and again whenever it is lost. Every question rejects with TokenError `store_unavailable`. */
export class RedisLink {
  readonly #options: RedisOptions
  readonly #answerMs: number
  readonly #client: () => Promise<Redis>
  #opened: Redis | undefined
  /** Since when there is no connection, by the monotonic clock; infinity while there is one. */
  #downSince = Infinity
  #closed = false

  constructor(options: RedisOptions) {
    this.#options = options
    this.#answerMs = options.connectTimeout!
    this.#client = once(() => this.#open())
  }

  /** Calls `heard` with each message on `channel` from now on, and `missed` whenever some may have been missed. */
  async subscribe(channel: string, heard: (message: string) => void, missed: () => void): Promise<void> {
    const client = await this.#client()
    client.on('message', (_channel, message) => heard(message))
    // Also the first time: listeners may have been there before, and what they remember with them.
    client.on('ready', () => void client.subscribe(channel).then(missed, () => undefined))
    // Finds out about a connection on which nothing is asked that it is gone.
    const pulse = setInterval(
      () => client.status === 'ready' && void this.#answered(client, client.ping()).catch(() => undefined),
      PULSE_MS,
    ).unref()
    client.once('end', () => clearInterval(pulse))
    await this.#ready(client).catch(() => undefined)
  }

  async ask<Answer>(command: string, ...args: RedisValue[]): Promise<Answer> {
    try {
      const client = await this.#ready(await this.#client())
      return (await this.#answered(client, client.callBuffer(command, ...args.map(asArgument)))) as Answer
    } catch (error) {
      throw hasCode(error, 'store_misconfigured') ? error : storeUnavailable(KIND, named(error))
    }
  }

  /** By its name, and whole where the server does not know it: at first, and after a restart. */
  async run<Answer>({ lua, sha }: RedisScript, key: string, ...args: RedisValue[]): Promise<Answer> {
    try {
      const client = await this.#ready(await this.#client())
      const given = args.map(asArgument)
      try {
        return (await this.#answered(client, client.callBuffer('EVALSHA', sha, 1, key, ...given))) as Answer
      } catch (error) {
        if (named(error).code !== 'NOSCRIPT') throw error
        return (await this.#answered(client, client.callBuffer('EVAL', lua, 1, key, ...given))) as Answer
      }
    } catch (error) {
      throw hasCode(error, 'store_misconfigured') ? error : storeUnavailable(KIND, named(error))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#opened?.disconnect()
  }

  async #open(): Promise<Redis> {
    const { Redis } = await import('ioredis').catch(() => {
      throw misconfigured('a token store in Redis needs the package "ioredis", which can\'t be loaded')
    })
    const client = new Redis({ ...this.#options, protocol: 2, replyMapping: 'legacy' })
    // As many wait for a connection in the making as ask meanwhile.
    client.setMaxListeners(0)
    // What is wrong is told to whoever asks; unheard, it would be written to the terminal.
    client.on('error', () => undefined)
    client.on('connect', () => this.#expectReady(client))
    this.#downSince = systemClock.monotonic()
    client.on('ready', () => (this.#downSince = Infinity))
    client.on('close', () => (this.#downSince = Math.min(this.#downSince, systemClock.monotonic())))
    this.#opened = client
    client.connect().catch(() => undefined)
    if (this.#closed) client.disconnect()
    return client
  }

  /**
   * The answer, or the end of a connection on which none comes. A process that was held up finds its timer and the answer waiting
   * at the same time: the answer is read first.
   */
  async #answered<T>(client: Redis, answer: Promise<T>): Promise<T> {
    const stream = client.stream
    const { promise: late, reject } = Promise.withResolvers<never>()
    let open = true
    const giveUp = (): void => {
      if (!open) return
      stream.destroy()
      reject(new Error('no answer'))
    }
    const timer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), this.#answerMs)
    try {
      return await Promise.race([answer, late])
    } finally {
      open = false
      clearTimeout(timer)
    }
  }

  /** Ends a connection whose server takes it and then says nothing: signing in and the first questions are not asked here. */
  #expectReady(client: Redis): void {
    const stream = client.stream
    const timer = setTimeout(
      () => setImmediate(() => client.stream === stream && client.status !== 'ready' && stream.destroy()),
      2 * this.#answerMs,
    )
    const known = (): void => clearTimeout(timer)
    client.once('ready', known)
    client.once('close', known)
  }

  /** Waits for a connection in the making, until one answer's time after there was none. Later it says so at once. */
  async #ready(client: Redis): Promise<Redis> {
    // Between a connection's end and the word of it, it is still called ready.
    if (client.status === 'ready' && client.stream.writable) return client
    if (this.#closed) throw new Error('closed')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const downMs = Math.max(0, systemClock.monotonic() - this.#downSince)
    const waitMs = Math.max(0, this.#answerMs - downMs)
    // Never in the same turn: who asks again and again must not keep the connection from being heard.
    const timer = setTimeout(() => setImmediate(() => reject(new Error('no connection'))), waitMs)
    const ready = (): void => resolve()
    client.once('ready', ready)
    try {
      await promise
      return client
    } finally {
      clearTimeout(timer)
      client.off('ready', ready)
    }
  }
}

const PULSE_MS = 4_000

function asArgument(value: RedisValue): string | number | Buffer {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value
}

/** Redis says what kind of error it is in the first word. The rest may quote the command, so it stays here. */
function named(error: unknown): Error & { readonly code: string } {
  const word = error instanceof Error ? /^[A-Z]{3,20}(?= )/u.exec(error.message)?.[0] : undefined
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'NO_ANSWER'
  return Object.assign(new Error('redis'), { code: word ?? code })
}
