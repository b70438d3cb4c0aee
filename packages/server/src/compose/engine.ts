/** Owns the engine: every group made in the order in which they depend on each other, behind one server, and the order in which they end. */
import { join } from 'node:path'
import { createDpopNonces, createEgress, listProviders, modelProvidersWith, resolveProvider, SallyportError } from '@sallyport/core'
import type { Provider } from '@sallyport/core'
import { createUseLog } from '../audit/index.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/index.ts'
import { createCursors, createHttpServer, createSessionCookie } from '../http/index.ts'
import type { HttpServer } from '../http/index.ts'
import { createIdempotency } from '../idempotency/index.ts'
import { createProviderKeys } from '../models/index.ts'
import { createOrganizationDeletions } from '../organizations/index.ts'
import type { OrganizationDeletions } from '../organizations/index.ts'
import { registerOperations } from '../routes/index.ts'
import { createCallers } from './callers.ts'
import type { Callers } from './callers.ts'
import { rateBounds } from './limits.ts'
import { allOf, inTurn } from './closing.ts'
import { createCredentials } from './credentials.ts'
import type { Credentials } from './credentials.ts'
import { openDataPlane } from './data-plane.ts'
import type { OpenDataPlane } from './data-plane.ts'
import { openMetering } from './metering.ts'
import { openModelPlane } from './model-plane.ts'
import type { OpenModelPlane } from './model-plane.ts'
import { createSweeping } from './sweeping.ts'
import { openVisits } from './visits.ts'
import { roomOf } from './parts.ts'
import type { Ground, Parts } from './parts.ts'

const SWEEP_EVERY_MS = 60_000
const SWEEP_BATCH = 10_000
/** Of what is kept of model calls: a part may be a megabyte, and a statement has its time. */
const CONTENT_BATCH = 500
/** What is buffered gets at least this long to be written, however long the drain took. */
export const LAST_WORDS_MS = 3_000

export interface Engine {
  readonly http: HttpServer
  /** Writes down what is buffered, for at most `timeoutMs`, and closes everything. @throws AuditError when something could not be written. */
  close(timeoutMs: number): Promise<void>
}

export async function createEngine(parts: Parts): Promise<Engine> {
  const { config, database, vault, personal, keeper, checkpointer, logger, metrics } = parts
  const egress = createEgress(config.egress)
  const useLog = createUseLog({ database, personal, logger, metrics })
  const ground: Ground = {
    ...parts,
    egress,
    useLog,
    dpopNonces: createDpopNonces(),
    providers: providersOf(config),
    modelProviders: modelProvidersWith(config.models.providers),
  }
  const callers = await createCallers(ground)
  const credentials = await createCredentials(ground, callers.sessions)
  const visits = openVisits(ground, callers)
  const calls = openDataPlane(ground, visits, credentials)
  const metering = openMetering(ground)
  const models = openModelPlane(ground, visits, metering)
  const deletions = createOrganizationDeletions({ database, bulk: credentials.revocation.bulk, logger })
  const http = await createServer(ground, callers, credentials, { ...calls, ...models }, deletions)
  credentials.revocation.start()
  deletions.start()
  const stopSweeping = sweep(ground, credentials)
  credentials.refresher.start()
  return {
    http,
    close(timeoutMs) {
      stopSweeping()
      const deadline = performance.now() + timeoutMs
      return inTurn([
        // Answers may be out while their records are still to be handed over.
        () => allOf([calls.dataPlane.idle(), models.modelPlane.idle()]),
        async () => callers.keyGuard.close(),
        () => callers.closeLimits(),
        ...credentials.endRenewal,
        () => metering.close(),
        () => models.closeContent(LAST_WORDS_MS),
        () => useLog.close(Math.max(LAST_WORDS_MS, deadline - performance.now())),
        async () => {
          calls.stopListening()
          models.stopListening()
        },
        // Each waits for the statement that it is at, which a database that no longer hears answers after its whole patience: side by side they wait once.
        () => allOf([callers.keyUses.close(), deletions.close(), credentials.revocation.close(), keeper.close(), checkpointer.close()]),
        async () => callers.keys.close(),
        async () => vault.close(),
        () => allOf([egress.close(), models.close()]),
      ])
    },
  }
}

