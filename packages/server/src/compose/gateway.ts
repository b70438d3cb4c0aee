/**
 * Owns the start and the end of a gateway: a configuration becomes a running one, in the order in which things depend on each other, and is
 * taken apart again. Refuses to listen before everything behind the port is checked.
 */
import { setTimeout } from 'node:timers/promises'
import { createLogger, MetricsRegistry, SallyportError, systemClock } from '@sallyport/core'
import type { Logger, Secret } from '@sallyport/core'
import type { Config } from '../config.ts'
import { migrateGiven, openHome, openRootKeys } from '../home/index.ts'
import type { Home, OpenRootKeys } from '../home/index.ts'
import { openConfiguredCertificate } from '../http/index.ts'
import type { TlsCertificate } from '../http/index.ts'
import { ensureDevelopmentOwner, ownerLink } from '../identity/index.ts'
import type { DevelopmentOwner } from '../identity/index.ts'
import { METRICS } from '../metrics/index.ts'
import { inTurn } from './closing.ts'
import type { Closing } from './closing.ts'
import { createEngine, LAST_WORDS_MS } from './engine.ts'
import type { Engine } from './engine.ts'
import { openCheckpointer, openVault } from './keyroom.ts'
import { nodeName } from './parts.ts'
import { listen, requireFreePort } from './listening.ts'
import { serveMetrics } from './scraping.ts'

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
  /** Says that it is ending, then refuses new calls, lets running ones finish, writes down what is buffered, and closes everything. Idempotent. */
  stop(): Promise<void>
}

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
  const { vault, personal, keeper } = openVault(config, database, rootKeys, { logger, metrics })
  await vault.checkRootKeys()
  rootKeys.watch((keys) => vault.useRootKeys(keys))
  const owner = config.mode === 'development' ? await ensureDevelopmentOwner(database) : undefined
  const checkpointer = openCheckpointer(config, { database, vault }, { logger, metrics })
  const certificate = await openConfiguredCertificate(config.tls, { clock, logger, metrics })
  const engine = await createEngine({
    config,
    database,
    vault,
    personal,
    keeper,
    checkpointer,
    clock,
    logger,
    metrics,
    node: nodeName(),
    certificate,
  })
  const http = engine.http
  const scraped = await serveMetrics(config, metrics, logger)
  try {
    await listen(http, config)
  } catch (error) {
    await scraped.close()
    throw error
  }
  certificate?.start()
  keeper.start()
  checkpointer.start()
  logger.info('Listening', { url: config.publicUrl })
  return gatewayOf(config, { home, rootKeys, engine, scraped, certificate }, owner)
}

interface Running {
  readonly home: Home
  readonly rootKeys: OpenRootKeys
  readonly engine: Engine
  readonly scraped: Closing
  readonly certificate: TlsCertificate | undefined
}

function databaseLost(): Error {
  return new SallyportError(
    'database_lost',
    'The embedded PostgreSQL ended by itself; the log has its last words. Start again: acknowledged data is safe.',
  )
}

function gatewayOf(
  config: Config,
  { home, rootKeys, engine, scraped, certificate }: Running,
  owner: DevelopmentOwner | undefined,
): Gateway {
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    engine.http.announceEnd()
    const deadline = performance.now() + config.drainNoticeMs + config.drainTimeoutMs
    return inTurn([
      () => setTimeout(config.drainNoticeMs),
      async () => void (await engine.http.close(config.drainTimeoutMs)),
      async () => certificate?.close(),
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
    failed: Promise.race([home.lost.then(databaseLost), home.database.superseded]),
    stop() {
      stopping ??= stop()
      return stopping
    },
  }
}
