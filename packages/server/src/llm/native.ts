/**
 * Owns `/llm/{provider}/{path}`: a vendor's own client with another base address and a gateway key. The body goes up and the answer comes down as they are, both
 * streamed. Refuses in the vendor's words.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { cleanRequestHeaders } from '@sallyport/core'
import type { Dialect, ForwardResult, JudgedPath, ModelProvider } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'
import { CallError, createUnderway, Visit } from '../proxy/index.ts'
import type { DataPlane, PresentedKey, Refusal, VisitOptions } from '../proxy/index.ts'
import type { Metering, UsageMeter } from '../usage/index.ts'
import { asked as askedOf, tooLarge } from './asked-body.ts'
import type { AskedBody, BodyHolding } from './asked-body.ts'
import { isNativeUrl, nativePath, ownKeyFor, presentedModelKey, providerIn, readModelHeaders, unknownProvider } from './call.ts'
import type { ModelHeaders } from './call.ts'
import { HeldBody } from './held-body.ts'
import type { ModelCalls, OwnKey } from './model-call.ts'
import { refusalIn } from './refusal.ts'
import { keptAlive, keptHere } from './sinks.ts'

export interface NativePlaneOptions extends VisitOptions {
  readonly calls: ModelCalls
  readonly meter: UsageMeter
  readonly holding: BodyHolding
  readonly publicUrl: string
  /** Of a body that passes through. */
  readonly maxStreamedBytes: number
}

export function createNativePlane(options: NativePlaneOptions): DataPlane {
  const underway = createUnderway(options.logger)
  return {
    handle(request, response) {
      if (!isNativeUrl(request.url ?? '')) return false
      underway.begin(() => new NativeCall(options, new Visit(options, request, response)).begin(), response)
      return true
    },
    idle: () => underway.idle(),
  }
}

/** In whose words a client is answered that asks for a provider that nobody knows. */
const USUAL: Dialect = 'openai'

/** Who asks for what, with whose key. */
interface Wanted {
  readonly principal: KeyPrincipal
  readonly provider: ModelProvider
  readonly asked: ModelHeaders
  readonly ownKey: OwnKey | undefined
  /** Those that may go on. */
  readonly headers: readonly string[]
}

class NativeCall {
  readonly #o: NativePlaneOptions
  readonly #visit: Visit
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #named: ReturnType<typeof providerIn>
  readonly #provider: ModelProvider | undefined
  #path: JudgedPath | undefined

  constructor(options: NativePlaneOptions, visit: Visit) {
    this.#o = options
    this.#visit = visit
    this.#request = visit.request
    this.#response = visit.response
    this.#named = providerIn(visit.request.url!)
    this.#provider = this.#named.id === undefined ? undefined : options.calls.providers.get(this.#named.id)
  }

  /** Undefined when it was refused at once. */
  begin(): Promise<void> | undefined {
    const key = this.#visit.enter(presentedModelKey, this.#facts(), this.#refusal())
    return key && this.#run(key)
  }

  async #run(key: PresentedKey): Promise<void> {
    try {
      await this.#pass(key)
    } catch (error) {
      this.#visit.refuse(error, this.#facts(), this.#refusal())
    }
  }

  #refusal(): Refusal {
    return refusalIn(this.#provider?.dialect ?? USUAL)
  }

  async #pass(key: PresentedKey): Promise<void> {
    const { rawHeaders, url } = this.#request
    // Only what has to wait is waited for.
    const admitted = this.#visit.admit(key)
    const principal = admitted instanceof Promise ? await admitted : admitted
    requireMayCall(principal)
    const asked = readModelHeaders(rawHeaders, url!)
    const provider = this.#provider
    if (provider === undefined) throw unknownProvider()
    this.#path = nativePath(url!, this.#named)
    const ownKey = ownKeyFor(provider, asked.own)
    const headers = cleanRequestHeaders(rawHeaders)
    const call = { principal, provider, asked, ownKey, headers }
    const result = await this.#withBody(principal, asked, (body) => this.#sent(call, body))
    const { status, aborted, bytesIn, bytesOut } = result
    this.#visit.record(this.#facts(), { status, source: 'provider', error: aborted ?? null, bytesIn, bytesOut })
  }

  async #sent({ principal, provider, asked, ownKey, headers }: Wanted, { body, ...known }: AskedBody): Promise<ForwardResult> {
    const begun = this.#metering(principal, provider, asked, known)
    const metering = begun instanceof Promise ? await begun : begun
    return await this.#o.calls.send({
      principal,
      request: this.#visit.id,
      provider,
      ownKey,
      keyName: asked.keyName,
      method: this.#request.method!,
      path: this.#path!,
      headers,
      body,
      contentLength: asked.contentLength,
      metering,
      handing: this.#handing(provider, asked),
    })
  }

  /** As it stands, or where something of it must be known before the call, read beforehand. */
  async #withBody<T>(principal: KeyPrincipal, { contentLength }: ModelHeaders, work: (body: AskedBody) => Promise<T>): Promise<T> {
    const { maxStreamedBytes } = this.#o
    if (contentLength !== undefined && contentLength > maxStreamedBytes) throw tooLarge('streamed', maxStreamedBytes)
    if (contentLength === 0) return await work({ body: null, bytes: 0 })
    const { method, headers } = this.#request
    const wanted = this.#o.meter.wantsBody({ principal, method: method!, path: this.#path!, type: headers['content-type'] })
    if (!(wanted instanceof Promise ? await wanted : wanted)) return await work({ body: this.#request, bytes: contentLength })
    return await this.#o.holding.held(principal.org, this.#request, contentLength, (whole, room) =>
      work({ ...askedOf(whole, this.#path!), body: new HeldBody(whole).whenGone(() => room.leave()) }),
    )
  }

  #metering(
    principal: KeyPrincipal,
    provider: ModelProvider,
    asked: ModelHeaders,
    body: Omit<AskedBody, 'body'>,
  ): Metering | Promise<Metering> {
    return this.#o.meter.begin({
      principal,
      request: this.#visit.id,
      method: this.#request.method!,
      provider,
      path: this.#path!,
      route: null,
      endUser: asked.endUser,
      model: body.model,
      maxOutputTokens: body.maxOutputTokens,
      answers: body.answers,
      background: body.background,
      opaque: body.opaque,
      bodyBytes: body.bytes,
    })
  }

  #handing(provider: ModelProvider, { keepaliveMs }: ModelHeaders) {
    const own = `${this.#o.publicUrl}/llm/${provider.id}`
    const here = keptHere(this.#response, { own, isBearer: this.#request.headers.authorization !== undefined })
    return {
      response: keepaliveMs === undefined ? here : keptAlive(here, keepaliveMs),
      ...this.#visit.answerFields(),
      rewriteTo: own,
    }
  }

  #facts() {
    const provider = this.#provider?.id
    return { provider, modelProvider: provider, path: this.#path }
  }
}

/** Asked on every route of models. @throws CallError `insufficient_scope`, `forbidden` */
export function requireMayCall(principal: KeyPrincipal): void {
  if (!principal.scopes.has('llm:call'))
    throw new CallError('insufficient_scope', 'no llm:call', { publicDetail: 'The key lacks the scope llm:call.' })
  if (principal.connection !== null)
    throw new CallError('forbidden', 'a key of one connection', {
      publicDetail: 'A key that is bound to one connection calls nothing else.',
    })
}
