/**
 * Owns the path of a call: who calls, what it may do, which credential, out through the door, and what is written down. Nothing on it
 * buffers a body, and with warm caches nothing on it waits for the database. Refuses to hold a credential longer than the call's start.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AnswerSink, cleanRequestHeaders, EgressError, headerText, readTokenSet, RefreshError } from '@sallyport/core'
import type {
  Answer,
  ConnectionId,
  Egress,
  ForwardCall,
  ForwardResult,
  IntegrationId,
  JudgedPath,
  ParsedHeaders,
  Provider,
  TokenSet,
  Tries,
} from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { CallPolicy, ProxyTargetConnection } from '../db/index.ts'
import type { KeyPrincipal } from '../identity/index.ts'
import { credentialPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import type { AnsweredCall, Answers } from './answers.ts'
import { absent, CallError, isProxyUrl, presentedKey, readCall } from './call.ts'
import type { PresentedKey, ProxyCall, Selector } from './call.ts'
import type { CallShares } from './call-shares.ts'
import { nameOf } from './names.ts'
import type { Outbound } from './outbound.ts'
import type { Admitted, ProviderGuard } from './provider-guard.ts'
import type { RouteOut } from './routes-out.ts'
import type { CredentialLife, RenewedTokens } from './credential-life.ts'
import type { KnownTarget, TargetCache, TargetWanted } from './target-cache.ts'
import { createUnderway, Visit } from './visit.ts'
import type { AnswerFields, VisitFacts, VisitOptions } from './visit.ts'

export interface DataPlaneOptions extends VisitOptions {
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
  readonly publicUrl: string
  readonly maxRequestBytes: number
}

export interface DataPlane {
  /** Takes the request when it is the data plane's; false leaves it untouched. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  /** Resolves when no call is under way. */
  idle(): Promise<void>
}

const COOKIE = 'set-cookie'
/** RFC 9110 section 9.2.1. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Rounds of a call whose connection is connected anew while it is under way. */
const ROUNDS = 3

/** The connection was connected anew between two tries: what was kept of the grant before is nothing to the new one. Never seen outside. */
class GrantReplaced extends Error {}

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const underway = createUnderway(options.logger)
  return {
    handle(request, response) {
      if (!isProxyUrl(request.url ?? '')) return false
      underway.begin(() => {
        const visit = new Visit(options, request, response)
        const key = visit.enter(presentedKey)
        return key && new Passage(options, visit).run(key)
      }, response)
      return true
    },
    idle: () => underway.idle(),
  }
}

/** What is known of a call when its record is written. */
interface Trace {
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
  readonly #visit: Visit
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #trace: Trace = {}
  /** What the cache has to know of the provider's answer beside what is passed on; where answers are kept. */
  #noted: Noted | undefined

  constructor(options: DataPlaneOptions, visit: Visit) {
    this.#o = options
    this.#visit = visit
    this.#request = visit.request
    this.#response = visit.response
  }

  async run(key: PresentedKey): Promise<void> {
    try {
      await this.#pass(key)
    } catch (error) {
      this.#visit.refuse(await this.#explained(error), this.#facts())
    }
  }

  async #explained(error: unknown): Promise<unknown> {
    const [{ target }, { principal }] = [this.#trace, this.#visit]
    return principal === undefined || target === undefined ? error : this.#o.explained(error, principal, target.id)
  }

