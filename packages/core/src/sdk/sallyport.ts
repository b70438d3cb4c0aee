/**
 * Owns the SDK: the engine inside one Node program, put together from its configuration. Refuses to begin with a configuration that has faults, and
 * to end while an answer of a provider is not saved.
 */
import { hmacKey, randomBytes, randomToken } from '../crypto/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY, tracedEgress } from '../http/index.ts'
import type { Egress, OriginPolicy } from '../http/index.ts'
import { hasCode, SallyportError, systemClock } from '../kernel/index.ts'
import { createLogger, MetricsRegistry, noMetrics, openTelemetry } from '../observability/index.ts'
import type { Logger, Traces } from '../observability/index.ts'
import { createDpopNonces, createServerDirectory } from '../oauth/index.ts'
import type { OutboundFetch } from '../oauth/index.ts'
import { checkedApiRecord, idleRenewalMs } from '../catalog/index.ts'
import { Deprecations, MemoryAnswerStore } from '../pipeline/index.ts'
import type { CircuitChange, DeprecationNotice } from '../pipeline/index.ts'
import { createRefresher, systemRest } from '../refresh/index.ts'
import type { Refresher } from '../refresh/index.ts'
import { FileSpill, openSharedAnswers, openTokenStore } from '../stores/index.ts'
import type { OpenTokenStore, SharedAnswers } from '../stores/index.ts'
import { healthOf } from '../tokens/index.ts'
import type { CredentialHealth, CredentialRef, CredentialStore, RefreshTrouble, StoreDurability } from '../tokens/index.ts'
import { Acting } from './acting.ts'
import type { ActionRequest, DoneItem } from './acting.ts'
import type { ProviderAnswer } from './answer.ts'
import { CallPolicies, DEFAULT_OPEN_MS, DEFAULT_TIMEOUT_MS } from './call-policies.ts'
import { Calling, SDK_OWNER } from './calling.ts'
import type { ApiRequest } from './calling.ts'
import { readForm, readProviderForm } from './config-form.ts'
import type { ProviderConfig, ReadConfig, SallyportConfig } from './config-form.ts'
import { judgeConfig, judged, judgeProvider, storeConfig, surroundingsOf, withoutConsequences } from './config.ts'
import type { ConfiguredProvider, Surroundings } from './config.ts'
import { Credentials } from './credentials.ts'
import { DeviceSigningIn, requireHandle } from './device-sign-in.ts'
import type { DeviceRequest, DeviceStart, DeviceWait } from './device-sign-in.ts'
import { Disconnecting } from './disconnecting.ts'
import type { Revocation } from './disconnecting.ts'
import { ConfigError, SdkError } from './errors.ts'
import type { ConfigFault } from './errors.ts'
import { Events } from './events.ts'
import type { ConnectionName, SallyportEvent, SallyportListener } from './events.ts'
import { FEED, Feeds } from './feeds.ts'
import { Fetching } from './fetching.ts'
import type { AccountItems, FeatureItems, FeedItems, FetchedItem } from './fetching.ts'
import { HandingOver } from './handing-over.ts'
import type { CredentialConnected, CredentialRequest } from './handing-over.ts'
import { ProvidersHealth } from './health.ts'
import type { HealthChange, ProviderHealth } from './health.ts'
import { KnownConnectors } from './known-connectors.ts'
import type { OwnConnector } from './known-connectors.ts'
import { guardedLines } from './log-lines.ts'
import { SDK_METRICS } from './metrics.ts'
import { Probing } from './probing.ts'
import { Sending } from './sending.ts'
import { renewalEndpoint } from './renewing.ts'
import { SigningIn } from './signing-in.ts'
import type { CallbackExpectation, Connected, ConnectRequest, ConnectStart } from './signing-in.ts'

/** How an SDK stands, as this process knows it. */
export interface SallyportHealth {
  /** `down`: the token store is away. `degraded`: answers wait to be saved, or a provider fails. */
  readonly status: 'ok' | 'degraded' | 'down'
  readonly store: { readonly backend: string; readonly reachable: boolean; readonly durability: StoreDurability }
  /** Answers of providers that are not saved yet. While there is one, this process must not end. */
  readonly unsaved: number
  /** Connections that were ended and whose tokens are not taken back at their provider yet, in all processes. Counted up to 1,000; 0 while the store is away. */
  readonly pendingRevocations: number
  readonly providers: Readonly<Record<string, ProviderHealth>>
}

