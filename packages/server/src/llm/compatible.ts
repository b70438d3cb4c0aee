/**
 * Owns `/v1/`: OpenAI's requests for the models of every provider, and for named routes over several of them. A provider that speaks OpenAI's words is
 * passed through as it is, but for the usage of streams, which it is always asked for; any other is translated. Refuses in OpenAI's words, and to ask a
 * second provider once a first has begun to answer.
 */
import { cleanRequestHeaders, EgressError, judgePath, recalled, translationFor, TranslationError } from '@sallyport/core'
import type {
  Asked,
  ForwardResult,
  JudgedPath,
  ModelOperation,
  ModelProvider,
  ResponseSink,
  Translation,
  VendorRequest,
} from '@sallyport/core'
import type { FallbackCause, ModelTarget, Place } from '../db/index.ts'
import type { KeyPrincipal } from '../identity/index.ts'
import { CallError, createUnderway, Visit } from '../proxy/index.ts'
import type { DataPlane, PresentedKey, VisitOptions } from '../proxy/index.ts'
import type { Metering, UsageMeter } from '../usage/index.ts'
import type { BodyHolding } from './asked-body.ts'
import { AttemptAnswer } from './attempt-answer.ts'
import type { KeptAnswer, Seen, Verdict } from './attempt-answer.ts'
import { AttemptTime } from './attempt-time.ts'
import { ownKeyFor, presentedModelKey, readModelHeaders } from './call.ts'
import type { ModelHeaders } from './call.ts'
import { isCompatibleUrl, readAsked, requireJson, splitModel, unknownModel, wantedBy } from './compatible-request.ts'
import { causeOf, causeOfStatus, inOrder, walk } from './fallback.ts'
import type { Outcome, Turn } from './fallback.ts'
import { HeldBody } from './held-body.ts'
import { DEFAULT_KEY_NAME } from '../models/index.ts'
import type { KeySettings, ModelCalls, OwnKey } from './model-call.ts'
import type { ModelList } from './model-list.ts'
import type { ModelRoutes } from './model-routes.ts'
import { requireMayCall } from './native.ts'
import { Prompt } from './prompt.ts'
import { refusalIn } from './refusal.ts'
import type { Room } from './room.ts'
import { keptAlive, keptHere } from './sinks.ts'
import { TranslatedAnswer, withoutBody } from './translated-answer.ts'
import { askingForUsage, withoutUsage } from './unasked-usage.ts'

export interface CompatiblePlaneOptions extends VisitOptions {
  readonly calls: ModelCalls
  readonly meter: UsageMeter
  readonly routes: Pick<ModelRoutes, 'of'>
  readonly list: ModelList
  readonly holding: BodyHolding
  /** Of an answer in one piece that is translated. */
  readonly maxAnswerBytes: number
  /** For such answers, of all callers. */
  readonly room: Room
  /** From 0 to 1, without 1. */
  readonly random: () => number
}

export function createCompatiblePlane(options: CompatiblePlaneOptions): DataPlane {
  const underway = createUnderway(options.logger)
  return {
    handle(request, response) {
      if (!isCompatibleUrl(request.url ?? '')) return false
      underway.begin(() => new CompatibleCall(options, new Visit(options, request, response)).begin(), response)
      return true
    },
    idle: () => underway.idle(),
  }
}

/** Who is asked, and how long. */
interface Plan {
  readonly targets: readonly ModelTarget[]
  readonly fallbackOn: ReadonlySet<FallbackCause>
  readonly deadlineMs: number
  /** The route's name; null for a model that was named itself. */
  readonly route: string | null
  readonly ownKey: OwnKey | undefined
}

interface Question {
  readonly operation: ModelOperation
  readonly path: string
  readonly principal: KeyPrincipal
  readonly said: ModelHeaders
  readonly prompt: Prompt
}

