/**
 * Owns the path of a call: who calls, what it may do, which credential, out through the door, and what is written down. Nothing on it
 * buffers a body, and with warm caches nothing on it waits for the database. Refuses to hold a credential longer than the call's start.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  AnswerSink,
  cleanRequestHeaders,
  EgressError,
  formatId,
  hasCode,
  headerText,
  newId,
  pathOnly,
  readTokenSet,
  RefreshError,
} from '@sallyport/core'
import type {
  Answer,
  Clock,
  ConnectionId,
  Egress,
  ForwardCall,
  ForwardResult,
  IntegrationId,
  JudgedPath,
  Logger,
  Metrics,
  ParsedHeaders,
  Provider,
  RequestId,
  TokenSet,
  Tries,
  Uuid,
} from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { KeyGuard } from '../binding/index.ts'
import type { CallPolicy, ProxyTarget, ProxyTargetConnection, RequestRecordRow } from '../db/index.ts'
import { sendProblem, sourceOf } from '../http/index.ts'
import type { CrossOrigin } from '../http/index.ts'
import type { KeyAuthenticator, KeyPrincipal, KeyUses } from '../identity/index.ts'
import { fieldsOf } from '../limits/index.ts'
import type { Limiter, Standing } from '../limits/index.ts'
import { credentialPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AnsweredCall, Answers } from './answers.ts'
import { absent, CallError, isProxyUrl, presentedKey, readCall } from './call.ts'
import type { PresentedKey, ProxyCall, Selector } from './call.ts'
import type { CallShares } from './call-shares.ts'
import type { Outbound } from './outbound.ts'
import type { Admitted, ProviderGuard } from './provider-guard.ts'
import type { RouteOut } from './routes-out.ts'
import type { CredentialLife, RenewedTokens } from './credential-life.ts'
import type { KnownTarget, TargetCache, TargetWanted } from './target-cache.ts'

export interface DataPlaneOptions {
  readonly authenticator: KeyAuthenticator
  readonly keyGuard: Pick<KeyGuard, 'admit'>
  readonly keyUses: Pick<KeyUses, 'note'>
  readonly limiter: Pick<Limiter, 'admit'>
  readonly crossOrigin: Pick<CrossOrigin, 'answerFor'>
  readonly targets: TargetCache
  readonly routes: (provider: Provider['id']) => RouteOut | undefined
  /** True when a connection of the same project stands in the other environment (K-13). */
  readonly otherEnvironment: (wanted: TargetWanted) => Promise<boolean>
  readonly vault: Vault
  readonly egress: Egress
  readonly life: CredentialLife
  /** The problem of a call that needed another credential than there is, with the way to one for this caller. Never rejects. */
  readonly explained: (error: unknown, principal: KeyPrincipal, connection: ConnectionId) => Promise<unknown>
  readonly shares: CallShares
  readonly guard: ProviderGuard
  readonly outbound: Outbound
  readonly answers: Pick<Answers, 'answer' | 'changed'>
  readonly useLog: UseLog
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** The client's address as trusted proxies give it. */
  readonly clientAddress: (request: IncomingMessage) => string
  readonly publicUrl: string
  /** What every answer says of the way to us, in both forms. */
  readonly transport: { readonly fields: Readonly<Record<string, string>>; readonly flat: readonly string[] }
  readonly maxRequestBytes: number
  /** Whether the database is away, so that calls go on by what is remembered. */
  readonly isFromMemory: () => boolean
}

export interface DataPlane {
  /** Takes the request when it is the data plane's; false leaves it untouched. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  /** Resolves when no call is under way. */
  idle(): Promise<void>
}

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
/** How long a refused upload may go on before its connection is cut, so that its sender can read the refusal first. */
const LINGER_MS = 2_000
const COOKIE = 'set-cookie'
/** RFC 9110 section 9.2.1. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
/** In records only; nobody is left to be told. */
const CLIENT_GONE = 499

