/**
 * Owns items of providers in one form, read page by page as they are taken, and the asking of another provider where the first is down, or will take
 * no more calls for now, and one was named. Refuses to change the provider once an item was given, and to ask another with what only the first understands.
 */
import type { Feature } from '../catalog/index.ts'
import { collectionOf, CONNECTORS, ConnectorError } from '../connectors/index.ts'
import type { Collection, ConnectorRequest, Item } from '../connectors/index.ts'
import { EgressError } from '../http/index.ts'
import { failureType } from '../observability/index.ts'
import type { Logger, SpanAttributes, Traces } from '../observability/index.ts'
import { hasCode } from '../kernel/index.ts'
import { PipelineError } from '../pipeline/index.ts'
import type { ProviderAnswer } from './answer.ts'
import { isRenewalOutage } from './call-grant.ts'
import type { Calling } from './calling.ts'
import { SdkError } from './errors.ts'
import type { AlternativeReason, Events, SallyportEvents } from './events.ts'
import { FEED } from './feeds.ts'
import type { Feeds } from './feeds.ts'
import type { ProvidersHealth } from './health.ts'
import type { KnownConnectors } from './known-connectors.ts'

/** What narrows a collection: its own parameters, see docs/connectors.md. */
export type ItemParams = Readonly<Record<string, string | number | boolean>>

/** The collections of the providers that come with a connector. */
export interface KnownCollections {
  readonly github: 'repositories' | 'starred' | 'issues' | 'notifications'
  readonly google: 'mail' | 'events'
  readonly microsoft: 'mail' | 'events'
  readonly reddit: 'posts'
  readonly slack: 'messages'
  readonly 'slack-user': 'messages'
  readonly x: 'posts'
}

interface Wanted {
  /** What the collection takes, such as `since` or `channel`: docs/connectors.md has it. */
  readonly params?: ItemParams
  /** Items at most: 1,000 when absent, 100,000 at most. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** Items of a user's account. */
export interface AccountItems<Name extends string = string> extends Wanted {
  readonly provider: Name
  readonly userId: string
  readonly collection: Name extends keyof KnownCollections ? KnownCollections[Name] : string
}

/** The same by what is wanted, whoever has it. */
export interface FeatureItems extends Wanted {
  readonly feature: Feature
  readonly userId: string
  /** The one to ask first; when absent the first of `alternatives`. */
  readonly provider?: string
  /** What the others take, by name. One that has no entry here is asked only when `params` is empty. */
  readonly alternativeParams?: Readonly<Record<string, ItemParams>>
}

/** The entries of an RSS, Atom or JSON feed. */
export interface FeedItems extends Wanted {
  readonly provider: 'feed'
  /** https, and public. */
  readonly url: string
}

/** An item, and where it is from. */
export type FetchedItem = Item & {
  readonly provider: string
  /** It is of what was kept here, because the provider fails. */
  readonly stale: boolean
}

export interface FetchingParts {
  readonly connectors: KnownConnectors
  readonly calling: Pick<Calling, 'request'>
  readonly feeds: Feeds
  readonly health: Pick<ProvidersHealth, 'isDown'>
  /** In the order in which they are asked. */
  readonly alternatives: Readonly<Partial<Record<Feature, readonly string[] | undefined>>>
  readonly events: Events
  readonly logger: Logger
  readonly traces: Traces
}

type Request = AccountItems | FeatureItems | FeedItems

export class Fetching {
  readonly #parts: FetchingParts

  constructor(parts: FetchingParts) {
    this.#parts = parts
  }

  /** Asks nobody before the first item is taken; what can be known to be wrong before is thrown at once. @throws SdkError */
  items(request: Request): AsyncGenerator<FetchedItem, void, void> {
    if ('url' in request) return this.#traced({ 'sallyport.provider': FEED }, this.#entries(request))
    if (!('collection' in request)) return this.#traced({ 'sallyport.feature': request.feature }, this.#byFeature(request))
    const { provider, collection } = request
    const items = this.#of(provider, this.#parts.connectors.collection(provider, collection), request)
    // Both are known by now: of an application's words none comes into a span.
    return this.#traced({ 'sallyport.provider': provider, 'sallyport.collection': collection }, items)
  }

  /** One span over all pages, from the first item that is asked for to the last that is taken. It is open while nobody asks. */
  async *#traced(attributes: SpanAttributes, items: AsyncGenerator<FetchedItem, void, void>): AsyncGenerator<FetchedItem, void, void> {
    const span = this.#parts.traces.open({ name: 'sallyport.fetch', attributes })
    let taken = 0
    try {
      for (;;) {
        const next = await span.within(() => items.next())
        if (next.done === true) return
        taken += 1
        yield next.value
      }
    } catch (error) {
      span.fail(failureType(error))
      throw error
    } finally {
      span.set({ 'sallyport.items': taken })
      await span.within(() => items.return()).finally(() => span.end())
    }
  }