/** A question in the words of one provider. Its body goes before the answer does; what is kept here is small. */
interface Said {
  readonly provider: ModelProvider
  /** As the provider names it. */
  readonly model: string
  readonly translation: Translation
  /** See `recalled`. */
  readonly asked: Asked
  /** Bytes of it, where it is not small. */
  readonly recalledBytes: number
  /** The provider is asked for the use of its stream, and the caller did not ask. */
  readonly asksForUsage: boolean
  readonly path: JudgedPath
  /** Flat. */
  readonly headers: readonly string[]
  readonly body: HeldBody
}

/** What a target said in place of an answer, and the way to the caller for it. */
interface Held {
  readonly kept: KeptAnswer
  readonly serve: (status: number, headers: string[], attempts: number) => ResponseSink
  readonly said: Said
}

interface Head {
  readonly status: number
  readonly headers: string[]
  readonly attempts: number
}

interface Failed {
  readonly error: unknown
}

const REFUSAL = refusalIn('openai')

const NOWHERE_ELSE: ReadonlySet<FallbackCause> = new Set()

class CompatibleCall {
  readonly #o: CompatiblePlaneOptions
  readonly #visit: Visit
  #path: string | undefined
  /** The provider that was asked last. */
  #provider: string | undefined

  constructor(options: CompatiblePlaneOptions, visit: Visit) {
    this.#o = options
    this.#visit = visit
  }

  /** Undefined when it was refused at once. */
  begin(): Promise<void> | undefined {
    const key = this.#visit.enter(presentedModelKey, this.#facts(), REFUSAL)
    return key && this.#run(key)
  }