/** Rounds of a call whose connection is connected anew while it is under way. */
const ROUNDS = 3

/** The connection was connected anew between two tries: what was kept of the grant before is nothing to the new one. Never seen outside. */
class GrantReplaced extends Error {}

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  let underWay = 0
  const waiting: (() => void)[] = []

  const settle = (): void => {
    underWay -= 1
    if (underWay === 0) for (const resolve of waiting.splice(0)) resolve()
  }

  return {
    handle(request, response) {
      if (!isProxyUrl(request.url ?? '')) return false
      underWay += 1
      new Passage(options, request, response).run().then(settle, (error: unknown) => {
        options.logger.error('a call ended outside its own error handling', { error })
        response.destroy()
        settle()
      })
      return true
    },
    idle: () => (underWay === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  }
}

/** What is known of a call when its record is written. */
interface Trace {
  principal?: KeyPrincipal
  call?: ProxyCall
  target?: ProxyTargetConnection
  provider?: string
}

/** Where one try goes. */
interface Destination {
  readonly candidate: ProxyTargetConnection
  readonly provider: string
  readonly integration: IntegrationId
  readonly policy: CallPolicy
  readonly route: RouteOut
  readonly target: KnownTarget
}

/** Who asks for what. */
interface Asked {
  readonly principal: KeyPrincipal
  readonly call: ProxyCall
  /** Those that may go on. */
  readonly headers: readonly string[]
  readonly wanted: TargetWanted
  /** The only one of the connection that will do; absent: whichever it has. */
  readonly generation?: number
}

/** Where the answer goes, and what is added to it there. */
type Handing = Pick<ForwardCall, 'response' | 'responseHeaders' | 'responseAdds' | 'responseDefaults' | 'signal'>

class Passage {
  readonly #o: DataPlaneOptions
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #id: RequestId
  /** The id as it is told outside. */
  readonly #name: string
  readonly #startedAt: number
  readonly #trace: Trace = {}
  /** Once its request was counted. */
  #standing: Standing | undefined
  /** What a web page of another origin is told, if one asks. */
  #page: Readonly<Record<string, string>> = {}
  #going: AbortController | undefined
  /** What the cache has to know of the provider's answer beside what is passed on; where answers are kept. */
  #noted: Noted | undefined

  constructor(options: DataPlaneOptions, request: IncomingMessage, response: ServerResponse) {
    this.#o = options
    this.#request = request
    this.#response = response
    this.#id = newId('req', options.clock.now())
    this.#name = formatId('req', this.#id)
    this.#startedAt = options.clock.monotonic()
  }

  async run(): Promise<void> {
    try {
      await this.#pass()
    } catch (error) {
      this.#refuse(await this.#explained(error))
    }
  }

