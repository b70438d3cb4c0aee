/**
 * Owns the making of every object: the one place where a configuration becomes a running gateway, in the order in which things depend on
 * each other, and the one place that takes it apart again. Refuses to listen before everything behind the port is checked.
 */
import { access, constants, mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  createDpopNonces,
  createEgress,
  createKeySets,
  createLogger,
  DEFAULT_REFRESH_LIMITS,
  FileSpill,
  listProviders,
  MetricsRegistry,
  randomBase62,
  resolveProvider,
  SallyportError,
  systemClock,
  writeLine,
} from '@sallyport/core'
import type { Clock, EgressPolicy, Logger, Metrics, Provider, Refresher, Secret, Spill } from '@sallyport/core'
import { createUseLog } from './audit/index.ts'
import { createKeyGuard, createNonces } from './binding/index.ts'
import type { Config } from './config.ts'
import { createConnectService } from './connect/index.ts'
import {
  createAccelerator,
  createExplain,
  createLineage,
  createRenewal,
  createRowLeases,
  createTenantStore,
  createTransitions,
} from './credentials/index.ts'
import type { Accelerator } from './credentials/index.ts'
import { connectionFind } from './db/index.ts'
import type { Database } from './db/index.ts'
import { HomeError, migrateGiven, openHome, openRootKeys } from './home/index.ts'
import type { Home, OpenRootKeys } from './home/index.ts'
import {
  addressOf,
  createCursors,
  createHttpServer,
  createSessionCookie,
  isTrustedPeer,
  problemFor,
  sessionCookieName,
  trustedProxies,
} from './http/index.ts'
import type { HttpServer } from './http/index.ts'
import { createKeyAuthenticator, createSessions, ensureDevelopmentOwner, ownerLink } from './identity/index.ts'
import type { DevelopmentOwner } from './identity/index.ts'
import { METRICS, startMetricsServer, watchProcess } from './metrics/index.ts'
import { createCallShares, createCredentialLife, createDataPlane, createTargetCache, routeOut } from './proxy/index.ts'
import { createEventService } from './events/index.ts'
import { createBulkRevocations, createRevocationService } from './revocation/index.ts'
import type { BulkRevocations } from './revocation/index.ts'
import type { TargetWanted } from './proxy/index.ts'
import { registerOperations } from './routes/index.ts'
import { createKeeper, createVault } from './vault/index.ts'
import type { Keeper, Vault } from './vault/index.ts'

export interface OwnerLink {
  readonly href: string
  readonly token: Secret
}

export interface Gateway {
  /** Where clients reach it. */
  readonly url: string
  /** A fresh one-time link to the console; undefined in production, where people come by other ways. */
  ownerLink(): Promise<OwnerLink | undefined>
  /** Resolves with the reason when the gateway can't go on by itself. `stop` is still due then. */
  readonly failed: Promise<Error>
  /** Refuses new calls, lets running ones finish, writes down what is buffered, and closes everything. Idempotent. */
  stop(): Promise<void>
}

/** Worst age of what the data plane remembers of connections when no word of a change arrives (G10). */
const TARGET_AGE_MS = 10_000
/** And while the database is away or says nothing for `TARGET_PATIENCE_MS`. */
const TARGET_AGE_AWAY_MS = 30_000
const TARGET_PATIENCE_MS = 250
const MAX_TARGETS = 50_000
/** One organization gets at most this part of the connections to one origin. */
const ORGANIZATION_SHARE = 1 / 4
const SWEEP_EVERY_MS = 60_000
/** What is buffered gets at least this long to be written, however long the drain took. */
const LAST_WORDS_MS = 3_000

/** @throws SallyportError of the part that refused; nothing is left running then. */
export async function startGateway(config: Config): Promise<Gateway> {
  const logger = createLogger({ level: config.logLevel, format: config.logFormat })
  await requireFreePort(config)
  const home = await openHome(config, logger)
  try {
    return await furnish(config, home, logger)
  } catch (error) {
    await home.close()
    throw error
  }
}

/** The database and its keys, without a gateway around them. */
export interface Keyroom {
  readonly keeper: Keeper
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  /** Works on what it begins while it is open; gateways go on with it, and tell the providers. */
  readonly bulk: BulkRevocations
  /** Milliseconds since 1970. */
  readonly now: () => number
  close(): Promise<void>
}