  #byFeature(request: FeatureItems): AsyncGenerator<FetchedItem, void, void> {
    const { feature, params = {}, alternativeParams = {} } = request
    const named = this.#parts.alternatives[feature] ?? []
    const first = request.provider ?? named[0]
    if (first === undefined) throw new SdkError('argument_invalid', 'a feature needs a provider, or "alternatives" that name some for it')
    const others = named.filter((name) => name !== first && (Object.keys(params).length === 0 || Object.hasOwn(alternativeParams, name)))
    const candidates = [first, ...others].map((name) => ({
      name,
      collection: this.#parts.connectors.collection(name, collectionOf(feature) ?? ''),
      wanted: { ...request, params: name === first ? params : (alternativeParams[name] ?? {}) },
    }))
    return this.#firstOf(candidates, request)
  }

  /** Of the first that answers, those that are down last. */
  async *#firstOf(candidates: readonly Candidate[], { feature, userId }: FeatureItems): AsyncGenerator<FetchedItem, void, void> {
    const [first] = candidates
    const isDown = ({ name }: Candidate): boolean => this.#parts.health.isDown(name)
    const inTurn = [...candidates.filter((one) => !isDown(one)), ...candidates.filter(isDown)]
    let failure: unknown
    let reason: AlternativeReason = 'down'
    for (const candidate of inTurn) {
      const items = this.#of(candidate.name, candidate.collection, candidate.wanted)
      const begun = await items.next().catch((error: unknown) => ({ error }))
      if (!('error' in begun)) {
        if (candidate !== first) this.#tell({ feature, userId, provider: first!.name, alternative: candidate.name, reason })
        if (begun.done === true) return
        yield* withFirst(begun.value, items)
        return
      }
      const { error } = begun
      const why = hindrance(error)
      if (why === undefined && (candidate === first || !isOtherwiseUnusable(error))) throw error
      // What the caller asked for first is what it hears of.
      if (failure === undefined || candidate === first) failure = error
      if (candidate === first && why !== undefined) reason = why
    }
    throw failure
  }

  async *#of(
    name: string,
    collection: Collection,
    { userId, params = {}, limit, signal }: Wanted & { readonly userId: string },
  ): AsyncGenerator<FetchedItem, void, void> {
    let stale = false
    const request: ConnectorRequest = async (call) => {
      const answer = await this.#parts.calling.request({ ...call, provider: name, userId, ...(signal === undefined ? {} : { signal }) })
      stale ||= answer.kept === 'stale'
      return answer
    }
    for await (const item of collection(request, optionsOf(params, limit))) yield { ...item, provider: name, stale }
  }

  async *#entries({ url, params = {}, limit, signal }: FeedItems): AsyncGenerator<FetchedItem, void, void> {
    let answer: ProviderAnswer | undefined
    const request: ConnectorRequest = async (call) => (answer = await this.#parts.feeds.request(url, call, signal))
    const entries = CONNECTORS.get(FEED)!.collections['entries']!
    for await (const item of entries(request, optionsOf(params, limit))) yield { ...item, provider: FEED, stale: answer?.kept === 'stale' }
  }

  #tell(used: SallyportEvents['alternative_used']): void {
    const { feature, provider, alternative, reason } = used
    this.#parts.logger.warn('Another provider is asked in place of the first', { feature, provider, alternative, reason })
    this.#parts.events.tell('alternative_used', used)
  }
}

async function* withFirst(first: FetchedItem, rest: AsyncGenerator<FetchedItem, void, void>): AsyncGenerator<FetchedItem, void, void> {
  try {
    yield first
    yield* rest
  } finally {
    await rest.return()
  }
}

interface Candidate {
  readonly name: string
  readonly collection: Collection
  readonly wanted: Wanted & { readonly userId: string }
}

function optionsOf(params: ItemParams, limit: number | undefined): Parameters<Collection>[1] & object {
  const input = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]))
  return { input, ...(limit === undefined ? {} : { limit }) }
}

const TOO_MANY = 429

/** Why the provider can't answer this user now, if it is that; waiting would help, and so does another. */
function hindrance(error: unknown): AlternativeReason | undefined {
  if (error instanceof ConnectorError && error.status === TOO_MANY) return 'limited'
  if (hasCode(error, 'quota_exhausted') || hasCode(error, 'queue_full') || hasCode(error, 'provider_rate_limited')) return 'limited'
  if (error instanceof ConnectorError) return error.status !== null && error.status >= 500 ? 'down' : undefined
  if (error instanceof EgressError) return error.code.startsWith('upstream_') && error.code !== 'upstream_too_large' ? 'down' : undefined
  return error instanceof PipelineError || isRenewalOutage(error) ? 'down' : undefined
}

/** This user has nothing there to be asked for: no reason to fail while others are left. */
function isOtherwiseUnusable(error: unknown): boolean {
  if (error instanceof ConnectorError) return error.code === 'collection_refused'
  return (['credential_absent', 'reconnect_required', 'client_misconfigured'] as const).some((code) => hasCode(error, code))
}