  async #explained(error: unknown): Promise<unknown> {
    const { principal, target } = this.#trace
    return principal === undefined || target === undefined ? error : this.#o.explained(error, principal, target.id)
  }

  async #pass(): Promise<void> {
    const key = presentedKey(this.#request.rawHeaders)
    const principal = this.#o.authenticator.cached(key.text) ?? (await this.#authenticate(key.text))
    this.#trace.principal = principal
    if (principal.bounds !== null || key.asBound) await this.#admit(principal, key)
    this.#o.keyUses.note(principal.keyId)
    const { org, project } = principal
    const page = project === null ? undefined : this.#o.crossOrigin.answerFor(this.#request.rawHeaders, { org, project })
    if (page !== undefined) this.#page = { ...(await page), vary: 'Origin' }
    const standing = this.#o.limiter.admit(principal)
    this.#standing = standing instanceof Promise ? await standing : standing
    const call = readCall(this.#request.url!, this.#request.rawHeaders)
    this.#trace.call = call
    const headers = this.#judge(principal, call)
    const asked: Asked = { principal, call, headers, wanted: wantedBy(principal, call) }
    const out = await this.#destination(asked)
    if (out.policy.cache && this.#request.method === 'GET' && call.contentLength === 0) return await this.#answered(asked, out)
    const { status, aborted, bytesIn, bytesOut } = await this.#sent(asked, out, this.#directly())
    this.#record(status, 'provider', aborted ?? null, bytesIn, bytesOut)
  }

  /** From what was kept, or by a call whose answer is kept as it passes. */
  async #answered(asked: Asked, first: Destination): Promise<void> {
    for (let [out, round] = [first, 1]; ; out = await this.#destination(asked), round++) {
      try {
        return await this.#deliver(await this.#keptOrSent(asked, out))
      } catch (error) {
        if (!(error instanceof GrantReplaced)) throw error
        if (round === ROUNDS) throw new RefreshError('refresh_pending')
      }
    }
  }

  /** @throws GrantReplaced */
  #keptOrSent(asked: Asked, out: Destination): Promise<Answer> {
    const gone = this.#gone()
    const { generation } = out.candidate
    return this.#o.answers.answer({ ...answeredCall(asked, out, 'GET'), gone }, async (headers) => {
      const sink = new AnswerSink('GET')
      const sent = this.#sent({ ...asked, headers: [...headers].flat(), generation }, out, { response: sink, signal: gone })
      const over = Promise.withResolvers<void>()
      const headed = sink.head.then((head): Answer => {
        if (this.#noted?.setsCookie === true) head.headers.set(COOKIE, '')
        return { ...head, ended: over.promise }
      })
      const whole = sent.then(({ aborted }) => {
        if (aborted !== undefined) sink.cut(new EgressError(aborted, 'cut', true))
        over.resolve()
        return headed
      })
      return Promise.race([headed, whole])
    })
  }

  async #deliver({ status, headers, body }: Answer): Promise<void> {
    const { responseHeaders, responseAdds } = this.#directly()
    const own = new Set([COOKIE, ...responseHeaders.filter((_text, at) => at % 2 === 0)])
    const flat = [...headers].filter(([name]) => !own.has(name)).flat()
    const defaults = [this.#standing?.standard, this.#standing?.older].filter(
      (group) => group !== undefined && !group.some((name, at) => at % 2 === 0 && headers.has(name)),
    )
    this.#response.writeHead(status, [...flat, ...responseHeaders, ...responseAdds, ...defaults.flat()] as string[])
    let bytes = 0
    let cut: string | null = null
    try {
      await pipeline(
        body === null ? Readable.from([]) : Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]),
        async function* counted(chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of chunks) {
            bytes += chunk.length
            yield chunk
          }
        },
        this.#response,
      )
    } catch (error) {
      // Headers are out: the connection is cut with it, as half an answer must not look whole.
      cut = error instanceof EgressError ? error.code : 'client_gone'
    }
    this.#record(status, 'provider', cut, bytes, bytes)
  }

  /** Sends the call by as many tries as it takes. What it may have changed is forgotten, where answers are kept. */
  async #sent(asked: Asked, first: Destination, handing: Handing): Promise<ForwardResult> {
    if (!first.policy.cache || SAFE.has(this.#request.method!)) return await this.#tried(asked, first, handing)
    const changing = answeredCall(asked, first, this.#request.method!)
    try {
      const result = await this.#tried(asked, first, handing)
      await this.#o.answers.changed(changing, { status: result.status, headers: this.#noted?.pointers ?? new Headers() })
      return result
    } catch (error) {
      await this.#o.answers.changed(changing, { error })
      throw error
    }
  }

  async #tried(asked: Asked, first: Destination, handing: Handing): Promise<ForwardResult> {
    const tries = this.#triesOf(asked, first)
    try {
      // Anew for each further try: the connection may have ended while this one waited, or its credential been renewed.
      for (let out = first; ; out = await this.#destination(asked)) {
        const came = await this.#try(asked, out, handing, tries)
        if (typeof came !== 'number') return came
        await this.#o.outbound.pause(came, this.#gone())
        if (this.#response.destroyed) throw new EgressError('client_gone', 'connection')
      }
    } finally {
      tries?.end()
    }
  }

  /** To the caller, as the provider gives it. */
  #directly(): Required<Pick<ForwardCall, 'response' | 'responseHeaders' | 'responseAdds'>> & Pick<ForwardCall, 'responseDefaults'> {
    return {
      response: this.#response,
      responseHeaders: [
        'sallyport-request-id',
        this.#name,
        'sallyport-error-source',
        'provider',
        ...(this.#o.isFromMemory() ? FROM_MEMORY : []),
        ...CONTAINMENT,
        ...this.#o.transport.flat,
      ],
      responseAdds: Object.entries(this.#page).flatMap(([name, value]) => [name, value]),
      // A provider's own figures are about the provider; where it has none, ours.
      ...(this.#standing === undefined ? {} : { responseDefaults: [this.#standing.standard, this.#standing.older] }),
    }
  }

  /** Where the call goes, and with what. @throws CallError, RefreshError */
  async #destination({ call, wanted }: Omit<Asked, 'generation'>): Promise<Destination> {
    const target = this.#o.targets.peek(wanted) ?? (await this.#o.targets.load(wanted))
    const { candidate, provider, integration, policy } = await this.#choose(target, wanted)
    this.#trace.target = candidate
    this.#trace.provider = provider
    requireUsable(candidate)
    const route = this.#o.routes(provider)
    if (route === undefined) throw new CallError('integration_not_configured', `the catalog has no provider ${provider}`)
    if (!route.allows(this.#request.method!, call.path)) {
      throw new CallError('path_refused', 'outside the rules of the integration', {
        publicDetail: 'This method and path are not allowed by the integration.',
      })
    }
    return { candidate, provider, integration, policy, route, target }
  }

  #triesOf(
    { principal, call }: Pick<Asked, 'principal' | 'call'>,
    { policy, integration, provider, route }: Destination,
  ): Tries | undefined {
    if (policy.retries === 0) return undefined
    const isBodiless = call.contentLength === 0
    const isHarmless = this.#request.headers['idempotency-key'] !== undefined
    const of = { org: principal.org, integration, provider, host: route.host, method: this.#request.method!, isHarmless, isBodiless }
    return this.#o.outbound.tries(policy, of)
  }

  /** One try: what came of it, or how long to wait before another one. */
  async #try(asked: Asked, out: Destination, handing: Handing, tries: Tries | undefined): Promise<ForwardResult | number> {
    const { principal, call } = asked
    const { candidate, integration, provider, policy, route, target } = out
    if (asked.generation !== undefined && asked.generation !== candidate.generation) throw new GrantReplaced()
    const renewal = this.#renewed(principal, candidate, target)
    const renewed = renewal === undefined ? undefined : await renewal
    const of = { org: principal.org, integration, provider, connection: candidate.id }
    const limited = policy.qps !== null || policy.concurrency !== null
    const endTurn = limited ? await this.#o.outbound.turn(policy, { ...of, gone: this.#gone() }) : undefined
    try {
      // Behind the queue: who waited while the circuit opened is not sent after all, and who waits takes no connection's place.
      return await this.#shared(principal, route, () => {
        const admitted = this.#o.guard.admit({ ...of, host: route.host, counted: route.counts(this.#request.method!, call.path) })
        return this.#guarded(admitted, tries, () => this.#callOut(asked, out, renewed, handing, admitted, tries))
      })
    } finally {
      endTurn?.()
    }
  }

  async #shared<T>({ org }: KeyPrincipal, { base }: RouteOut, work: () => Promise<T>): Promise<T> {
    const leave = this.#o.shares.enter(org, base.origin)
    try {
      return await work()
    } finally {
      leave()
    }
  }

  /** Aborted when the caller goes away; made for calls that wait. */
  #gone(): AbortSignal {
    if (this.#going === undefined) {
      const going = new AbortController()
      const go = (): void => going.abort(new EgressError('client_gone', 'connection'))
      // Who went while the call's place was looked up has been told of for the last time.
      if (this.#response.destroyed) go()
      else this.#response.once('close', go)
      this.#going = going
    }
    return this.#going.signal
  }

  /** Whatever happens before an answer is judged, so that a probe of an open circuit ends in any case. */
  async #guarded<T>(admitted: Admitted, tries: Tries | undefined, callOut: () => Promise<T>): Promise<T | number> {
    try {
      return await callOut()
    } catch (error) {
      admitted.failed(error)
      // A caller that goes away is no failure that another try would mend, and is not taken for one.
      const pauseMs = tries?.after({ error })
      if (pauseMs === undefined) throw error
      return pauseMs
    }
  }

  /** As `#try`. */
  async #callOut(
    { principal, call, headers }: Asked,
    { candidate, policy, route }: Destination,
    renewed: RenewedTokens | undefined,
    handing: Handing,
    admitted: Admitted,
    tries: Tries | undefined,
  ): Promise<ForwardResult | number> {
    const method = this.#request.method!
    let pauseMs: number | undefined
    await this.#o.useLog.use(principal.org, principal.auditUseMode, this.#useEvent(principal, candidate, renewed, method, call))
    const tokens = renewed?.tokens ?? (await this.#open(principal, candidate))
    const proven = tokens.tokenType === 'bearer' ? undefined : route.prove(tokens, method, call.path)
    const result = await this.#o.egress.forward({
      base: route.base,
      method,
      path: call.path as JudgedPath,
      headers: route.withDefaults([...headers]),
      ...(proven?.parts ?? { inject: route.inject(tokens.accessToken) }),
      again: (status, received) => {
        admitted.answered(status, received)
        if (policy.cache) this.#noted = notedOf(received)
        const injections = proven?.parts.again?.(status, received)
        if (injections !== undefined || tries === undefined) return injections
        pauseMs = tries.after({ answer: { status, headers: { get: (name) => headerText(received, name) ?? null } } })
        return pauseMs === undefined ? undefined : 'withhold'
      },
      body: call.contentLength === 0 ? null : this.#request,
      ...(call.contentLength === undefined ? {} : { contentLength: call.contentLength }),
      maxRequestBytes: this.#o.maxRequestBytes,
      rewriteTo: `${this.#o.publicUrl}/proxy/${call.integration}`,
      ...handing,
    })
    if (result.withheld === true && pauseMs !== undefined) return pauseMs
    // The answer is the caller's as it is; that the token was refused is worth a renewal beside it.
    if (result.status === 401 && proven?.wantedNonce() !== true) this.#o.life.refused(principal.org, candidate, renewed?.seq)
    return result
  }

  #admit(principal: KeyPrincipal, { text, asBound }: PresentedKey): Promise<void> | undefined {
    const address = this.#o.clientAddress(this.#request)
    return this.#o.keyGuard.admit(principal, { request: this.#request, address, key: text, asBound })
  }

  /** Undefined while the credential of the target can be used as it stands, which is decided without waiting. */
  #renewed(principal: KeyPrincipal, candidate: ProxyTargetConnection, target: KnownTarget): Promise<RenewedTokens> | undefined {
    return this.#o.life.isUsable(principal.org, candidate, target) ? undefined : this.#o.life.renewed(principal.org, candidate)
  }

  #authenticate(key: string): Promise<KeyPrincipal> {
    return this.#o.authenticator.authenticate(key, this.#o.clientAddress(this.#request))
  }

  /** Everything that can be refused without a look at the database. Gives the headers that may go on. */
  #judge(principal: KeyPrincipal, call: ProxyCall): string[] {
    if (!principal.scopes.has('proxy:call')) {
      throw new CallError('insufficient_scope', 'no proxy:call', { publicDetail: 'The key lacks the scope proxy:call.' })
    }
    if (call.contentLength !== undefined && call.contentLength > this.#o.maxRequestBytes)
      throw new EgressError('request_too_large', 'length')
    return cleanRequestHeaders(this.#request.rawHeaders)
  }

  async #choose(
    target: ProxyTarget,
    wanted: TargetWanted,
  ): Promise<{ candidate: ProxyTargetConnection; provider: string; integration: IntegrationId; policy: CallPolicy }> {
    const [candidate, second] = target.connections
    if (target.integration === undefined || candidate === undefined) {
      if (await this.#o.otherEnvironment(wanted)) {
        throw new CallError('environment_mismatch', 'connection of the other environment', {
          publicDetail: 'The connection belongs to the other environment of this project.',
        })
      }
      throw absent()
    }
    if (second !== undefined) {
      throw new CallError('connection_ambiguous', 'several connections of one user', {
        publicDetail: 'This user has several connections to the integration; name one with Sallyport-Connection.',
      })
    }
    const { id: integration, provider, policy } = target.integration
    return { candidate, provider, integration, policy }
  }

  async #open(principal: KeyPrincipal, { id, credential }: ProxyTargetConnection): Promise<TokenSet> {
    if (credential === null) throw new RefreshError('reconnect_required')
    const { seq, sealed } = credential
    const place = credentialPlace(id, seq)
    const text = this.#o.vault.openCached(principal.org, place, sealed) ?? (await this.#o.vault.open(principal.org, place, sealed))
    return readTokenSet(text)
  }

  #useEvent(
    principal: KeyPrincipal,
    target: ProxyTargetConnection,
    renewed: RenewedTokens | undefined,
    method: string,
    call: ProxyCall,
  ): Parameters<UseLog['use']>[2] {
    return {
      action: 'credential.used',
      actor: nameOf(principal, 'key', principal.keyId),
      target: nameOf(target, 'conn', target.id),
      detail: { request: this.#name, integration: call.integration, method, seq: String(renewed?.seq ?? target.credential?.seq ?? 0) },
    }
  }

  #refuse(error: unknown): void {
    if (hasCode(error, 'client_gone')) {
      this.#record(CLIENT_GONE, 'gateway', 'client_gone', 0, 0)
      return
    }
    lingerOverBody(this.#request, this.#response)
    const problem = sendProblem(this.#response, error, this.#name, {
      ...this.#o.transport.fields,
      ...this.#page,
      ...(this.#standing && fieldsOf(this.#standing)),
    })
    if (problem.code === 'internal') this.#o.logger.error('a call failed', { request: this.#name, error })
    else this.#o.logger.debug('a call was refused', { request: this.#name, code: problem.code, error })
    if (problem.code === 'rate_limited') this.#count(problem.status, 'gateway')
    else this.#record(problem.status, sourceOf(problem.code), problem.code, 0, 0)
  }

  /** The metrics alone, which is all that is kept of a call over the limit: a flood must not fill the database. Gives what the call took, in ms. */
  #count(status: number, source: 'gateway' | 'provider'): number {
    const { provider = 'none' } = this.#trace
    const ms = this.#o.clock.monotonic() - this.#startedAt
    this.#o.metrics.count('http_requests_total', {
      provider,
      method: this.#request.method!,
      status: `${Math.floor(status / 100)}xx`,
      source: status === CLIENT_GONE ? 'client' : source,
    })
    this.#o.metrics.observe('http_request_duration_seconds', { provider }, ms / 1000)
    return ms
  }

  /** Calls without a known caller belong to no organization, and those of an organization's key to no project: neither leaves a record. */
  #record(status: number, source: 'gateway' | 'provider', error: string | null, bytesIn: number, bytesOut: number): void {
    const { principal, call, target } = this.#trace
    const ms = this.#count(status, source)
    if (principal === undefined || principal.project === null) return
    this.#o.useLog.request({
      org: principal.org,
      id: this.#id,
      at: new Date(this.#o.clock.now()),
      project: principal.project,
      environment: principal.environment,
      integrationSlug: call?.integration ?? null,
      connection: target?.id ?? null,
      key: principal.keyId,
      method: this.#request.method!,
      // A path that was refused is not repeated where people read.
      path: call === undefined ? '' : pathOnly(call.path).slice(0, 2048),
      status,
      source,
      error,
      durationUs: Math.round(ms * 1000),
      bytesIn,
      bytesOut,
    } satisfies RequestRecordRow)
  }
}