/**
 * Opens what the `keys` command works on. Lines of the log go to standard error: standard output is the command's answer.
 * @param options.provesRootKeys as every start does; not when a key is to be removed that is no longer configured
 * @throws SallyportError of the part that refused; nothing is left open then.
 */
export async function openKeyroom(config: Config, options: { readonly provesRootKeys: boolean }): Promise<Keyroom> {
  const logger = createLogger({ level: config.logLevel, format: config.logFormat, write: (line) => writeLine(line, 'stderr') })
  const home = await openHome(config, logger)
  const opened: (() => Promise<void>)[] = [() => home.close()]
  const close = (): Promise<void> => inTurn(opened.splice(0).toReversed())
  try {
    const rootKeys = await openRootKeys(config, (await home.database.system.rootKeys()).size === 0, logger)
    opened.push(() => rootKeys.close())
    // Nobody scrapes a command: what it counts ends with it.
    const { vault, keeper } = openVault(config, home.database, rootKeys, { logger, metrics: new MetricsRegistry(METRICS) })
    const bulk = createBulkRevocations({ database: home.database, vault, logger, onPage: () => undefined })
    opened.push(
      async () => vault.close(),
      () => keeper.close(),
      () => bulk.close(),
    )
    if (options.provesRootKeys) await vault.checkRootKeys()
    return { keeper, database: home.database, vault, bulk, now: () => systemClock.now(), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Brings a Postgres given by URL up to date. @throws DatabaseError */
export async function migrateDatabase(config: Config, url: Secret): Promise<readonly string[]> {
  return migrateGiven(config, url, createLogger({ level: config.logLevel, format: config.logFormat }))
}

async function furnish(config: Config, home: Home, logger: Logger): Promise<Gateway> {
  const fresh = (await home.database.system.rootKeys()).size === 0
  const rootKeys = await openRootKeys(config, fresh, logger)
  try {
    return await startEngine(config, home, rootKeys, logger)
  } catch (error) {
    await rootKeys.close()
    throw error
  }
}

async function startEngine(config: Config, home: Home, rootKeys: OpenRootKeys, logger: Logger): Promise<Gateway> {
  const clock = systemClock
  const { database } = home
  const metrics = new MetricsRegistry(METRICS)
  const { vault, keeper } = openVault(config, database, rootKeys, { logger, metrics })
  await vault.checkRootKeys()
  rootKeys.watch((keys) => vault.useRootKeys(keys))
  const owner = config.mode === 'development' ? await ensureDevelopmentOwner(database) : undefined
  const engine = await createEngine(config, { database, vault, keeper, clock, logger, metrics })
  const http = engine.http
  const scraped = await serveMetrics(config, metrics, logger)
  try {
    await listen(http, config)
  } catch (error) {
    await scraped.close()
    throw error
  }
  keeper.start()
  logger.info('Listening', { url: config.publicUrl })
  return gatewayOf(config, { home, rootKeys, engine, scraped }, owner)
}

/** What the two that count and tell are given by whoever opens them. */
interface Telling {
  readonly logger: Logger
  readonly metrics: Metrics
}

function openVault(config: Config, database: Database, rootKeys: OpenRootKeys, telling: Telling): { vault: Vault; keeper: Keeper } {
  const vault = createVault({
    database,
    keyring: rootKeys.keys,
    clock: systemClock,
    ...telling,
    rereadRootKeys: () => rootKeys.reread(),
  })
  const { rotateAfterDays } = config.keys
  return { vault, keeper: createKeeper({ database, vault, clock: systemClock, ...telling, rotateAfterDays }) }
}

/**
 * The metrics' own port. In development a taken one is left to whoever has it: two gateways on one machine are usual there. In production
 * nobody would notice that a node isn't watched, so that the start is refused.
 * @throws HomeError
 */
async function serveMetrics({ mode, metrics: at }: Config, metrics: MetricsRegistry, logger: Logger): Promise<Closing> {
  if (at.port === 0) return { close: () => Promise.resolve() }
  const figures = watchProcess(metrics)
  const render = (): string => {
    figures.collect()
    return metrics.render()
  }
  try {
    const server = await startMetricsServer(at, render)
    logger.info('Metrics', { url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${server.port}/metrics` })
    return {
      async close() {
        await server.close()
        figures.close()
      },
    }
  } catch (error) {
    figures.close()
    const refused = listenError(error as NodeJS.ErrnoException, at.port, at.host, 'SALLYPORT_METRICS')
    if (mode === 'production') throw refused
    logger.warn('No metrics: their port can not be listened on', { error: refused })
    return { close: () => Promise.resolve() }
  }
}

interface Closing {
  close(): Promise<void>
}

interface Parts {
  readonly database: Database
  readonly vault: Vault
  readonly keeper: Keeper
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

interface Engine {
  readonly http: HttpServer
  /** Writes down what is buffered, for at most `timeoutMs`, and closes everything. @throws AuditError when something could not be written. */
  close(timeoutMs: number): Promise<void>
}

async function createEngine(config: Config, parts: Parts): Promise<Engine> {
  const { database, vault, keeper, clock, logger, metrics } = parts
  const providers = providersOf(config)
  const egress = createEgress(egressPolicy(config))
  const useLog = createUseLog({ database, logger })
  const dpopNonces = createDpopNonces()
  const keys = createKeyAuthenticator({
    lookups: database.lookups,
    onChange: (listener) => database.onChange(listener),
    pepper: await vault.systemSecret('key_pepper'),
    clock,
    logger,
  })
  const sessions = createSessions({ lookups: database.lookups, clock })
  const https = config.publicUrl.startsWith('https:')
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const connect = createConnectService({
    database,
    vault,
    lineage,
    fetch: (input, init) => egress.fetch(input, init),
    dpopNonces,
    providers: (id) => providers.get(id),
    publicUrl: config.publicUrl,
    sessions,
    sessionCookie: sessionCookieName(https),
    problemFor,
    clock,
    logger,
  })
  const revocation = createRevocationService({
    database,
    vault,
    fetch: (input, init) => egress.fetch(input, init),
    providers: (id) => providers.get(id),
    clock,
    logger,
    metrics,
  })
  const targets = createTargetCache({
    read: (wanted) => readTarget(database, wanted),
    clock,
    maxAgeMs: TARGET_AGE_MS,
    maxAgeAwayMs: TARGET_AGE_AWAY_MS,
    patienceMs: TARGET_PATIENCE_MS,
    maxEntries: MAX_TARGETS,
  })
  const stopListening = database.onChange((change) => targets.drop(change))
  const store = createTenantStore({
    database,
    vault,
    lineage,
    transitions: createTransitions({ useLog, logger }),
    orphaned: (tx, id, tokens) => revocation.queue.orphanIn(tx, id, tokens),
  })
  const leases = config.databaseLeases === 'session' ? database.sessionLeases() : createRowLeases(database)
  const node = `${hostname().slice(0, 64)}/${process.pid}/${randomBase62(8)}`
  const accelerator = config.redisUrl === undefined ? undefined : createAccelerator({ url: config.redisUrl, node, logger })
  const { bufferMs } = config.refresh
  const refresher = createRenewal({
    store,
    leases,
    ...(accelerator === undefined ? {} : { hint: accelerator.hint }),
    spills: [await openSpill(config, logger), ...(accelerator === undefined ? [] : [accelerator.spill])],
    database,
    vault,
    providers: (id) => providers.get(id),
    fetch: (input, init) => egress.fetch(input, init),
    dpopNonces,
    revokeOrphan: (ref, tokens) => revocation.queue.orphan(ref, tokens),
    clock,
    logger,
    metrics,
    node,
    limits: { bufferMs },
  })
  const events = createEventService({
    database,
    vault,
    keySets: createKeySets({ egress, clock }),
    renew: (ref) =>
      // What becomes of it is on record in the connection's own state.
      void refresher.refreshNow(ref).catch((error: unknown) => logger.debug('A credential was not renewed for an event', { error })),
    onEnded: () => revocation.queue.poke(),
    providers: (id) => providers.get(id),
    loopbackOrigins: config.mode === 'development',
    clock,
    logger,
  })
  const explain = createExplain({ connect, database, clock, logger })
  const life = createCredentialLife({
    fresh: (ref, options) => refresher.fresh(ref, options),
    clock,
    bufferMs,
    jitter: DEFAULT_REFRESH_LIMITS.jitter,
    // What it means for the connection is on record already; the call it stood beside has gone on.
    onFailure: (error) => logger.debug('A credential was not renewed beside a call', { error }),
  })
  const routes = new Map(
    [...providers].map(([id, provider]) => [id, routeOut(provider, egressPolicy(config), { nonces: dpopNonces, clock })]),
  )
  const proxies = trustedProxies(config.trustedProxies)
  const keyGuard = createKeyGuard({
    publicUrl: config.publicUrl,
    certificateHeader: config.senders.certificateHeader,
    isTrustedPeer: (address) => isTrustedPeer(address, proxies),
    nonces: createNonces(await vault.systemSecret('dpop_nonce'), clock),
    requireNonce: config.senders.requireNonce,
    proofs: database.lookups,
    useLog,
    clock,
    logger,
  })
  const dataPlane = createDataPlane({
    keyGuard,
    authenticator: keys,
    targets,
    routes: (id) => routes.get(id),
    otherEnvironment: (wanted) => isInOtherEnvironment(database, wanted),
    vault,
    egress,
    life,
    explained: (error, principal, connection) => explain(error, principal, principal, connection),
    shares: createCallShares(Math.ceil(config.egress.maxConnectionsPerOrigin * ORGANIZATION_SHARE)),
    useLog,
    clock,
    logger,
    metrics,
    clientAddress: (request) => addressOf({ raw: request }, proxies),
    publicUrl: config.publicUrl,
    maxRequestBytes: config.limits.maxRequestBytes,
  })
  const cursorKey = await vault.systemSecret('cursor_key')
  const http = await createHttpServer({
    keyGuard,
    publicUrl: config.publicUrl,
    trustedProxies: config.trustedProxies,
    limits: config.limits,
    logger,
    keys,
    sessions,
    ready: () => readiness(database, refresher, accelerator),
    dataPlane: (request, response) => dataPlane.handle(request, response),
    register(app) {
      registerOperations(app, {
        database,
        vault,
        lineage,
        refresher,
        explain,
        keeper,
        keys,
        sessions,
        now: () => clock.now(),
        connect,
        revocation,
        eventSources: events.sources,
        cursors: createCursors(cursorKey),
        providers: [...providers.values()],
        sessionCookie: createSessionCookie(https),
        publicUrl: config.publicUrl,
        loopbackOrigins: config.mode === 'development',
      })
      connect.registerPages(app)
      events.registerRoutes(app)
    },
    consoleFolder: join(import.meta.dirname, '../../console/dist'),
  })
  revocation.start()
  const sweeper = setInterval(() => {
    void connect.sweepExpired().catch((error: unknown) => logger.warn('The sweep failed', { error }))
    void events.sweep()
  }, SWEEP_EVERY_MS)
  sweeper.unref()
  refresher.start()
  return {
    http,
    close(timeoutMs) {
      clearInterval(sweeper)
      const deadline = performance.now() + timeoutMs
      return inTurn([
        // Answers may be out while their records are still to be handed over.
        () => dataPlane.idle(),
        async () => keyGuard.close(),
        () => saveAnswers(refresher, config.saveTimeoutMs, logger),
        async () => refresher.close(),
        () => leases.close(),
        async () => accelerator?.close(),
        () => store.close(),
        () => useLog.close(Math.max(LAST_WORDS_MS, deadline - performance.now())),
        async () => stopListening(),
        () => revocation.close(),
        () => keeper.close(),
        async () => keys.close(),
        async () => vault.close(),
        () => egress.close(),
      ])
    },
  }
}

interface Running {
  readonly home: Home
  readonly rootKeys: OpenRootKeys
  readonly engine: Engine
  readonly scraped: Closing
}

/** Not while an answer of a provider is nowhere but here: whatever sends traffic should know that this node is not well. */
async function readiness(database: Database, refresher: Refresher, accelerator: Accelerator | undefined): Promise<'ok' | 'degraded'> {
  await database.ping()
  if (refresher.unsaved > 0) throw new SallyportError('answers_unsaved', 'answers of providers are not saved yet')
  return accelerator === undefined || accelerator.ok ? 'ok' : 'degraded'
}

/** Beside the embedded database, or where the gateway was told to keep what is its own: on this machine, whatever database it runs on. */
async function openSpill({ dataDir }: Config, logger: Logger): Promise<Spill> {
  const folder = join(dataDir, 'spill')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.W_OK)
  } catch (error) {
    logger.warn('Nothing can be kept in the data folder: a renewed credential is lost if this process dies while the database is away', {
      folder,
      error,
    })
  }
  return new FileSpill(folder, {
    onUnreadable: (name) => logger.error('An answer that waits to be saved can not be read; its file is left where it is', { name }),
  })
}

/** Refuses to go on to the end while a refresh is under way or an answer is not saved, for as long as was configured. */
async function saveAnswers(refresher: Refresher, timeoutMs: number, logger: Logger): Promise<void> {
  const left = await refresher.drain(timeoutMs)
  if (left.underWay + left.unsaved > 0) logger.error('Ending with refreshes that are not saved; the spill has what came back', { ...left })
}

function gatewayOf(config: Config, { home, rootKeys, engine, scraped }: Running, owner: DevelopmentOwner | undefined): Gateway {
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    const deadline = performance.now() + config.drainTimeoutMs
    return inTurn([
      async () => void (await engine.http.close(config.drainTimeoutMs)),
      () => engine.close(Math.max(LAST_WORDS_MS, deadline - performance.now())),
      () => rootKeys.close(),
      // To the end: a drain is worth watching.
      () => scraped.close(),
      () => home.close(),
    ])
  }
  return {
    url: config.publicUrl,
    async ownerLink() {
      if (owner === undefined) return undefined
      const token = await ownerLink(home.database.lookups, owner.person)
      return { token, href: `${config.publicUrl}/console/#owner=${token.reveal()}` }
    },
    failed: home.lost.then(
      () =>
        new SallyportError(
          'database_lost',
          'The embedded PostgreSQL ended by itself; the log has its last words. Start again: acknowledged data is safe.',
        ),
    ),
    stop() {
      stopping ??= stop()
      return stopping
    },
  }
}

/** Runs every step, each after the one before it, whatever fails. @throws the first failure, after the last step. */
async function inTurn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) await step().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

function providersOf(config: Config): ReadonlyMap<string, Provider> {
  const { insecureAllowOrigins } = config.egress
  return new Map(listProviders().map(({ id }) => [id, resolveProvider(id, config.providers[id], insecureAllowOrigins)!]))
}

function egressPolicy({ egress }: Config): EgressPolicy {
  return egress
}

function readTarget(
  database: Database,
  { org, project, environment, integration, selector }: TargetWanted,
): ReturnType<Database['proxyTarget']> {
  return database.proxyTarget({
    org,
    project,
    environment,
    slug: integration,
    connection: selector.connection,
    endUserId: selector.endUser,
  })
}

async function isInOtherEnvironment(database: Database, wanted: TargetWanted): Promise<boolean> {
  const { connection } = wanted.selector
  if (connection === undefined) return false
  const other = { project: wanted.project, environment: wanted.environment === 'live' ? 'test' : 'live' } as const
  return (await database.withTenant(wanted.org, (tx) => connectionFind(tx, other, connection))) !== undefined
}

/** Asked before anything is started, so that the commonest mistake costs nothing. */
async function requireFreePort({ port, host }: Config): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)))
    probe.listen(port, host, () => probe.close(() => resolve()))
  })
}

async function listen(http: HttpServer, { port, host }: Config): Promise<void> {
  await http.listen(port, host).catch((error: unknown) => {
    throw listenError(error as NodeJS.ErrnoException, port, host)
  })
}

/** @param variables what the names of its variables begin with */
function listenError(error: NodeJS.ErrnoException, port: number, host: string, variables = 'SALLYPORT'): HomeError {
  if (error.code === 'EADDRINUSE') {
    return new HomeError(
      'port_in_use',
      `Port ${port} on ${host} is in use. Stop what listens there, or choose another with ${variables}_PORT.`,
      { cause: error },
    )
  }
  return new HomeError(
    'listen_refused',
    `Can't listen on ${host} port ${port} (${error.code ?? error.name}). Choose another with ${variables}_HOST and ${variables}_PORT.`,
    {
      cause: error,
    },
  )
}
