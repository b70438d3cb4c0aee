/**
 * Owns one call to a provider's API in a user's name: through the pipeline, with a fresh token that is put in last. Refuses URLs (a path under the
 * API is all a caller may name), and to give a user what was kept of another grant of theirs.
 */
import { Readable } from 'node:stream'
import { providerRoute } from '../catalog/index.ts'
import type { ProviderRoute } from '../catalog/index.ts'
import { cleanRequestHeaders, EgressError, judgePath } from '../http/index.ts'
import type { JudgedPath, OriginPolicy } from '../http/index.ts'
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { composePipeline, discard, isReplayable } from '../pipeline/index.ts'
import type { Answer, Call } from '../pipeline/index.ts'
import { RefreshError } from '../refresh/index.ts'
import type { CredentialRef, CredentialStore } from '../tokens/index.ts'
import { ProviderAnswer } from './answer.ts'
import { CallGrant, GrantReplaced } from './call-grant.ts'
import type { CallPolicies } from './call-policies.ts'
import type { ConfiguredProvider } from './config.ts'
import type { CallCredential, Credentials } from './credentials.ts'
import { SdkError } from './errors.ts'
import type { ConnectionName } from './events.ts'
import type { Sending } from './sending.ts'

/** A call of the provider's API in the name of a user. */
export interface ApiRequest extends ConnectionName {
  /** `GET` when absent. */
  readonly method?: string
  /** Under the provider's API, beginning with `/`; may have a query. */
  readonly path: string
  /** Added to the path's query. */
  readonly query?: Readonly<Record<string, string | number | boolean>> | URLSearchParams
  /** Credentials, cookies and headers about the connection are dropped. */
  readonly headers?: Readonly<Record<string, string>>
  /** A stream is sent once: no retry, and none after a 401. */
  readonly body?: string | Uint8Array | URLSearchParams | Readable
  /** Sent as JSON, in place of `body`. */
  readonly json?: unknown
  /** A POST that changes nothing, such as a search: it is repeated as a GET is, and drops nothing of what is kept. */
  readonly reads?: boolean
  readonly signal?: AbortSignal
}

export interface CallingParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly policies: CallPolicies
  readonly credentials: Pick<Credentials, 'fresh'>
  readonly store: Pick<CredentialStore, 'read'>
  readonly sending: Sending
  readonly origins: OriginPolicy
  /** Of a call with all its tries and waiting. Milliseconds. */
  readonly deadlineMs: number
  readonly clock: Clock
}

interface Prepared {
  readonly provider: ConfiguredProvider
  readonly route: ProviderRoute
  readonly ref: CredentialRef
  readonly path: JudgedPath
  readonly signal: AbortSignal | undefined
  readonly call: Omit<Call, 'generation'>
}

const FORM = /^application\/x-www-form-urlencoded\s*(?:;|$)/iu
/** The one owner of all calls of an SDK. Processes on one Redis share what they keep under it. */
export const SDK_OWNER = 'sdk'
/** How often a call begins anew because its user connected again meanwhile. */
const ROUNDS = 3

export class Calling {
  readonly #parts: CallingParts
  readonly #routes = new WeakMap<ConfiguredProvider, ProviderRoute>()

  constructor(parts: CallingParts) {
    this.#parts = parts
  }

  async request(request: ApiRequest): Promise<ProviderAnswer> {
    const prepared = this.#prepared(request)
    for (let round = 1; ; round++) {
      try {
        return await this.#run(prepared)
      } catch (error) {
        request.signal?.throwIfAborted()
        if (!(error instanceof GrantReplaced)) throw error
        if (round === ROUNDS) throw new RefreshError('refresh_pending')
      }
    }
  }