  async #run(key: PresentedKey): Promise<void> {
    try {
      await this.#pass(key)
    } catch (error) {
      this.#visit.refuse(error, this.#facts(), REFUSAL)
    }
  }

  async #pass(key: PresentedKey): Promise<void> {
    const { rawHeaders, url, method, headers } = this.#visit.request
    const principal = await this.#visit.admit(key)
    requireMayCall(principal)
    const said = readModelHeaders(rawHeaders, url!)
    const wanted = wantedBy(method!, url!)
    this.#path = wanted.path
    if ('model' in wanted) return await this.#list(principal, wanted.model)
    requireJson(headers)
    const { operation, path } = wanted
    await this.#o.holding.held(principal.org, this.#visit.request, said.contentLength, (whole, room) =>
      this.#ask({ operation, path, principal, said, prompt: new Prompt(readAsked(whole), room) }),
    )
  }

  async #list(principal: KeyPrincipal, model: string | undefined): Promise<void> {
    const listed = await this.#o.list.of(principal.org, placeOf(principal))
    const shown = model === undefined ? { object: 'list', data: listed } : listed.find(({ id }) => id === model)
    if (shown === undefined) throw unknownModel()
    const body = Buffer.from(JSON.stringify(shown))
    const { response } = this.#visit
    response.writeHead(200, {
      ...this.#visit.ownFields(),
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'sallyport-request-id': this.#visit.name,
      'content-length': body.length,
    })
    response.end(body)
    this.#visit.record(this.#facts(), { status: 200, source: 'gateway', error: null, bytesIn: 0, bytesOut: body.length })
  }

  async #ask(question: Question): Promise<void> {
    const plan = await this.#plan(question)
    const walked = await walk<Held>({
      targets: plan.targets,
      fallbackOn: plan.fallbackOn,
      deadlineMs: plan.deadlineMs,
      now: () => this.#o.clock.monotonic(),
      ask: async (turn) => this.#counted(plan, turn, await this.#turn(question, plan, turn)),
    })
    if (walked.served) return
    const { serve, said, ...held } = walked.answer
    const kept = withSomeBody(held.kept, said)
    this.#provider = said.provider.id
    const to = serve(kept.status, kept.headers, walked.attempts)
    if (kept.body.length > 0) to.write(kept.body)
    to.end()
    const { length } = kept.body
    this.#visit.record(this.#facts(), { status: kept.status, source: 'provider', error: null, bytesIn: length, bytesOut: length })
  }

  /** @throws AskedError for a model that is not there; CallError for a key that would reach more than one provider */
  async #plan({ prompt: { asked }, said, principal }: Question): Promise<Plan> {
    const named = splitModel(asked.model)
    if (named !== undefined) return this.#direct(named, said)
    const routes = this.#o.routes.of(principal.org, placeOf(principal))
    const route = (routes instanceof Promise ? await routes : routes).get(asked.model)
    if (route === undefined) throw unknownModel()
    if (said.keyName !== DEFAULT_KEY_NAME) throw new CallError('bad_request', 'a key name for a route', { publicDetail: KEYS_OF_A_ROUTE })
    const providers = new Set(route.targets.map(({ provider }) => provider))
    // One caller's key goes to one provider, and to no other that a route may ask.
    if (said.own !== undefined && providers.size > 1)
      throw new CallError('bad_request', 'an own key for several providers', { publicDetail: ONE_KEY_ONE_PROVIDER })
    const [first] = [...providers].flatMap((id) => this.#o.calls.providers.get(id) ?? [])
    return {
      targets: inOrder(route, this.#o.random),
      fallbackOn: new Set(route.fallbackOn),
      deadlineMs: route.deadlineMs,
      route: route.name,
      ownKey: first === undefined ? undefined : ownKeyFor(first, said.own),
    }
  }

  #direct({ provider: id, model }: { readonly provider: string; readonly model: string }, said: ModelHeaders): Plan {
    const provider = this.#o.calls.providers.get(id)
    if (provider === undefined || !MODEL.test(model)) throw unknownModel()
    const target = { provider: id, model, keyName: said.keyName, weight: 1, firstByteTimeoutMs: null }
    return { targets: [target], fallbackOn: NOWHERE_ELSE, deadlineMs: Infinity, route: null, ownKey: ownKeyFor(provider, said.own) }
  }

  #counted({ route }: Plan, { target: { provider } }: Turn, outcome: Outcome<Held>): Outcome<Held> {
    if (outcome.served || route === null) return outcome
    const { cause } = outcome
    this.#o.metrics.count('sallyport_model_fallbacks_total', { provider, outcome: cause })
    this.#o.logger.debug('a target of a route did not answer', { request: this.#visit.name, provider, cause })
    return outcome
  }

  async #turn(question: Question, plan: Plan, turn: Turn): Promise<Outcome<Held>> {
    const provider = this.#o.calls.providers.get(turn.target.provider)
    // It was known when the route was made.
    if (provider === undefined) return { served: false, cause: 'no_key', error: unknownModel() }
    let said: Said
    try {
      const settings = await this.#settings(question, plan, turn, provider)
      said = inWordsOf(provider, question, turn.target, { settings, rawHeaders: this.#visit.request.rawHeaders })
    } catch (error) {
      const cause = error instanceof TranslationError ? 'unsayable' : causeOf(error)
      if (cause === undefined) throw error
      return { served: false, cause, error }
    }
    return this.#attempt(question, plan, turn, said)
  }

  /** Of the key that goes out, where the words of its provider may depend on them. */
  #settings({ principal }: Question, { ownKey }: Plan, { target: { keyName } }: Turn, provider: ModelProvider) {
    const asked = Object.keys(provider.optionalSettings).length > 0
    return asked ? this.#o.calls.settingsOf({ principal, provider, ownKey, keyName }) : undefined
  }

  async #attempt(question: Question, plan: Plan, turn: Turn, said: Said): Promise<Outcome<Held>> {
    const metering = await this.#metering(question, plan, turn, said)
    this.#provider = said.provider.id
    const time = new AttemptTime(turn.withinMs, this.#visit.gone(), { isRest: turn.withinMs !== turn.target.firstByteTimeoutMs })
    const serve: Held['serve'] = (status, headers, attempts) => this.#serve(question, said, { status, headers, attempts }, time)
    const needed = neededBy(question, turn, said)
    const answer = new AttemptAnswer({
      judge: (status, headers) => verdictOn(status, headers, turn, plan),
      look: beginningOf(said, plan),
      giveUp: () => time.abandon(),
      serve: (status, headers) => {
        needed.decided()
        time.over()
        return serve(status, headers, turn.attempt)
      },
    })
    const became = await this.#sent(question, plan, turn, said, { answer, metering, time }).finally(() => {
      time.over()
      said.body.letGo()
    })
    if (answer.served) {
      this.#record(became as ForwardResult, time)
      return { served: true }
    }
    time.requireCaller()
    if (answer.kept !== undefined) {
      const cause = causeOfStatus(answer.failure!) ?? 'server_error'
      return { served: false, cause, answer: { kept: answer.kept, serve, said } }
    }
    const error = time.isLate ? new EgressError('upstream_timeout', 'first byte', true) : failureIn(became)
    const cause = causeOf(error)
    if (cause === undefined) throw error
    return { served: false, cause, error }
  }

  /** What became of it, a failure before its head included. */
  async #sent(
    { principal }: Question,
    { ownKey }: Plan,
    { target }: Turn,
    said: Said,
    { answer, metering, time }: { readonly answer: AttemptAnswer; readonly metering: Metering; readonly time: AttemptTime },
  ): Promise<ForwardResult | Failed> {
    try {
      return await this.#o.calls.send({
        principal,
        request: this.#visit.id,
        provider: said.provider,
        ownKey,
        keyName: target.keyName,
        method: 'POST',
        path: said.path,
        headers: said.headers,
        body: said.body,
        metering,
        handing: { ...this.#visit.answerFields(), response: answer },
        signal: time.signal,
      })
    } catch (error) {
      return { error }
    }
  }

  #record({ status, aborted, bytesIn, bytesOut }: ForwardResult, time: AttemptTime): void {
    const error = time.isAbandoned ? 'upstream_invalid' : (aborted ?? null)
    this.#visit.record(this.#facts(), { status, source: 'provider', error, bytesIn, bytesOut })
  }

  #serve({ operation, principal, said: { keepaliveMs } }: Question, said: Said, head: Head, time: AttemptTime): ResponseSink {
    const { request, response } = this.#visit
    const here = keptHere(response, { own: ANYWHERE_BUT_THERE, isBearer: request.headers.authorization !== undefined })
    const alive = keepaliveMs === undefined ? here : keptAlive(here, keepaliveMs)
    const { translation, asked, provider, asksForUsage } = said
    const [most, abandon] = [this.#o.maxAnswerBytes, () => time.abandon()]
    const room = {
      enter: (bytes: number) => this.#o.room.enter(principal.org, bytes),
      leave: (bytes: number) => this.#o.room.leave(principal.org, bytes),
    }
    const untouched = translation.native && (head.status < 400 || saysErrorsInOpenAisForm(provider))
    const to = untouched
      ? asksForUsage
        ? withoutUsage(alive)
        : alive
      : new TranslatedAnswer(alive, { translation, operation, asked, most, room, abandon })
    const own = ['sallyport-served-by', `${provider.id}/${said.model}`, 'sallyport-attempts', String(head.attempts)]
    to.writeHead(head.status, [...head.headers, ...own])
    return to
  }

  async #metering(
    { operation, principal, said, prompt: { asked } }: Question,
    { route }: Plan,
    { target }: Turn,
    { provider, path, body }: Said,
  ): Promise<Metering> {
    const begun = this.#o.meter.begin({
      principal,
      request: this.#visit.id,
      provider,
      method: 'POST',
      path,
      route,
      endUser: said.endUser,
      model: target.model,
      maxOutputTokens: mostWritten(asked, operation),
      answers: answersIn(asked),
      background: asked['background'] === true,
      bodyBytes: body.length,
    })
    return begun instanceof Promise ? await begun : begun
  }

  #facts() {
    return { provider: this.#provider, modelProvider: this.#provider, path: this.#path }
  }
}