function answeredCall({ principal, call, headers }: Asked, { candidate, provider, route }: Destination, method: string): AnsweredCall {
  const of = { org: principal.org, connection: candidate.id, generation: candidate.generation, provider }
  return { ...of, method, url: `${route.base.origin}${route.base.basePath}${call.path}`, headers }
}

interface Noted {
  /** Where it points to: what stands there may have been changed. */
  readonly pointers: Headers
  /** No cookie is passed on; an answer that sets one is not kept either. */
  readonly setsCookie: boolean
}

function notedOf(received: ParsedHeaders): Noted {
  const pointers = new Headers()
  for (const name of ['location', 'content-location']) {
    const value = headerText(received, name)
    if (value !== undefined) pointers.set(name, value)
  }
  return { pointers, setsCookie: received[COOKIE] !== undefined }
}

const names = new WeakMap<KeyPrincipal | ProxyTargetConnection, string>()

/** How a caller or a connection is named outside, spelled once for as long as a cache holds it. */
function nameOf<Kind extends 'key' | 'conn'>(owner: KeyPrincipal | ProxyTargetConnection, kind: Kind, id: Uuid<Kind>): string {
  const known = names.get(owner)
  if (known !== undefined) return known
  const name = formatId(kind, id)
  names.set(owner, name)
  return name
}