/** How one connection stands. */
export interface ConnectionHealth {
  readonly health: CredentialHealth
  /** Why, where it is not `active`. */
  readonly trouble: RefreshTrouble | null
  readonly scopes: readonly string[]
  /** Milliseconds since the epoch by the store's clock; null for unknown. */
  readonly expiresAt: number | null
  /** Whether it can be renewed without the person. */
  readonly renewable: boolean
}

/** Of the instrumentation that spans name themselves after. */
const VERSION = '0.1.0'

interface Parts {
  readonly opened: OpenTokenStore
  readonly egress: Egress
  readonly refresher: Refresher
  readonly logger: Logger
  readonly metrics: MetricsRegistry | undefined
  readonly traces: Traces
  readonly providers: Map<string, ConfiguredProvider>
  readonly backend: string
  readonly around: Surroundings
  readonly signingIn: SigningIn
  readonly devices: DeviceSigningIn
  readonly handingOver: HandingOver
  readonly calling: Calling
  readonly connectors: KnownConnectors
  readonly fetching: Fetching
  readonly acting: Acting
  readonly disconnecting: Disconnecting
  readonly events: Events
  readonly health: ProvidersHealth
  readonly probing: Probing
  readonly answers: SharedAnswers | undefined
}

/**
 * OAuth connections of an application's users, kept and renewed; calls in their name. Names are the application's: `provider` as configured,
 * `userId` its own id of a user, 1 to 512 bytes. Safe for concurrent use, and in any number of processes on one Redis or Postgres.
 */
export class Sallyport {
  readonly #parts: Parts
  #closing: Promise<{ readonly unsaved: number }> | undefined

  private constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Judges everything at once, opens the token store and begins to renew in the background. A store that is away is no fault: it is waited for.
   * @throws ConfigError with every fault, each with its path.
   */
  static async init(config: SallyportConfig): Promise<Sallyport> {
    const { value, faults: formFaults } = readForm(config)
    if (value === undefined) throw new ConfigError(formFaults)
    const { providers, faults } = judgeConfig(value)
    const all = withoutConsequences(formFaults, faults)
    const opened = openedStore(value, all)
    if (opened === undefined) throw new ConfigError(all)
    if (all.length > 0) {
      await opened.close()
      throw new ConfigError(all)
    }
    const parts = compose(value, opened, new Map(providers), await openTelemetry('@sallyport/core', VERSION))
    await requireUsable(parts)
    parts.refresher.start()
    // Outside of the span in which the SDK is begun, which ends long before.
    parts.traces.apart(() => parts.disconnecting.start())
    return new Sallyport(parts)
  }