/** No URL of a provider is one of ours here, since none is rewritten. */
const ANYWHERE_BUT_THERE = 'https://gateway.invalid'
/** A model that a header of the answer can name. */
const MODEL = /^[!-~]{1,200}$/u
const KEYS_OF_A_ROUTE = 'A route names the keys of its targets: leave Sallyport-Provider-Key-Name out.'
const ONE_KEY_ONE_PROVIDER =
  'This route may ask several providers: your own key is for one. Name a model as provider/model, or leave the key out.'

/** @throws CallError `insufficient_scope` for a key of an organization, which calls nothing */
function placeOf({ project, environment }: KeyPrincipal): Place {
  if (project !== null) return { project, environment }
  throw new CallError('insufficient_scope', 'a key of an organization', {
    publicDetail: 'A key of an organization calls nothing: use a key of the project.',
  })
}

/** Lets go of the prompt once no other target can be asked and this one has been sent what it was. */
function neededBy({ prompt }: Question, { isLast }: Turn, { body, recalledBytes }: Said): { decided(): void } {
  let [isDecided, isSent] = [isLast, false]
  const look = (): void => {
    if (isDecided && isSent) prompt.letGo(recalledBytes)
  }
  body.whenGone(() => {
    isSent = true
    look()
  })
  return {
    decided() {
      isDecided = true
      look()
    },
  }
}

