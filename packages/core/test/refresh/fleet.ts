/**
 * Owns a world for refreshing: several refreshers on one store and one set of leases, a token issuer that keeps books, and time that passes
 * only when everything waits. Refuses real time: nothing here sleeps.
 */
import { setImmediate } from 'node:timers/promises'
import {
  createLogger,
  createMemoryLeases,
  createMemoryStore,
  createRefresher,
  CredentialMemory,
  ManualClock,
  REFRESH_METRICS,
  MetricsRegistry,
  Secret,
  TokenError,
  withReadCache,
} from '@sallyport/core'
import type {
  Checkpoint,
  Clock,
  CredentialRef,
  CredentialStore,
  HeldLeases,
  LeaseKeeper,
  RefreshAnswer,
  RefreshEvent,
  RefreshLimits,
  Refresher,
  RotationProfile,
  Spill,
  SpilledAnswer,
  TokenSet,
} from '@sallyport/core'

export const ref: CredentialRef = { scope: 'provider', id: 'user' }
const HOUR_MS = 3_600_000

/** What an issuer needs of a time. */
export interface Timeline {
  readonly clock: Clock
  pause(ms: number): Promise<void>
}

/** Time that passes when nobody can go on: to the next moment somebody waits for. */
export class VirtualTime {
  readonly clock = new ManualClock()
  readonly #waiting = new Set<{ readonly at: number; readonly wake: () => void }>()

  readonly pause = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const entry = {
        // Clocks tell whole milliseconds.
        at: this.clock.monotonic() + Math.ceil(ms),
        wake: () => {
          this.#waiting.delete(entry)
          resolve()
        },
      }
      this.#waiting.add(entry)
      signal?.addEventListener('abort', entry.wake, { once: true })
    })

  /** Lets everything that can go on do so; then, while `isOver` says no, time goes on to the next moment. */
  async run(isOver: () => boolean): Promise<void> {
    for (let steps = 0; ; steps++) {
      await setImmediate()
      if (isOver()) return
      const next = [...this.#waiting].toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined || steps > 20_000) throw new Error('nothing will ever happen')
      this.clock.advance(Math.max(0, next.at - this.clock.monotonic()))
      next.wake()
    }
  }

  /** The outcome of `work`, however long it takes in this time. */
  async until<T>(work: Promise<T>): Promise<T> {
    let over = false
    const settled = work.finally(() => (over = true))
    settled.catch(() => undefined)
    await this.run(() => over)
    return await settled
  }

  /** Lets this much time pass for everybody. */
  async pass(ms: number): Promise<void> {
    await this.until(this.pause(ms))
  }
}

/** What the issuer does with one call: whether it commits, and what of it is seen. */
export interface Behaviour {
  /** Whether the books are opened. */
  readonly commits: boolean
  /** `true`: what the books say. Otherwise this. */
  readonly says: true | RefreshAnswer
  readonly latencyMs?: number
}

export const ANSWERS: Behaviour = { commits: true, says: true }
/** Done, and nobody hears of it. */
export const SWALLOWS: Behaviour = { commits: true, says: { kind: 'unknown', why: 'timeout' } }
export const NEVER_HEARS: Behaviour = { commits: false, says: { kind: 'unknown', why: 'timeout' } }

interface IssuedToken {
  readonly name: string
  spentAt: number | null
  alive: boolean
}

export interface Call {
  readonly node: string
  readonly token: string
  readonly at: number
  /** What the books say. */
  readonly outcome: 'renewed' | 'again' | 'reuse' | 'refused' | 'untouched'
  /** Whether the caller heard so. */
  readonly told: boolean
}

/** One grant and its books. Token 0 comes with the consent. */
export class BookkeepingIssuer {
  readonly calls: Call[] = []
  readonly #tokens = new Map<string, IssuedToken>()
  readonly #time: Timeline
  /** Behaviours for the next calls; afterwards it answers. */
  readonly next: Behaviour[] = []
  rotation: RotationProfile
  ended = false
  /** Under grace: another successor ends the one before. */
  oneSuccessor = false
  livesMs: number | null = HOUR_MS
  #serial = 0
  #access = 0

  constructor(time: Timeline, rotation: RotationProfile) {
    this.#time = time
    this.rotation = rotation
    this.#issue()
  }

