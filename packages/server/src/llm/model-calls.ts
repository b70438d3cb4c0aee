/**
 * Owns the way of a model call out: whose key, whether its provider is to be asked now, the use on record, the key opened, the call sent, its use told. Nothing
 * on it buffers an answer. Refuses to hold a key longer than the call's start, and to send a caller's key and a kept one to the same call.
 */
import type { Readable } from 'node:stream'
import {
  authorizeModelCall,
  EgressError,
  formatId,
  hasCode,
  leavesAccount,
  modelBase,
  needsWholeBody,
  parseApiBase,
  withinAccount,
} from '@sallyport/core'
import type {
  AccessTokens,
  ApiBase,
  Clock,
  Egress,
  ForwardResult,
  ModelAuthorization,
  ModelProvider,
  OriginPolicy,
  ProviderKeyId,
  Secret,
} from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { KeyPrincipal } from '../identity/index.ts'
import type { KnownKeys, KeptKeys } from '../models/index.ts'
import { CallError, nameOf } from '../proxy/index.ts'
import type { CallShares } from '../proxy/index.ts'
import { providerKeyPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import { tooLarge } from './asked-body.ts'
import type { BodyHolding } from './asked-body.ts'
import { HeldBody } from './held-body.ts'
import type { KeySettings, ModelCall, ModelCalls } from './model-call.ts'
import type { ModelGuard } from './model-guard.ts'
import { tapped } from './sinks.ts'

export interface ModelCallsOptions {
  /** With what the operator declared. */
  readonly providers: readonly ModelProvider[]
  readonly keptKeys: Pick<KeptKeys, 'of'>
  readonly vault: Pick<Vault, 'open' | 'openCached'>
  readonly egress: Pick<Egress, 'forward'>
  readonly origins: OriginPolicy
  readonly shares: CallShares
  readonly guard: ModelGuard
  /** Of service accounts. */
  readonly tokens: AccessTokens
  /** Of bodies that must be held whole. */
  readonly holding: BodyHolding
  readonly useLog: Pick<UseLog, 'use'>
  readonly clock: Clock
  /** Of a body that passes through. */
  readonly maxStreamedBytes: number
}

/** Whose key a call goes out with: the caller's own, or one that is kept. */
type ChosenKey =
  | { readonly settings: Readonly<Record<string, string>>; readonly own: Secret }
  | { readonly settings: Readonly<Record<string, string>>; readonly id: ProviderKeyId; readonly sealed: Buffer }

/** What a key is chosen by. */
type Chooser = Pick<ModelCall, 'principal' | 'provider' | 'ownKey' | 'keyName'>

/** Where calls go, with the port that is not the scheme's own. */
interface Base extends ApiBase {
  readonly host: string
}

export function createModelCalls(options: ModelCallsOptions): ModelCalls {
  return new Departures(options)
}

class Departures implements ModelCalls {
  readonly providers: ReadonlyMap<string, ModelProvider>
  readonly #o: ModelCallsOptions
  /** By the text that a provider and its settings make: few, since settings are of kept keys, or judged. */
  readonly #bases = new Map<string, Base>()

  constructor(options: ModelCallsOptions) {
    this.#o = options
    this.providers = new Map(options.providers.map((provider) => [provider.id, provider]))
  }

  async settingsOf(call: Chooser): Promise<KeySettings> {
    return (await this.#chosen(call)).settings
  }

  async send(call: ModelCall): Promise<ForwardResult> {
    let left = false
    try {
      const chosen = this.#chosen(call)
      const key = chosen instanceof Promise ? await chosen : chosen
      if (!('own' in key) && leavesAccount(call.provider, call.path)) throw elsewhere()
      const base = this.#baseOf(call.provider, key.settings)
      const leave = this.#o.shares.enter(call.principal.org, base.origin)
      try {
        const result = await this.#held(call, (whole) => this.#guarded(whole, key, base, () => (left = true)))
        call.metering.end(result.aborted === undefined ? {} : { aborted: result.aborted })
        return result
      } finally {
        leave()
      }
    } catch (error) {
      const sent = left && (!(error instanceof EgressError) || error.sent)
      call.metering.end({ error: codeOf(error), ...(sent ? {} : { unsent: true }) })
      throw hasCode(error, 'request_too_large') ? tooLarge('streamed', this.#o.maxStreamedBytes) : error
    }
  }

  /** With its whole body, where the provider's requests are signed. */
  #held<T>(call: ModelCall, work: (call: ModelCall) => Promise<T>): Promise<T> {
    const { provider, body, contentLength } = call
    if (!needsWholeBody(provider) || body === null || body instanceof HeldBody) return work(call)
    return this.#o.holding.held(call.principal.org, body, contentLength, (whole, room) =>
      work({ ...call, body: new HeldBody(whole).whenGone(() => room.leave()), contentLength: undefined }),
    )
  }

  async #guarded(call: ModelCall, key: ChosenKey, base: Base, leaving: () => void): Promise<ForwardResult> {
    const { principal, provider } = call
    const admitted = this.#o.guard.admit(principal.org, provider.id, base.host)
    let head: number | undefined
    // A head is soon sent: whoever says nothing after it has not begun to answer, and is no provider that works.
    const begun = (): void => {
      if (head !== undefined) admitted.answered(head)
      head = undefined
    }
    let waited = false
    try {
      // Only what has to wait is waited for.
      const opened = 'own' in key ? key.own : this.#opened(call, key)
      const authorized = this.#authorized(call, key, base, opened instanceof Promise ? await opened : opened)
      const { headers, inject, mask } = authorized instanceof Promise ? await authorized : authorized
      leaving()
      waited = call.signal?.aborted !== true
      const result = await this.#o.egress.forward({
        base,
        method: call.method,
        path: call.path,
        headers,
        inject,
        mask,
        body: streamOf(call.body),
        ...lengthOf(call),
        maxRequestBytes: call.body instanceof HeldBody ? call.body.length : this.#o.maxStreamedBytes,
        again: (status, received) => {
          head = status
          if (status >= 500) begun()
          call.metering.answered(status, received)
          return call.withhold?.(status, received) === true ? 'withhold' : undefined
        },
        ...call.handing,
        response: tapped(call.handing.response, {
          chunk(bytes) {
            begun()
            call.metering.chunk(bytes)
          },
        }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      })
      if (result.aborted === undefined) begun()
      else admitted.failed(tooLate(call.signal) ?? new EgressError(result.aborted, 'body', true))
      return result
    } catch (error) {
      admitted.failed((waited ? tooLate(call.signal) : undefined) ?? error)
      throw error
    }
  }

  #authorized(call: ModelCall, key: ChosenKey, base: ApiBase, credential: Secret): ModelAuthorization | Promise<ModelAuthorization> {
    const { principal, provider, method, path, body } = call
    const outgoing = {
      provider,
      settings: key.settings,
      base,
      method,
      path,
      headers: withDefaults(provider, 'own' in key ? call.headers : withinAccount(provider, call.headers)),
      body: body instanceof HeldBody && needsWholeBody(provider) ? body.bytes : undefined,
      now: this.#o.clock.now(),
      owner: principal.org,
      once: 'own' in key,
    }
    return authorizeModelCall(outgoing, credential, this.#o.tokens)
  }

  /** The use is on record before the key is opened; for organizations that ask for it, committed. */
  #opened(
    { principal, provider, request, method }: ModelCall,
    key: Extract<ChosenKey, { readonly sealed: Buffer }>,
  ): Secret | Promise<Secret> {
    const written = this.#o.useLog.use(principal.org, principal.auditUseMode, {
      action: 'provider_key.used',
      actor: nameOf(principal, 'key', principal.keyId),
      target: nameOf(key, 'pkey', key.id),
      detail: { request: formatId('req', request), provider: provider.id, method },
    })
    return written === undefined ? this.#open(principal, key) : written.then(() => this.#open(principal, key))
  }

  #open({ org }: KeyPrincipal, { id, sealed }: Extract<ChosenKey, { readonly sealed: Buffer }>): Secret | Promise<Secret> {
    const place = providerKeyPlace(id)
    return this.#o.vault.openCached(org, place, sealed) ?? this.#o.vault.open(org, place, sealed)
  }

  #chosen(chooser: Chooser): ChosenKey | Promise<ChosenKey> {
    const { principal, provider, keyName } = chooser
    const { org, project, environment } = principal
    if (project === null) {
      throw new CallError('insufficient_scope', 'a key of an organization', {
        publicDetail: 'A key of an organization calls nothing: use a key of the project.',
      })
    }
    const known = this.#o.keptKeys.of({ org, project, environment, provider: provider.id, name: keyName })
    return known instanceof Promise ? known.then((read) => chosenOf(chooser, read)) : chosenOf(chooser, known)
  }

  #baseOf(provider: ModelProvider, settings: Readonly<Record<string, string>>): Base {
    const url = modelBase(provider, settings)
    const known = this.#bases.get(url)
    if (known !== undefined) return known
    const parsed = parseApiBase(url, this.#o.origins)
    const base = { ...parsed, host: new URL(parsed.origin).host }
    if (this.#bases.size < MAX_BASES) this.#bases.set(url, base)
    return base
  }
}