/** All that can be refused of it, before anything is set aside for it. @throws TranslationError; EgressError `path_refused`, `header_refused` */
function inWordsOf(
  provider: ModelProvider,
  { operation, prompt }: Question,
  { model }: ModelTarget,
  { settings, rawHeaders }: { readonly settings: KeySettings | undefined; readonly rawHeaders: readonly string[] },
): Said {
  const translation = translationFor(provider, { operation, ...(settings && { settings }) })
  const wanted = { ...prompt.asked, model }
  const more = translation.native && operation === 'chat' ? askingForUsage(wanted, provider) : undefined
  const asked = more ?? wanted
  const request = translation.request(asked)
  const headers = headersFor(rawHeaders, { provider, translation, asked, request })
  const kept = recalled(asked, { operation, translation })
  return {
    provider,
    model,
    translation,
    asked: kept,
    recalledBytes: operation === 'chat' || translation.native ? 0 : writtenOut(kept).length,
    asksForUsage: more !== undefined,
    path: judgePath(request.path),
    headers,
    body: new HeldBody(writtenOut(request.body)),
  }
}

/** Arguments of calls come as texts, and are read for some: those too can be nested too deeply. @throws TranslationError */
function writtenOut(body: object): Buffer {
  try {
    return Buffer.from(JSON.stringify(body))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new TranslationError('invalid_value', null, 'The request is nested too deeply.')
  }
}

/**
 * An answer for which another target is asked is kept; one that another could still be asked for is the caller's once it has begun to say something,
 * since some vendors send a head at once and fail after it.
 */
function verdictOn(status: number, headers: readonly string[], { isLast }: Turn, { fallbackOn }: Plan): Verdict {
  if (isLast) return 'serve'
  // A page, of whatever stands before the provider: no model answers so.
  if (status === 200 && isPage(headers)) return fallbackOn.has('server_error') ? 'keep' : 'serve'
  const cause = causeOfStatus(status)
  if (cause !== undefined) return fallbackOn.has(cause) ? 'keep' : 'serve'
  return status === 200 && (fallbackOn.has('timeout') || fallbackOn.has('server_error')) ? 'hold' : 'serve'
}

function isPage(headers: readonly string[]): boolean {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type')
  return at >= 0 && /^text\/html\s*(?:;|$)/iu.test(headers[at + 1]!)
}