function wantedBy(principal: KeyPrincipal, call: ProxyCall): TargetWanted {
  const { org, project, environment } = principal
  if (project === null) {
    throw new CallError('insufficient_scope', 'a key of an organization', {
      publicDetail: 'A key of an organization calls nothing: use a key of the project.',
    })
  }
  return {
    org,
    project,
    environment,
    integration: call.integration,
    selector: selectorFor(principal, call.selector),
  }
}

/** A key bound to one connection needs no selector, and gets no other connection whatever it names. */
function selectorFor(principal: KeyPrincipal, named: Selector): Selector {
  if (principal.connection !== null) {
    if (named.endUser !== undefined || (named.connection !== undefined && named.connection !== principal.connection)) throw absent()
    return { connection: principal.connection, endUser: undefined }
  }
  if (named.connection === undefined && named.endUser === undefined) {
    throw new CallError('connection_required', 'no selector', {
      publicDetail: 'Name the connection with Sallyport-Connection or its user with Sallyport-User, or use a key bound to one connection.',
    })
  }
  return named
}

function requireUsable({ status, trouble, credential }: ProxyTargetConnection): void {
  if (status === 'reconnect_required' || status === 'revoked') throw new RefreshError('reconnect_required', trouble)
  if (status !== 'active') {
    throw new CallError('connection_not_ready', `connection is ${status}`, {
      publicDetail:
        status === 'pending'
          ? 'The connection waits for the application to confirm its user (complete the connect session).'
          : 'The user granted fewer scopes than the integration requires; reconnect and grant them all.',
    })
  }
  if (credential === null) throw new RefreshError('reconnect_required')
}

/**
 * Lets a sender whose body was refused read the answer before its connection goes: the rest is discarded for a moment, never kept.
 */
function lingerOverBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) return
  response.once('finish', () => {
    const timer = setTimeout(() => request.socket.destroy(), LINGER_MS)
    request.once('end', () => clearTimeout(timer))
    request.once('close', () => clearTimeout(timer))
  })
}
