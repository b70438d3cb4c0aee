/**
 * Owns one request of a caller on the planes that call out, whichever of them it came to: who calls and whether it may now, what every answer to it says,
 * how it is refused, and what is written down. Refuses to know where a call goes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Problem } from '@sallyport/contract'
import { EgressError, formatId, hasCode, newId, pathOnly } from '@sallyport/core'
import type { Clock, ConnectionId, ForwardCall, Logger, Metrics, RequestId } from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { KeyGuard } from '../binding/index.ts'
import type { RequestRecordRow } from '../db/index.ts'
import { lingerOverBody, sendProblem, sourceOf } from '../http/index.ts'
import type { CrossOrigin } from '../http/index.ts'
import { IdentityError } from '../identity/index.ts'
import type { KeyAuthenticator, KeyPrincipal, KeyUses } from '../identity/index.ts'
import { fieldsOf } from '../limits/index.ts'
import type { Limiter, Standing } from '../limits/index.ts'
import type { PresentedKey } from './call.ts'

export interface VisitOptions {
  readonly authenticator: KeyAuthenticator
  readonly keyGuard: Pick<KeyGuard, 'admit'>
  readonly keyUses: Pick<KeyUses, 'note'>
  readonly limiter: Pick<Limiter, 'admit'>
  readonly crossOrigin: Pick<CrossOrigin, 'answerFor'>
  readonly useLog: Pick<UseLog, 'request'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** The client's address as trusted proxies give it. */
  readonly clientAddress: (request: IncomingMessage) => string
  /** What every answer says of the way to us, in both forms. */
  readonly transport: { readonly fields: Readonly<Record<string, string>>; readonly flat: readonly string[] }
  /** Whether the database is away, so that calls go on by what is remembered. */
  readonly isFromMemory: () => boolean
}

/** What is known of a call when its record is written. */
export interface VisitFacts {
  /** A label of metrics: of the catalog, or of those that the operator declared. */
  readonly provider?: string | undefined
  readonly integration?: string | undefined
  readonly connection?: ConnectionId | undefined
  /** Where it went to a provider of models. */
  readonly modelProvider?: string | undefined
  /** With or without its query. Absent: it was refused, and is not repeated where people read. */
  readonly path?: string | undefined
}

/** How it ended. Bytes of bodies alone. */
export interface VisitEnd {
  readonly status: number
  readonly source: 'gateway' | 'provider'
  readonly error: string | null
  readonly bytesIn: number
  readonly bytesOut: number
}

/** What every answer of a provider is given on its way back. */
export type AnswerFields = Required<Pick<ForwardCall, 'responseHeaders' | 'responseAdds'>> & Pick<ForwardCall, 'responseDefaults'>

/** Answers the caller with what a failure means, and says which. */
export type Refusal = typeof sendProblem

/** Answers come from elsewhere but under our origin: a browser that is made to show one gets a document that can do nothing. */
const CONTAINMENT = [
  'content-security-policy',
  "default-src 'none'; sandbox; frame-ancestors 'none'",
  'x-content-type-options',
  'nosniff',
  'x-frame-options',
  'DENY',
  'referrer-policy',
  'no-referrer',
]
/** To whoever would rather wait than go on by what was true a moment ago. */
const FROM_MEMORY = ['sallyport-warning', 'database_unavailable']
/** In records only; nobody is left to be told. */
const CLIENT_GONE = 499
const LONGEST_PATH = 2_048
const NO_PAGE: Readonly<Record<string, string>> = {}
const NOTHING: readonly string[] = []