/** In place of a refusal of which the head alone was kept: its status in OpenAI's words, with the head's own word of when to come back. */
function withSomeBody({ status, headers, body }: KeptAnswer, { translation, asked }: Said): KeptAnswer & { readonly body: Buffer } {
  if (body !== undefined) return { status, headers, body }
  const own = ['content-type', 'application/json; charset=utf-8']
  // What is translated gets its words on the way.
  if (!translation.native) return { status, headers: withoutBody(headers), body: Buffer.alloc(0) }
  const said = translation.answer(status, undefined, asked)
  return { status: said.status, headers: [...withoutBody(headers), ...own], body: Buffer.from(JSON.stringify(said.body)) }
}

/** Sees whether an answer begins as one. Streams alone can begin with a failure. */
function beginningOf({ translation, asked }: Said, { fallbackOn }: Plan): (piece: Buffer) => Seen {
  if (asked['stream'] !== true) return () => 'answer'
  // For a look alone: what the caller gets is read anew.
  const stream = translation.stream(asked)
  return (piece) => {
    const items = stream.push(piece)
    const failure = stream.failure?.status
    if (failure === undefined) return items.length === 0 ? 'more' : 'answer'
    const cause = causeOfStatus(failure)
    return cause !== undefined && fallbackOn.has(cause) ? { failure } : 'answer'
  }
}

/** Of an attempt whose answer nobody has: it broke off while it was held or kept, or never came. */
function failureIn(became: ForwardResult | Failed): unknown {
  if ('error' in became) return became.error
  const { aborted } = became
  // Larger than a refusal needs, which was our end of it.
  return new EgressError(aborted === undefined || aborted === 'client_gone' ? 'upstream_invalid' : aborted, 'held', true)
}

/** Whether OpenAI's clients find what went wrong where this provider's errors say it. */
function saysErrorsInOpenAisForm({ errors }: ModelProvider): boolean {
  return errors === undefined || errors.message.join('.') === 'error.message'
}

/** What OpenAI's clients say of themselves to OpenAI. */
const OPENAI_OWN = /^openai-/u
/** What goes to a provider in whose words the request was put. */
const ANYWHERE: ReadonlySet<string> = new Set(['user-agent', 'accept-encoding', 'accept-language'])

/** Flat. The request's own are about its body, and its words. */
function headersFor(
  rawHeaders: readonly string[],
  { provider, translation, asked, request }: Pick<Said, 'provider' | 'translation' | 'asked'> & { readonly request: VendorRequest },
): string[] {
  const cleaned = cleanRequestHeaders(rawHeaders, REPLACED)
  const sent: string[] = []
  for (let at = 0; at + 1 < cleaned.length; at += 2) {
    const name = cleaned[at]!
    const goes = translation.native ? provider.id === 'openai' || !OPENAI_OWN.test(name) : ANYWHERE.has(name)
    if (goes) sent.push(name, cleaned[at + 1]!)
  }
  const accept = asked['stream'] === true ? 'text/event-stream, application/json' : 'application/json'
  return [...sent, 'content-type', 'application/json', 'accept', accept, ...Object.entries(request.headers).flat()]
}
const REPLACED: ReadonlySet<string> = new Set(['content-type', 'content-encoding', 'accept'])

/** The most that the caller lets the model write; undefined where nothing is said. */
function mostWritten(asked: Asked, operation: ModelOperation): number | undefined {
  const most = Math.max(0, ...LIMITS[operation].map((name) => asked[name]).filter(isCount))
  return most === 0 ? undefined : most * answersIn(asked)
}

/** What bounds nothing in the one may be said all the same, and many a provider passes over it. */
const LIMITS: Readonly<Record<ModelOperation, readonly string[]>> = {
  chat: ['max_completion_tokens', 'max_tokens'],
  responses: ['max_output_tokens'],
  embeddings: [],
}

function answersIn(asked: Asked): number {
  return isCount(asked['n']) ? Math.max(1, asked['n']) : 1
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