  #prepared(request: ApiRequest): Prepared {
    const { provider: scope, userId: id, signal } = request
    const provider = this.#parts.provider(scope)
    const route = this.#routeTo(provider)
    const method = (request.method ?? 'GET').toUpperCase()
    const path = judgePath(withQuery(request.path, request.query))
    if (!route.allows(method, path)) {
      throw new SdkError('path_outside_rules', `the record of ${provider.record.id} does not let this call out`)
    }
    const { type, body } = bodyOf(request)
    const counted = route.counts(method, path)
    const call = {
      method,
      url: `${route.base.origin}${route.base.basePath}${path}`,
      headers: headersOf(route, request.headers ?? {}, type),
      body,
      deadline: this.#parts.clock.monotonic() + this.#parts.deadlineMs,
      owner: SDK_OWNER,
      integration: scope,
      provider: scope,
      connection: id,
      ...(request.reads === undefined ? {} : { reads: request.reads }),
      ...(signal === undefined ? {} : { signal }),
      ...(counted === undefined ? {} : { counted }),
    }
    return { provider, route, ref: { scope, id }, path, signal, call }
  }

  #routeTo(provider: ConfiguredProvider): ProviderRoute {
    const known = this.#routes.get(provider)
    if (known !== undefined) return known
    const route = providerRoute(provider.record, this.#parts.origins)
    this.#routes.set(provider, route)
    return route
  }

  async #run(prepared: Prepared): Promise<ProviderAnswer> {
    const { policies } = this.#parts
    const grant = await CallGrant.of(this.#parts, prepared.provider, prepared.ref, prepared.signal)
    const send = composePipeline(policies.of(prepared.provider.name), (call) => this.#authorized(prepared, grant, call))
    const answer = await send({ ...prepared.call, generation: grant.generation })
    return new ProviderAnswer(answer, grant.warnings)
  }

  /** One try; a second one with a renewed credential when the first was refused for it, or with the same one for want of a nonce. */
  async #authorized(prepared: Prepared, grant: CallGrant, call: Call): Promise<Answer> {
    const credential = await grant.credential(call.signal)
    const { answer, wantedNonce } = await this.#sent(prepared, credential, call)
    if (answer.status !== 401 || !isReplayable(call)) return answer
    if (wantedNonce) {
      // The nonce came with the refusal, and nothing was done. The door repeats such a call by itself when it has no body.
      if (call.body === null) return answer
      await discard(answer)
      return (await this.#sent(prepared, credential, call)).answer
    }
    let renewed: CallCredential
    try {
      renewed = await grant.renewed(credential, call.signal)
    } catch (error) {
      // The provider's own word stands, unless it is known what the person has to do.
      if (!hasCode(error, 'reconnect_required') && !(error instanceof GrantReplaced)) return answer
      await discard(answer)
      throw error
    }
    if (renewed.seq === credential.seq && renewed.unsaved === credential.unsaved) return answer
    await discard(answer)
    return (await this.#sent(prepared, renewed, call)).answer
  }

  /** The credential goes in right before the try: a signature holds for minutes. */
  async #sent(
    { route, path, signal }: Prepared,
    credential: CallCredential,
    call: Call,
  ): Promise<{ readonly answer: Answer; readonly wantedNonce: boolean }> {
    const { parts, wantedNonce } = credential.authorize(route, { method: call.method, path, form: formOf(call) })
    const answer = await this.#parts.sending.send(call, { base: route.base, path, ...parts }, signal)
    return { answer, wantedNonce: wantedNonce() }
  }
}

function withQuery(path: string, query: ApiRequest['query']): string {
  if (!path.startsWith('/')) throw new EgressError('path_refused', 'form')
  if (query === undefined) return path
  const entries =
    query instanceof URLSearchParams ? [...query] : Object.entries(query).map(([name, value]): [string, string] => [name, String(value)])
  const added = new URLSearchParams(entries).toString()
  return added === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${added}`
}

/** Cleaned; the record's own where the caller sends none. */
function headersOf(route: ProviderRoute, given: Readonly<Record<string, string>>, type: string | undefined): Headers {
  const headers = new Map(type === undefined ? [] : [['content-type', type]])
  for (const [name, value] of Object.entries(given)) headers.set(name.toLowerCase(), value)
  const flat = cleanRequestHeaders(route.withDefaults([...headers].flat()))
  const cleaned = new Headers()
  for (let i = 0; i + 1 < flat.length; i += 2) cleaned.append(flat[i]!, flat[i + 1]!)
  return cleaned
}

function bodyOf({ body, json }: ApiRequest): { readonly type?: string; readonly body: Uint8Array | Readable | null } {
  if (json !== undefined && body !== undefined) throw new SdkError('argument_invalid', 'a request has "body" or "json", not both')
  if (json !== undefined) return { type: 'application/json', body: Buffer.from(JSON.stringify(json), 'utf8') }
  if (body === undefined) return { body: null }
  if (body instanceof URLSearchParams) return { type: 'application/x-www-form-urlencoded', body: Buffer.from(body.toString(), 'utf8') }
  return { body: typeof body === 'string' ? Buffer.from(body, 'utf8') : body }
}

/** The text of a body that is a whole form, which some credentials sign. */
function formOf({ headers, body }: Call): string | undefined {
  if (!(body instanceof Uint8Array) || !FORM.test(headers.get('content-type') ?? '')) return undefined
  return Buffer.from(body).toString('utf8')
}