  /** Names of the tokens that would be accepted now and are the newest of their chain. */
  get live(): readonly string[] {
    if (this.ended) return []
    return [...this.#tokens.values()].filter(({ alive, spentAt }) => alive && spentAt === null).map(({ name }) => name)
  }

  revoke(): void {
    this.ended = true
  }

  /** Settles within `timeoutMs`: an answer that would take longer is not heard. */
  async refresh(node: string, parent: TokenSet, now: number, timeoutMs = Number.POSITIVE_INFINITY): Promise<RefreshAnswer> {
    const { commits, says, latencyMs = 0 } = this.next.shift() ?? ANSWERS
    const token = parent.refreshToken?.reveal() ?? ''
    if (latencyMs > 0) await this.#time.pause(Math.min(latencyMs, timeoutMs))
    const [outcome, answer] = commits ? this.#books(token, parent, now) : (['untouched', undefined] as const)
    const heard = latencyMs > timeoutMs ? SWALLOWS.says : says
    this.calls.push({ node, token, at: this.#time.clock.monotonic(), outcome, told: heard === true })
    return heard === true ? answer! : heard
  }

  #books(name: string, parent: TokenSet, now: number): readonly [Call['outcome'], RefreshAnswer] {
    const token = this.#tokens.get(name)
    const refused = { kind: 'refused', trouble: 'grant_expired' } as const
    if (this.ended || token?.alive !== true) return ['refused', refused]
    if (this.rotation.kind === 'none') return ['renewed', this.#tokensFor(token, parent, now)]
    if (token.spentAt === null) {
      token.spentAt = this.#time.clock.monotonic()
      return ['renewed', this.#tokensFor(this.#issue(), parent, now)]
    }
    const inGrace = this.rotation.kind === 'grace' && this.#time.clock.monotonic() - token.spentAt <= this.rotation.seconds * 1000
    if (inGrace && this.oneSuccessor) for (const other of this.#tokens.values()) if (other !== token) other.alive = false
    if (inGrace) return ['again', this.#tokensFor(this.#issue(), parent, now)]
    this.ended = true
    return ['reuse', refused]
  }

  #issue(): IssuedToken {
    const token: IssuedToken = { name: `refresh-${this.#serial++}`, spentAt: null, alive: true }
    this.#tokens.set(token.name, token)
    return token
  }

  #tokensFor({ name }: IssuedToken, parent: TokenSet, now: number): RefreshAnswer {
    const access = new Secret(`access-${++this.#access}`)
    const expiresAt = this.livesMs === null ? null : now + this.livesMs
    return { kind: 'tokens', tokens: { ...parent, accessToken: access, refreshToken: new Secret(name), expiresAt } }
  }
}

/** A folder that outlives its processes. */
export class MemorySpill implements Spill {
  readonly kept = new Map<string, SpilledAnswer>()
  async put(answer: SpilledAnswer): Promise<void> {
    this.kept.set(answer.intent, answer)
  }
  async list(): Promise<readonly SpilledAnswer[]> {
    return [...this.kept.values()]
  }
  async remove({ intent }: SpilledAnswer): Promise<void> {
    this.kept.delete(intent)
  }
}

type Method = Exclude<keyof CredentialStore, 'durability' | 'onChange' | 'close'>

export interface NodeOptions {
  readonly limits?: Partial<RefreshLimits>
  readonly checkpoint?: (point: Checkpoint) => Promise<void> | void
  readonly hint?: LeaseKeeper
  readonly leases?: LeaseKeeper
  /** How far this machine's wall clock is off. */
  readonly clockOffMs?: number
  readonly endpointFails?: Error
  /** Whether it has a cache before its store. */
  readonly remembers?: boolean
  /** Its own, instead of the one all have. */
  readonly spill?: MemorySpill
}

export interface FleetNode {
  readonly name: string
  readonly refresher: Refresher
  readonly events: RefreshEvent[]
  readonly logged: string[]
  /** Methods of the store that this node can't reach now. */
  readonly away: Set<Method | 'all'>
  /** How long answers of the store take to this node, in milliseconds. */
  readonly slow: Map<Method, number>
  counted(metric: string): number
  metrics(): string
  /** As kill -9: whatever it was doing is never gone on with, and its leases are free. */
  kill(): Promise<void>
}

export interface Fleet {
  readonly time: VirtualTime
  readonly issuer: BookkeepingIssuer
  readonly store: CredentialStore
  readonly spill: MemorySpill
  readonly held: HeldLeases
  readonly orphans: string[]
  node(options?: NodeOptions): FleetNode
  /** A consent whose access token has `livesMs` to live. */
  connect(consent?: { readonly livesMs?: number | null; readonly refreshToken?: string | null }): Promise<void>
}

export interface FleetOptions {
  readonly rotation?: RotationProfile
  /** What the engine is told; otherwise what the issuer does. */
  readonly declared?: RotationProfile
  readonly requestLifetimeMs?: number
  readonly random?: () => number
}

export function createFleet({
  rotation = { kind: 'none' },
  declared,
  requestLifetimeMs = 10_000,
  random = () => 0.5,
}: FleetOptions = {}): Fleet {
  const time = new VirtualTime()
  const memory = new CredentialMemory()
  const encryption = {
    key: Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 251)).toString('hex'),
    algorithm: 'aes-256-gcm',
  }
  const open = (): CredentialStore => createMemoryStore({ memory, clock: time.clock, encryption })
  const [store, issuer, spill] = [open(), new BookkeepingIssuer(time, rotation), new MemorySpill()]
  const held: HeldLeases = new Map()
  const orphans: string[] = []
  let started = 0
  return {
    time,
    issuer,
    store,
    spill,
    held,
    orphans,
    async connect({ livesMs = 0, refreshToken = 'refresh-0' } = {}) {
      await store.connect(ref, {
        accessToken: new Secret('access-0'),
        refreshToken: refreshToken === null ? null : new Secret(refreshToken),
        tokenType: 'bearer',
        expiresAt: livesMs === null ? null : time.clock.now() + livesMs,
        scopes: ['read'],
        extra: new Secret('{}'),
      })
    },
    node(options = {}) {
      const name = `node-${++started}`
      const leases = options.leases ?? createMemoryLeases(held)
      const away = new Set<Method | 'all'>()
      const slow = new Map<Method, number>()
      const reached = unreliable(open(), away, async (method) => {
        const ms = slow.get(method)
        if (ms !== undefined) await time.pause(ms)
      })
      const events: RefreshEvent[] = []
      const logged: string[] = []
      const registry = new MetricsRegistry(REFRESH_METRICS)
      let dead = false
      const never = new Promise<never>(() => undefined)
      const refresher = createRefresher({
        store: options.remembers === true ? withReadCache(reached, { clock: time.clock }) : reached,
        leases,
        ...(options.hint === undefined ? {} : { hint: options.hint }),
        spills: [options.spill ?? spill],
        endpoint: async () => {
          if (options.endpointFails !== undefined) throw options.endpointFails
          return {
            provider: 'fake',
            rotation: declared ?? issuer.rotation,
            requestLifetimeMs,
            refresh: (parent, { now, timeoutMs }) => issuer.refresh(name, parent, now, timeoutMs),
          }
        },
        revokeOrphan: async (_ref, tokens) => void orphans.push(tokens.refreshToken?.reveal() ?? ''),
        logger: createLogger({ level: 'debug', format: 'json', write: (line) => logged.push(line), clock: time.clock }),
        node: name,
        metrics: registry,
        clock: { now: () => time.clock.now() + (options.clockOffMs ?? 0), monotonic: () => time.clock.monotonic() },
        random,
        pause: (ms, signal) => (dead ? never : time.pause(ms, signal)),
        limits: { jitter: 0, ...options.limits },
        checkpoint: async (point) => {
          await options.checkpoint?.(point)
          if (dead) await never
        },
      })
      refresher.onEvent((event) => events.push(event))
      return {
        name,
        refresher,
        events,
        logged,
        away,
        slow,
        counted: (metric) => numbersOf(registry.render(), metric),
        metrics: () => registry.render(),
        async kill() {
          dead = true
          refresher.close()
          await leases.close()
        },
      }
    },
  }
}

/** A promise that is resolved from outside: a process stopped at a point, or let go on. */
export function gate(): { readonly opened: Promise<void>; open(): void; readonly reached: Promise<void>; reach(): void } {
  const [opened, reached] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  return { opened: opened.promise, open: opened.resolve, reached: reached.promise, reach: reached.resolve }
}

export function numbersOf(text: string, metric: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${metric} `) || line.startsWith(`${metric}{`))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

function unreliable(store: CredentialStore, away: ReadonlySet<string>, delay: (method: Method) => Promise<void>): CredentialStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function' || name === 'onChange' || name === 'close') return value
      return async (...args: unknown[]) => {
        if (away.has(String(name)) || away.has('all')) throw new TokenError('store_unavailable', 'away, for a test')
        const answer = await (value as (...given: unknown[]) => unknown).apply(target, args)
        await delay(name as Method)
        return answer
      }
    },
  })
}