async function createServer(
  ground: Ground,
  callers: Callers,
  credentials: Credentials,
  calls: Pick<OpenDataPlane, 'dataPlane'> & Pick<OpenModelPlane, 'modelPlane'>,
  deletions: OrganizationDeletions,
): Promise<HttpServer> {
  const { config, database, vault, personal, keeper, checkpointer, providers, clock, logger, certificate } = ground
  const { keys, sessions, people, breakGlass, keyGuard, keyUses, limiter, crossOrigin } = callers
  const { lineage, refresher, explain, connect, revocation, events } = credentials
  const cursors = createCursors(await vault.systemSecret('cursor_key'))
  const idempotencyKey = await vault.systemSecret('idempotency_key')
  const stepUp = () => ({ now: clock.now(), maxAgeS: config.stepUpMaxAgeS })
  const fingerprintKey = await vault.systemSecret('provider_key_fingerprint')
  return createHttpServer({
    keyGuard,
    keyUses,
    publicUrl: config.publicUrl,
    trustedProxies: config.trustedProxies,
    limits: config.limits,
    certificate,
    requireTls: config.mode === 'production' && certificate === undefined,
    logger,
    keys,
    sessions,
    limiter,
    people,
    breakGlass,
    crossOrigin,
    stepUp,
    ready: () => readiness(database, credentials),
    dataPlane: (request, response) => calls.dataPlane.handle(request, response) || calls.modelPlane.handle(request, response),
    register(app) {
      registerOperations(app, {
        database,
        vault,
        personal,
        lineage,
        refresher,
        explain,
        keeper,
        checkpointer,
        keys,
        sessions,
        people,
        organizationsPerOwner: config.organizationsPerOwner,
        keysPerOrganization: config.keysPerOrganization,
        room: roomOf(config),
        now: () => clock.now(),
        stepUp,
        connect,
        deletions,
        idempotency: createIdempotency({ database, vault, key: idempotencyKey, logger }),
        providerKeys: createProviderKeys({ vault, providers: ground.modelProviders, fingerprintKey }),
        revocation,
        eventSources: events.sources,
        cursors,
        rates: rateBounds(config),
        providers: [...providers.values()],
        sessionCookie: createSessionCookie(config.publicUrl.startsWith('https:')),
        publicUrl: config.publicUrl,
        loopbackOrigins: config.mode === 'development',
      })
      connect.registerPages(app)
      events.registerRoutes(app)
      callers.logout.registerRoutes(app)
    },
    consoleFolder: join(import.meta.dirname, '../../../console/dist'),
  })
}

/** Clears what expired, until the function that it gives is called. */
function sweep({ config, database, logger }: Ground, { connect, events }: Credentials): () => void {
  const { recordRetentionDays: records, dayRetentionDays: days } = config.usage
  const failed = (error: unknown): void => logger.warn('The sweep failed', { error })
  const { lookups } = database
  const sweeping = createSweeping(
    [
      [(most) => lookups.idempotencySweep(most), SWEEP_BATCH],
      [(most) => lookups.providerKeySweep(most), SWEEP_BATCH],
      [(most) => lookups.storedContentSweep(most), CONTENT_BATCH],
      [(most) => lookups.usageSweep({ records, days }, most), SWEEP_BATCH],
      [(most) => lookups.endUserForgottenSweep(most), SWEEP_BATCH],
    ],
    failed,
  )
  const sweeper = setInterval(() => {
    void connect.sweepExpired().catch(failed)
    void events.sweep()
    void sweeping.round()
  }, SWEEP_EVERY_MS)
  sweeper.unref()
  return () => {
    clearInterval(sweeper)
    sweeping.stop()
  }
}

/** Not while an answer of a provider is nowhere but here: whatever sends traffic should know that this node is not well. */
async function readiness(database: Database, { refresher, accelerator }: Credentials): Promise<'ok' | 'degraded'> {
  await database.ping()
  if (refresher.unsaved > 0) throw new SallyportError('answers_unsaved', 'answers of providers are not saved yet')
  return accelerator === undefined || accelerator.ok ? 'ok' : 'degraded'
}

function providersOf(config: Config): ReadonlyMap<string, Provider> {
  const { insecureAllowOrigins } = config.egress
  return new Map(listProviders().map(({ id }) => [id, resolveProvider(id, config.providers[id], insecureAllowOrigins)!]))
}