  /**
   * Begins a sign-in (schemes `authorization_code` and `oauth1`): send the browser to `url`. The scopes are the configured ones unless others are
   * named. With `credential` (schemes `api_key`, `basic` and `client_credentials`) the connection is made at once; an earlier one is replaced.
   * A key or password is kept as it is given: whether the provider takes it shows in the first call.
   * @throws SdkError `provider_unknown`, `scheme_mismatch`, `argument_invalid`; OAuthError `provider_misconfigured`, also for `params` that belong
   * to the protocol, and `connect_exchange_failed`; TokenError `store_unavailable`; TypeError for a user id that can't be kept.
   */
  async connect(request: CredentialRequest): Promise<CredentialConnected>
  async connect(request: ConnectRequest): Promise<ConnectStart>
  async connect(request: ConnectRequest | CredentialRequest): Promise<ConnectStart | CredentialConnected> {
    return this.#traced('connect', request, async ({ signingIn, handingOver }) => {
      if (!('credential' in request) || request.credential === undefined) return signingIn.begin(request)
      return this.#told(await handingOver.connect(request))
    })
  }

  /**
   * Begins a sign-in on another device (RFC 8628): show the person `userCode` and `verificationUri`, then wait with `awaitDevice`.
   * @throws SdkError `provider_unknown`, `scheme_mismatch`; OAuthError `provider_misconfigured`, `connect_exchange_failed`; TokenError
   * `store_unavailable`; TypeError for a user id that can't be kept.
   */
  async connectDevice(request: DeviceRequest): Promise<DeviceStart> {
    return this.#traced('connectDevice', request, ({ devices }) => devices.begin(request))
  }

  /**
   * Waits until the person has agreed, in any process on the same store, and keeps the tokens. Aborting ends the wait and nothing else: wait again
   * with the same handle, also after a restart. Of several that wait one gets the connection, the others `state_used`.
   * @throws OAuthError `connect_denied`, ...; SdkError `state_unknown`, `state_used`, `state_expired`, `state_other_session` for another user's;
   * TokenError `store_unavailable`; the signal's reason.
   */
  async awaitDevice(handle: string, expected: { readonly userId: string }, wait: DeviceWait = {}): Promise<Connected> {
    requireHandle(handle)
    return this.#traced('awaitDevice', {}, async ({ devices }) => this.#told(await devices.wait(handle, expected, wait)))
  }

  /**
   * Ends a sign-in: judges what the browser brought back, exchanges the code, keeps the tokens. `callback` is the URL, or its query. A state is good
   * once, whatever comes of it; an earlier connection of the same user is replaced.
   * @throws SdkError `state_unknown`, `state_used`, `state_expired`, `state_other_provider`, `state_other_session`; OAuthError (RFC 6749 section
   * 4.1.2.1, RFC 9207); TokenError `store_unavailable`.
   */
  async handleCallback(callback: string | URL | URLSearchParams, expected: CallbackExpectation): Promise<Connected> {
    return this.#traced('handleCallback', expected, async ({ signingIn }) => this.#told(await signingIn.finish(callback, expected)))
  }

  /**
   * One call to the provider's API with the user's token, which is renewed first when it is due, and once after a 401 where the body can be sent
   * again. Any status is an answer, and may be a kept one (`kept`). Redirects are not followed.
   * @throws RefreshError (`reconnect_required`, ...); EgressError while nothing was answered; PipelineError `circuit_open`, `quota_exhausted`,
   * `queue_full`, `deadline_exceeded`; SdkError `path_outside_rules`; TokenError `store_unavailable`; the signal's reason.
   */
  async request(request: ApiRequest): Promise<ProviderAnswer> {
    return this.#traced('request', request, ({ calling }) => calling.request(request))
  }

  /**
   * Items of a provider in one form, page by page as they are taken; nothing is asked before the first is. `raw` has each as it came. With `feature`,
   * the providers of `alternatives` are asked in turn while the ones before are down or limit; `provider` of an item says whose it is. With `url`, the
   * entries of a feed.
   * @throws SdkError `provider_unknown`, `collection_unknown`, `argument_invalid`, at once; while items are taken ConnectorError, and as `request`.
   */
  fetch<Name extends string>(request: AccountItems<Name> | FeatureItems | FeedItems): AsyncGenerator<FetchedItem, void, void> {
    return this.#open().fetching.items(request)
  }

  /**
   * Does one thing at a provider in the user's name, such as posting, and gives what came of it. Once: what may have arrived is not sent again.
   * @throws SdkError `provider_unknown`, `action_unknown`; ConnectorError `collection_input_invalid`, `collection_refused`, `collection_unreadable`;
   * as `request`. After one that leaves open whether it was done (`upstream_reset`, ...) it is the caller's to look.
   */
  async act<Name extends string>(request: ActionRequest<Name>): Promise<DoneItem> {
    return this.#traced('act', request, ({ acting }) => acting.act(request))
  }

  /** Renews now, whatever life is left. @throws as `request`. */
  async refresh({ provider, userId }: ConnectionName): Promise<{ readonly expiresAt: number | null }> {
    return this.#traced('refresh', { provider }, async ({ refresher }) => {
      const { tokens } = await refresher.refreshNow(this.#ref(provider, userId))
      return { expiresAt: tokens.expiresAt }
    })
  }

  /**
   * Ends a connection: from now on nobody uses it, its tokens are taken back at the provider, then forgotten. Undefined when there was none.
   * Safe to repeat. What is `pending` goes on by itself, in this process or another on the store; `revocation_ended` tells what became of it.
   * @throws TokenError `store_unavailable`: what was ended by then stays so.
   */
  async disconnect({ provider, userId }: ConnectionName): Promise<Revocation | undefined> {
    return this.#traced('disconnect', { provider }, async ({ disconnecting, events }) => {
      const revocation = await disconnecting.disconnect(this.#ref(provider, userId))
      if (revocation !== undefined) events.tell('disconnected', { provider, userId, revocation })
      return revocation
    })
  }

  /**
   * Adds a provider that the catalog does not have: its record, the application's client there, and what reads its collections for `fetch` and does its actions for `act`, if any.
   * @throws ConfigError, also for a name that is configured already.
   */
  registerConnector(record: unknown, options: ProviderConfig, connector?: OwnConnector): void {
    const { providers, around, connectors } = this.#open()
    const faults: ConfigFault[] = []
    const form = readProviderForm(options, 'options')
    const checked = judged(() => checkedApiRecord(record, around.insecureAllowOrigins), 'record', faults)
    if (checked === undefined || form.value === undefined) throw new ConfigError([...faults, ...form.faults])
    if (providers.has(checked.id)) faults.push({ path: 'record.id', message: 'is configured already' })
    const made = judgeProvider(checked.id, form.value, checked, around, 'options')
    faults.push(...withoutConsequences(form.faults, made.faults))
    if (faults.length > 0 || made.provider === undefined) throw new ConfigError(faults)
    providers.set(checked.id, made.provider)
    if (connector !== undefined) connectors.register(checked.id, connector)
  }

  /**
   * How the SDK stands: its store, its providers as calls met them; with `probe`, each whose record names one is asked now, without a credential.
   * Never throws for what is away.
   */
  async getHealth({ probe = false }: { readonly probe?: boolean } = {}): Promise<SallyportHealth> {
    const { opened, refresher, disconnecting, providers, health, probing, backend } = this.#open()
    if (probe) await Promise.all([...providers.keys()].map((name) => probing.probe(name)))
    const pending = await disconnecting.pending().catch(() => undefined)
    const reachable = pending !== undefined
    const of = Object.fromEntries([...providers.keys()].map((name) => [name, health.of(name)]))
    const failing = refresher.unsaved > 0 || Object.values(of).some(({ state }) => state === 'failing')
    const status = reachable ? (failing ? 'degraded' : 'ok') : 'down'
    const store = { backend, reachable, durability: opened.store.durability }
    return { status, store, unsaved: refresher.unsaved, pendingRevocations: pending ?? 0, providers: of }
  }

  /** How one connection stands, or undefined. @throws TokenError `store_unavailable` */
  async getConnectionHealth({ provider, userId }: ConnectionName): Promise<ConnectionHealth | undefined> {
    const state = await this.#open().opened.store.read(this.#ref(provider, userId))
    if (state === undefined) return undefined
    const { scopes, expiresAt, refreshToken } = state.head.tokens
    const { scheme } = find(this.#parts.providers, provider)
    const renewable = refreshToken !== null || scheme.kind === 'client_credentials'
    return { health: healthOf(state), trouble: state.failure?.trouble ?? null, scopes: [...scopes], expiresAt, renewable }
  }

  /** Calls `listener` at each such event of this process; gives what ends that. What it throws is logged. */
  on<Name extends SallyportEvent>(name: Name, listener: SallyportListener<Name>): () => void {
    return this.#parts.events.on(name, listener)
  }

  /** The counts so far, in Prometheus' text format (version 0.0.4); empty with `metrics.enabled: false`. */
  metricsText(): string {
    return this.#parts.metrics?.render() ?? ''
  }

  /**
   * Lets what is under way end, saves what is not saved, and closes everything. Idempotent. `unsaved` above 0 after `timeoutMs` (30,000 when absent):
   * answers that only this process held are lost, unless `tokenStore.spillFolder` has them.
   */
  close({ timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {}): Promise<{ readonly unsaved: number }> {
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<{ readonly unsaved: number }> {
    const { refresher, disconnecting, probing, egress, opened, answers, logger } = this.#parts
    const ending = disconnecting.close()
    probing.close()
    const { unsaved } = await refresher.drain(timeoutMs)
    if (unsaved > 0) logger.error('Closed with answers of providers that are not saved', { unsaved })
    refresher.close()
    await egress.close()
    await ending
    await answers?.close()
    await opened.close()
    return { unsaved }
  }

  #open(): Parts {
    if (this.#closing !== undefined) throw new SdkError('closed', 'the SDK was closed')
    return this.#parts
  }

  /** A verb in a span of its name. What a caller named that is not configured stays out of it. */
  #traced<T>(verb: string, { provider }: { readonly provider?: string }, work: (parts: Parts) => Promise<T>): Promise<T> {
    const parts = this.#open()
    const attributes = provider !== undefined && parts.providers.has(provider) ? { 'sallyport.provider': provider } : {}
    return parts.traces.within({ name: `sallyport.${verb}`, attributes }, () => work(parts))
  }

  #told<C extends CredentialConnected>(connected: C): C {
    const { events, logger } = this.#parts
    const { provider, userId, scopes, missingScopes } = connected
    if (missingScopes.length > 0) logger.warn('Less was granted than was asked for', { provider, missingScopes })
    events.tell('connected', { provider, userId, scopes, missingScopes })
    return connected
  }

  #ref(provider: string, userId: string): CredentialRef {
    return { scope: find(this.#parts.providers, provider).name, id: userId }
  }
}

function find(providers: ReadonlyMap<string, ConfiguredProvider>, name: string): ConfiguredProvider {
  const found = providers.get(name)
  if (found === undefined) throw new SdkError('provider_unknown', 'no provider of this name is configured')
  return found
}

function openedStore(config: ReadConfig, faults: ConfigFault[]): OpenTokenStore | undefined {
  // What is wrong with keys and address is among the faults already.
  if (faults.some(({ path }) => path.startsWith('tokenStore'))) return undefined
  return judged(() => openTokenStore(storeConfig(config), surroundingsOf(config)), 'tokenStore', faults)
}

/** Finds out what is no outage and won't pass: a missing driver, a foreign server, keys that others sealed with under the same ids. */
async function requireUsable({ opened, egress, logger }: Parts): Promise<void> {
  try {
    await opened.store.interrupted(1)
  } catch (error) {
    if (hasCode(error, 'store_unavailable')) {
      logger.warn('The token store is away; it is waited for', { error })
      return
    }
    await egress.close()
    await opened.close()
    if (!(error instanceof SallyportError)) throw error
    throw new ConfigError([{ path: 'tokenStore', message: error.message }])
  }
}

function compose(config: ReadConfig, opened: OpenTokenStore, providers: Map<string, ConfiguredProvider>, traces: Traces): Parts {
  const clock = systemClock
  const around = surroundingsOf(config)
  const { level = 'warn', format = 'json', write } = config.logging ?? {}
  const logger = createLogger({ level, format, ...(write === undefined ? {} : { write: guardedLines(write) }) })
  const registry = config.metrics?.enabled === false ? undefined : new MetricsRegistry(SDK_METRICS)
  const metrics = registry ?? noMetrics
  const origins: OriginPolicy = { insecureAllowOrigins: around.insecureAllowOrigins, allowedPorts: DEFAULT_EGRESS_POLICY.allowedPorts }
  const egress = tracedEgress(createEgress({ ...DEFAULT_EGRESS_POLICY, ...origins }), traces)
  const send: OutboundFetch = (url, init) => egress.fetch(url, init)
  const provider = (name: string): ConfiguredProvider => find(providers, name)
  const { store, leases, states } = opened
  const nonces = createDpopNonces()
  const events = new Events(logger)
  const openMs = config.http?.circuitBreaker?.resetTimeout ?? DEFAULT_OPEN_MS
  const health = new ProvidersHealth({
    clock,
    metrics,
    openMs,
    onChange: (change) => {
      tellHealth(change, events, logger)
      if (change.state === 'failing') probing.watch(change.provider)
    },
  })
  const disconnecting = new Disconnecting({
    provider,
    providers: () => [...providers.keys()],
    store,
    leases,
    fetch: send,
    clock,
    logger,
    metrics,
    forgetAnswers: ({ scope, id }) => policies.forgetAnswers({ owner: SDK_OWNER, integration: scope, provider: scope, connection: id }),
    onEnd: ({ scope, id }, revocation) => events.tell('revocation_ended', { provider: scope, userId: id, revocation }),
    rest: systemRest,
  })
  const { expiredTokenBufferMinutes = 5, spillFolder, backend } = config.tokenStore
  const refresher = createRefresher({
    store,
    leases,
    spills: spillFolder === undefined ? [] : [new FileSpill(spillFolder)],
    endpoint: async ({ scope }) => renewalEndpoint(provider(scope), { fetch: send, nonces, clock }),
    renewsAlone: ({ scope }) => providers.get(scope)?.scheme.kind === 'client_credentials',
    revokeOrphan: (ref, tokens) => disconnecting.revokeOrphan(ref, tokens),
    logger,
    metrics,
    traces,
    node: randomToken(16),
    limits: { bufferMs: expiredTokenBufferMinutes * 60_000, idleMs: idleRenewalMs([...providers.values()].map(({ record }) => record)) },
  })
  refresher.onEvent((event) => events.tellRefresh(event))
  const answers = config.http?.cache?.store === 'redis' ? openSharedAnswers(storeConfig(config), cacheBytes(config)) : undefined
  const timeoutMs = config.http?.timeout ?? DEFAULT_TIMEOUT_MS
  const deadlineMs = config.http?.deadline ?? Math.max(DEFAULT_DEADLINE_MS, timeoutMs)
  const policies = new CallPolicies({
    http: config.http ?? {},
    rateLimits: config.rateLimits ?? {},
    answers: config.http?.cache?.enabled === false ? undefined : (answers ?? answersInMemory(config)),
    deadlineMs,
    clock,
    metrics,
    onCircuit: (change) => {
      // Feeds have nothing in common but their name.
      if (change.provider !== FEED) health.noteCircuit(change)
      tellCircuit(change, events, logger)
    },
  })
  const deprecations = new Deprecations({ onNotice: (notice) => tellDeprecation(notice, events, logger), clock, metrics })
  const sending = new Sending({
    egress,
    timeoutMs,
    clock,
    metrics,
    onHead: (name, host, headers) => deprecations.note({ provider: name, host }, headers),
    onOutcome: (name, fault) => (name === FEED ? undefined : health.note(name, fault)),
  })
  const credentials = new Credentials(refresher, { nonces, clock })
  const calling = new Calling({ provider, policies, credentials, store, sending, origins, deadlineMs, clock })
  const probing = new Probing({ provider, sending, origins, health, intervalMs: config.http?.probeInterval ?? DEFAULT_PROBE_MS })
  const feeds = new Feeds({ policies, sending, origins, deadlineMs, clock })
  const connectors = new KnownConnectors(provider)
  const fetching = new Fetching({ connectors, calling, feeds, health, alternatives: config.alternatives ?? {}, events, logger, traces })
  const servers = createServerDirectory({ fetch: send, clock })
  const kept: Pick<CredentialStore, 'read' | 'connect'> = {
    read: (ref) => disconnecting.before(ref),
    connect: (ref, tokens) => disconnecting.connect(ref, tokens),
  }
  const connecting = { provider, states, store: kept, fetch: send, nonces, servers, clock }
  return {
    opened,
    egress,
    refresher,
    logger,
    metrics: registry,
    traces,
    providers,
    backend,
    around,
    signingIn: new SigningIn(connecting),
    devices: new DeviceSigningIn(connecting),
    handingOver: new HandingOver(connecting),
    calling,
    connectors,
    fetching,
    acting: new Acting({ connectors, calling }),
    disconnecting,
    events,
    health,
    probing,
    answers,
  }
}

const DEFAULT_PROBE_MS = 30_000
const DEFAULT_DEADLINE_MS = 120_000

function cacheBytes({ http }: ReadConfig): number {
  return http?.cache?.maxBytes ?? 64 * 1024 * 1024
}

/** All of it is one owner's. */
function answersInMemory(config: ReadConfig): Pick<SharedAnswers, 'store' | 'key'> {
  const maxBytes = cacheBytes(config)
  const store = new MemoryAnswerStore({ maxBytes, maxBytesPerScope: maxBytes, maxEntriesPerScope: 100_000 })
  return { store, key: hmacKey(randomBytes(32)) }
}

function tellHealth({ provider, state }: HealthChange, events: Events, logger: Logger): void {
  if (state === 'failing') logger.warn('A provider fails', { provider })
  else logger.info('A provider answers again', { provider })
  events.tell(state === 'failing' ? 'provider_failing' : 'provider_up', { provider })
}

/** Its address is the provider's word, and stays out of the log. */
function tellDeprecation({ documentation, ...notice }: DeprecationNotice, events: Events, logger: Logger): void {
  logger.warn('A provider announces the end of what is asked of it', { ...notice })
  events.tell('deprecation_announced', { ...notice, documentation })
}

function tellCircuit({ provider, host, from, to }: CircuitChange, events: Events, logger: Logger): void {
  if (to === 'half_open') return
  if (to === 'open') logger.warn('A host of a provider is left alone for a while', { provider, host })
  // A probe that failed opens what was open all along.
  if (to === 'open' && from === 'half_open') return
  events.tell(to === 'open' ? 'circuit_opened' : 'circuit_closed', { provider, host })
}