export class Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly id: RequestId
  /** The id as it is told outside. */
  readonly name: string
  readonly #o: VisitOptions
  readonly #startedAt: number
  #principal: KeyPrincipal | undefined
  /** Once its request was counted. */
  #standing: Standing | undefined
  /** What a web page of another origin is told, if one asks. */
  #page: Readonly<Record<string, string>> = NO_PAGE
  #going: AbortController | undefined

  constructor(options: VisitOptions, request: IncomingMessage, response: ServerResponse) {
    this.#o = options
    this.request = request
    this.response = response
    this.id = newId('req', options.clock.now())
    this.name = formatId('req', this.id)
    this.#startedAt = options.clock.monotonic()
  }

  /** Who calls, once that is proven. */
  get principal(): KeyPrincipal | undefined {
    return this.#principal
  }

  get standing(): Standing | undefined {
    return this.#standing
  }

  /**
   * The key of a request that may go on; undefined: it was refused for it and answered. What memory alone can refuse is refused here, where nothing is
   * waited for, promised or thrown: this is all that a flood of bad keys costs.
   */
  enter(read: (rawHeaders: readonly string[]) => PresentedKey, facts: VisitFacts = {}, answer?: Refusal): PresentedKey | undefined {
    let key: PresentedKey
    try {
      key = read(this.request.rawHeaders)
    } catch (error) {
      this.refuse(error, facts, answer)
      return undefined
    }
    const judged = this.#o.authenticator.judge(key.text, () => this.#address())
    if (judged instanceof IdentityError) {
      this.refuse(judged, facts, answer)
      return undefined
    }
    this.#principal = judged
    return key
  }

  /** Proves the caller and counts the request. @throws as the authenticator, the key guard and the limiter do. */
  admit(key: PresentedKey): KeyPrincipal | Promise<KeyPrincipal> {
    const principal = this.#principal
    return principal === undefined || principal.bounds !== null || key.asBound ? this.#prove(key) : this.#take(principal)
  }

  async #prove(key: PresentedKey): Promise<KeyPrincipal> {
    const { authenticator } = this.#o
    const principal = this.#principal ?? authenticator.cached(key.text) ?? (await authenticator.authenticate(key.text, this.#address()))
    this.#principal = principal
    if (principal.bounds !== null || key.asBound) await this.#guard(principal, key)
    return this.#take(principal)
  }

  /** Of a caller who is proven: says so, and counts its request. At once, unless a page is behind it or the limit has to be asked about. */
  #take(principal: KeyPrincipal): KeyPrincipal | Promise<KeyPrincipal> {
    this.#o.keyUses.note(principal.keyId)
    const { org, project } = principal
    const page = project === null ? undefined : this.#o.crossOrigin.answerFor(this.request.rawHeaders, { org, project })
    return page === undefined ? this.#count(principal) : page.then((fields) => this.#countFor({ ...fields, vary: 'Origin' }, principal))
  }

  #countFor(page: Readonly<Record<string, string>>, principal: KeyPrincipal): KeyPrincipal | Promise<KeyPrincipal> {
    this.#page = page
    return this.#count(principal)
  }

  #count(principal: KeyPrincipal): KeyPrincipal | Promise<KeyPrincipal> {
    const standing = this.#o.limiter.admit(principal)
    if (standing instanceof Promise) return standing.then((told) => this.#stand(told, principal))
    return this.#stand(standing, principal)
  }

  #stand(standing: Standing, principal: KeyPrincipal): KeyPrincipal {
    this.#standing = standing
    return principal
  }

  #guard(principal: KeyPrincipal, { text, asBound }: PresentedKey): Promise<void> | undefined {
    return this.#o.keyGuard.admit(principal, { request: this.request, address: this.#address(), key: text, asBound })
  }

  #address(): string {
    return this.#o.clientAddress(this.request)
  }

  /** Aborted when the caller goes away; made for calls that wait. */
  gone(): AbortSignal {
    if (this.#going === undefined) {
      const going = new AbortController()
      const go = (): void => going.abort(new EgressError('client_gone', 'connection'))
      // Who went while the call's place was looked up has been told of for the last time.
      if (this.response.destroyed) go()
      else this.response.once('close', go)
      this.#going = going
    }
    return this.#going.signal
  }

  /** Beside what the provider says. */
  answerFields(): AnswerFields {
    return {
      responseHeaders: [
        'sallyport-request-id',
        this.name,
        'sallyport-error-source',
        'provider',
        ...(this.#o.isFromMemory() ? FROM_MEMORY : []),
        ...CONTAINMENT,
        ...this.#o.transport.flat,
      ],
      responseAdds: this.#page === NO_PAGE ? NOTHING : Object.entries(this.#page).flat(),
      // A provider's own figures are about the provider; where it has none, ours.
      ...(this.#standing === undefined ? {} : { responseDefaults: [this.#standing.standard, this.#standing.older] }),
    }
  }

  /** Tells the caller why the call did not leave, or what became of it, and writes that down. */
  refuse(error: unknown, facts: VisitFacts, answer: Refusal = sendProblem): void {
    if (hasCode(error, 'client_gone')) {
      this.record(facts, { status: CLIENT_GONE, source: 'gateway', error: 'client_gone', bytesIn: 0, bytesOut: 0 })
      return
    }
    lingerOverBody(this.request, this.response)
    const problem = answer(this.response, error, this.name, this.ownFields())
    this.#tell(problem, error)
    const source = sourceOf(problem.code)
    if (problem.code === 'rate_limited') this.#measure(facts, problem.status, 'gateway')
    else this.record(facts, { status: problem.status, source, error: problem.code, bytesIn: 0, bytesOut: 0 })
  }

  /** What every answer of our own says beside itself. */
  ownFields(): Readonly<Record<string, string>> {
    if (this.#standing === undefined && this.#page === NO_PAGE) return this.#o.transport.fields
    return { ...this.#o.transport.fields, ...this.#page, ...(this.#standing && fieldsOf(this.#standing)) }
  }

  #tell({ code }: Problem, error: unknown): void {
    if (code === 'internal') this.#o.logger.error('a call failed', { request: this.name, error })
    else this.#o.logger.debug('a call was refused', { request: this.name, code, error })
  }

  /** Calls without a known caller belong to no organization, and those of an organization's key to no project: neither leaves a record. */
  record(facts: VisitFacts, { status, source, error, bytesIn, bytesOut }: VisitEnd): void {
    const ms = this.#measure(facts, status, source)
    const principal = this.#principal
    if (principal === undefined || principal.project === null) return
    this.#o.useLog.request({
      org: principal.org,
      id: this.id,
      at: new Date(this.#o.clock.now()),
      project: principal.project,
      environment: principal.environment,
      integrationSlug: facts.integration ?? null,
      connection: facts.connection ?? null,
      modelProvider: facts.modelProvider,
      key: principal.keyId,
      method: this.request.method!,
      path: facts.path === undefined ? '' : pathOnly(facts.path).slice(0, LONGEST_PATH),
      status,
      source,
      error,
      durationUs: Math.round(ms * 1000),
      bytesIn,
      bytesOut,
    } satisfies RequestRecordRow)
  }

  /** The metrics alone, which is all that is kept of a call over the limit: a flood must not fill the database. Gives what the call took, in ms. */
  #measure({ provider = 'none' }: VisitFacts, status: number, source: 'gateway' | 'provider'): number {
    const ms = this.#o.clock.monotonic() - this.#startedAt
    this.#o.metrics.count('http_requests_total', {
      provider,
      method: this.request.method!,
      status: `${Math.floor(status / 100)}xx`,
      source: status === CLIENT_GONE ? 'client' : source,
    })
    this.#o.metrics.observe('http_request_duration_seconds', { provider }, ms / 1000)
    return ms
  }
}

/** How many calls are under way. */
export interface Underway {
  /** Counts one until it ends. `work` handles its own failures: what it throws all the same is told, and its caller's connection is cut. */
  add(work: Promise<void>, response: ServerResponse): void
  /** The same of what may be over at once, which is then not counted. */
  begin(work: () => Promise<void> | undefined, response: ServerResponse): void
  /** Resolves when none is. */
  idle(): Promise<void>
}

export function createUnderway(logger: Logger): Underway {
  let count = 0
  const waiting: (() => void)[] = []
  const settle = (): void => {
    count -= 1
    if (count === 0) for (const resolve of waiting.splice(0)) resolve()
  }
  const fail = (error: unknown, response: ServerResponse): void => {
    logger.error('a call ended outside its own error handling', { error })
    response.destroy()
  }
  const add = (work: Promise<void>, response: ServerResponse): void => {
    count += 1
    work.then(settle, (error: unknown) => {
      fail(error, response)
      settle()
    })
  }
  return {
    add,
    begin(work, response) {
      try {
        const going = work()
        if (going !== undefined) add(going, response)
      } catch (error) {
        fail(error, response)
      }
    },
    idle: () => (count === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  }
}