  async #pass(key: PresentedKey): Promise<void> {
    // Only what has to wait is waited for: with warm caches a call runs through to its sending.
    const admitted = this.#visit.admit(key)
    const principal = admitted instanceof Promise ? await admitted : admitted
    const call = readCall(this.#request.url!, this.#request.rawHeaders)
    this.#trace.call = call
    const headers = this.#judge(principal, call)
    const asked: Asked = { principal, call, headers, wanted: wantedBy(principal, call) }
    const going = this.#destination(asked)
    const out = going instanceof Promise ? await going : going
    if (out.policy.cache && this.#request.method === 'GET' && call.contentLength === 0) return await this.#answered(asked, out)
    const { status, aborted, bytesIn, bytesOut } = await this.#sent(asked, out, this.#directly())
    this.#visit.record(this.#facts(), { status, source: 'provider', error: aborted ?? null, bytesIn, bytesOut })
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
    const gone = this.#visit.gone()
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
    const { standing } = this.#visit
    const defaults = [standing?.standard, standing?.older].filter(
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
    this.#visit.record(this.#facts(), { status, source: 'provider', error: cut, bytesIn: bytes, bytesOut: bytes })
  }

  /** Sends the call by as many tries as it takes. What it may have changed is forgotten, where answers are kept. */
  #sent(asked: Asked, first: Destination, handing: Handing): Promise<ForwardResult> {
    const keeps = first.policy.cache && !SAFE.has(this.#request.method!)
    return keeps ? this.#sentChanging(asked, first, handing) : this.#tried(asked, first, handing)
  }

  async #sentChanging(asked: Asked, first: Destination, handing: Handing): Promise<ForwardResult> {
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

  #tried(asked: Asked, first: Destination, handing: Handing): Promise<ForwardResult> {
    const tries = this.#triesOf(asked, first)
    // Without further tries there is no pause before one.
    return tries === undefined
      ? (this.#try(asked, first, handing, tries) as Promise<ForwardResult>)
      : this.#triedAgain(asked, first, handing, tries)
  }

  async #triedAgain(asked: Asked, first: Destination, handing: Handing, tries: Tries): Promise<ForwardResult> {
    try {
      // Anew for each further try: the connection may have ended while this one waited, or its credential been renewed.
      for (let out = first; ; out = await this.#destination(asked)) {
        const came = await this.#try(asked, out, handing, tries)
        if (typeof came !== 'number') return came
        await this.#o.outbound.pause(came, this.#visit.gone())
        if (this.#response.destroyed) throw new EgressError('client_gone', 'connection')
      }
    } finally {
      tries.end()
    }
  }

  /** To the caller, as the provider gives it. */
  #directly(): AnswerFields & Pick<Handing, 'response'> {
    return { response: this.#response, ...this.#visit.answerFields() }
  }

  /** Where the call goes, and with what. @throws CallError, RefreshError */
  #destination(asked: Pick<Asked, 'call' | 'wanted'>): Destination | Promise<Destination> {
    const target = this.#o.targets.peek(asked.wanted)
    return target === undefined ? this.#o.targets.load(asked.wanted).then((read) => this.#found(asked, read)) : this.#found(asked, target)
  }

  #found({ call, wanted }: Pick<Asked, 'call' | 'wanted'>, target: KnownTarget): Destination | Promise<never> {
    const [candidate, second] = target.connections
    if (target.integration === undefined || candidate === undefined) return this.#missing(wanted)
    if (second !== undefined) {
      throw new CallError('connection_ambiguous', 'several connections of one user', {
        publicDetail: 'This user has several connections to the integration; name one with Sallyport-Connection.',
      })
    }
    const { id: integration, provider, policy } = target.integration
    this.#trace.target = candidate
    this.#trace.provider = provider
    requireUsable(candidate)
    const route = this.#o.routes(provider)
    if (route === undefined) throw new CallError('integration_not_configured', `the catalog has no provider ${provider}`)
    if (!route.allows(this.#request.method!, call.path)) {
      throw new CallError('path_refused', 'outside the rules of the integration', {
        publicDetail: 'This method and path, or a query that names another method, are not allowed by the integration.',
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
    const endTurn = limited ? await this.#o.outbound.turn(policy, { ...of, gone: this.#visit.gone() }) : undefined
    let leave: (() => void) | undefined
    let admitted: Admitted | undefined
    try {
      // Behind the queue: who waited while the circuit opened is not sent after all, and who waits takes no connection's place.
      leave = this.#o.shares.enter(principal.org, route.base.origin)
      admitted = this.#o.guard.admit({ ...of, host: route.host, counted: route.counts(this.#request.method!, call.path) })
      return await this.#callOut(asked, out, renewed, handing, admitted, tries)
    } catch (error) {
      // Told in any case, so that a probe of an open circuit ends.
      admitted?.failed(error)
      // A caller that goes away is no failure that another try would mend, and is not taken for one.
      const pauseMs = admitted === undefined ? undefined : tries?.after({ error })
      if (pauseMs === undefined) throw error
      return pauseMs
    } finally {
      leave?.()
      endTurn?.()
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
    const written = this.#o.useLog.use(principal.org, principal.auditUseMode, this.#useEvent(principal, candidate, renewed, method, call))
    if (written !== undefined) await written
    const opened = renewed?.tokens ?? this.#open(principal, candidate)
    const tokens = opened instanceof Promise ? await opened : opened
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

  /** Undefined while the credential of the target can be used as it stands, which is decided without waiting. */
  #renewed(principal: KeyPrincipal, candidate: ProxyTargetConnection, target: KnownTarget): Promise<RenewedTokens> | undefined {
    return this.#o.life.isUsable(principal.org, candidate, target) ? undefined : this.#o.life.renewed(principal.org, candidate)
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

  async #missing(wanted: TargetWanted): Promise<never> {
    if (await this.#o.otherEnvironment(wanted)) {
      throw new CallError('environment_mismatch', 'connection of the other environment', {
        publicDetail: 'The connection belongs to the other environment of this project.',
      })
    }
    throw absent()
  }

  #open(principal: KeyPrincipal, { id, credential }: ProxyTargetConnection): TokenSet | Promise<TokenSet> {
    if (credential === null) throw new RefreshError('reconnect_required')
    const { seq, sealed } = credential
    const place = credentialPlace(id, seq)
    const text = this.#o.vault.openCached(principal.org, place, sealed)
    return text === undefined ? this.#o.vault.open(principal.org, place, sealed).then(readTokenSet) : readTokenSet(text)
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
      detail: {
        request: this.#visit.name,
        integration: call.integration,
        method,
        seq: String(renewed?.seq ?? target.credential?.seq ?? 0),
      },
    }
  }

  #facts(): VisitFacts {
    const { call, target, provider } = this.#trace
    return { provider, integration: call?.integration, connection: target?.id, path: call?.path }
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