const MAX_BASES = 10_000

/** Why a call was ended whose provider had its time; undefined when it was the caller who ended it, or nobody. */
function tooLate(signal: AbortSignal | undefined): EgressError | undefined {
  const reason: unknown = signal?.reason
  return reason instanceof EgressError && reason.code === 'upstream_timeout' ? reason : undefined
}

function chosenOf({ provider, ownKey }: Chooser, { mode, kept }: KnownKeys): ChosenKey {
  if (ownKey === undefined) return keptFor(provider, mode, kept)
  if (mode === 'vault_only')
    throw refused('This organization takes no keys of providers that callers bring: leave Sallyport-Provider-Key out.')
  return { settings: ownKey.settings, own: ownKey.secret }
}

function keptFor(provider: ModelProvider, mode: KnownKeys['mode'], kept: KnownKeys['kept']): ChosenKey {
  if (mode === 'byok_only') {
    if (kept !== undefined)
      throw refused('This organization takes keys of providers that callers bring alone: send one in Sallyport-Provider-Key.')
    throw required(`Send your own key of ${provider.name} in Sallyport-Provider-Key: this organization keeps none for calls.`)
  }
  if (kept === undefined) {
    const own = mode === 'either' ? ', and the call brought none in Sallyport-Provider-Key' : ''
    throw required(`No key of ${provider.name} is kept under this name for the environment of the gateway key or its organization${own}.`)
  }
  return kept
}

function refused(publicDetail: string): CallError {
  return new CallError('provider_key_refused', 'provider_key_mode', { publicDetail })
}

function required(publicDetail: string): CallError {
  return new CallError('provider_key_required', 'no key of the provider', { publicDetail })
}

function elsewhere(): CallError {
  return new CallError('bad_request', 'an account in the query', {
    publicDetail: 'The project that a kept key acts in is not named in the query: leave userProject out, or bring a key of your own.',
  })
}

/** What the provider's record has every call say, unless the caller says it. */
function withDefaults({ defaultHeaders }: ModelProvider, headers: readonly string[]): readonly string[] {
  const missing = Object.entries(defaultHeaders).filter(([name]) => !headers.some((one, at) => at % 2 === 0 && one.toLowerCase() === name))
  return missing.length === 0 ? headers : [...headers, ...missing.flat()]
}

function streamOf(body: ModelCall['body']): Readable | null {
  return body instanceof HeldBody ? body.outgoing() : body
}

function lengthOf({ body, contentLength }: ModelCall): { readonly contentLength?: number } {
  if (body instanceof HeldBody) return { contentLength: body.length }
  return contentLength === undefined ? {} : { contentLength }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal'
}
