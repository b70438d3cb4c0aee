/** Owns the model plane with its memory of kept keys. */
import { createAccessTokens, createEgress, formatId, MAX_GATHERED } from '@sallyport/core'
import type { CircuitChange, Logger, OrgId } from '@sallyport/core'
import { MODEL_ROUTES_MOST, modelRouteList, providerKeyProviders } from '../db/index.ts'
import type { Database, ModelRoute, Place } from '../db/index.ts'
import {
  createBodyHolding,
  createCompatiblePlane,
  createModelCalls,
  createModelGuard,
  createModelList,
  createModelRoutes,
  createNativePlane,
  createRoom,
} from '../llm/index.ts'
import { createContentLog, createWishes, listeningCalls, listeningMeter } from '../content/index.ts'
import { createKeptKeys } from '../models/index.ts'
import { createCallShares } from '../proxy/index.ts'
import type { DataPlane, VisitOptions } from '../proxy/index.ts'
import type { OpenMetering } from './metering.ts'
import type { Ground } from './parts.ts'

/** Worst age of what is remembered of kept keys when no word of a change arrives (G10). */
const KEY_AGE_MS = 10_000
/** And while the database is away. */
const KEY_AGE_AWAY_MS = 30_000
const MAX_KEYS = 20_000
/** Of bodies that are read whole before their call, all together; or twice the largest, so that one organization's leaves room for another's. */
const MOST_HELD_BYTES = 128 * 1024 * 1024
/** Of answers that are translated in one piece, all together. */
const MOST_ANSWERS_BYTES = 128 * 1024 * 1024

export interface OpenModelPlane {
  readonly modelPlane: DataPlane
  /** Writes down what organizations keep of calls, for at most `timeoutMs`. */
  closeContent(timeoutMs: number): Promise<void>
  stopListening(): void
  close(): Promise<void>
}

export function openModelPlane(ground: Ground, visits: VisitOptions, { meter: metered, priced }: OpenMetering): OpenModelPlane {
  const { config, database, vault, useLog, modelProviders, clock, logger, metrics } = ground
  const wishes = createWishes({ database, clock, logger })
  const content = createContentLog({ database, vault, logger, metrics })
  const meter = listeningMeter(metered, wishes, content)
  const keptKeys = createKeptKeys({
    read: (ask) => database.modelKeys(ask),
    clock,
    maxAgeMs: KEY_AGE_MS,
    maxAgeAwayMs: KEY_AGE_AWAY_MS,
    maxEntries: MAX_KEYS,
  })
  const { maxRequestBytes } = config.limits
  const { headersTimeoutMs, idleTimeoutMs, totalTimeoutMs, maxConnectionsPerOrigin, maxRequestBytes: maxStreamedBytes } = config.models
  // Connections of its own: answers that take an hour take none from other calls.
  const egress = createEgress({ ...config.egress, headersTimeoutMs, idleTimeoutMs, totalTimeoutMs, maxConnectionsPerOrigin })
  const tokens = createAccessTokens({ fetch: (input, init) => egress.fetch(input, init), clock })
  const holding = createBodyHolding(maxRequestBytes, Math.max(MOST_HELD_BYTES, 2 * maxRequestBytes))
  const leaving = createModelCalls({
    providers: modelProviders,
    keptKeys,
    vault,
    egress,
    origins: config.egress,
    shares: createCallShares(maxConnectionsPerOrigin),
    guard: createModelGuard({ ...config.breaker, onChange: (change) => tellCircuit(change, logger), clock, metrics }),
    tokens,
    holding,
    useLog,
    clock,
    maxStreamedBytes,
  })
  const calls = listeningCalls(leaving)
  const routes = createModelRoutes({ read: (org, at) => readRoutes(database, org, at), clock })
  const native = createNativePlane({ ...visits, calls, meter, holding, publicUrl: config.publicUrl, maxStreamedBytes })
  const compatible = createCompatiblePlane({
    ...visits,
    calls,
    meter,
    holding,
    routes,
    list: createModelList({
      routes,
      known: modelsOf(priced),
      keptFor: (org, at) => database.withTenant(org, (tx) => providerKeyProviders(tx, at)),
    }),
    maxAnswerBytes: MAX_GATHERED,
    room: createRoom(MOST_ANSWERS_BYTES),
    random: Math.random,
  })
  return {
    modelPlane: {
      handle: (request, response) => native.handle(request, response) || compatible.handle(request, response),
      idle: async () => void (await Promise.all([native.idle(), compatible.idle()])),
    },
    closeContent: (timeoutMs) => content.close(timeoutMs),
    stopListening: database.onChange((change) => {
      wishes.heard(change)
      keptKeys.heard(change)
      routes.heard(change)
      if (change === 'unknown') tokens.forget(undefined)
      else if (change.table === 'provider_key') tokens.forget(change.org)
    }),
    close: () => egress.close(),
  }
}

function readRoutes(database: Database, org: OrgId, at: Place): Promise<ModelRoute[]> {
  // Twice what a place may have: those that were made in one moment are not left out.
  return database.withTenant(org, (tx) => modelRouteList(tx, at, { limit: 2 * MODEL_ROUTES_MOST }))
}

/** A model may have several prices, and a price may be of all that begin so. */
function modelsOf(prices: readonly { readonly provider: string; readonly model: string }[]) {
  return [
    ...new Map(
      prices.filter(({ model }) => !model.endsWith('*')).map(({ provider, model }) => [`${provider}/${model}`, { provider, model }]),
    ).values(),
  ]
}

/** By ids alone; how often its own organization sees. */
function tellCircuit({ owner, provider, host, to }: CircuitChange, logger: Logger): void {
  const of = { org: formatId('org', owner as OrgId), provider, host }
  if (to === 'open') logger.warn('A provider of models keeps failing and is left alone for a while', { event: 'breaker.opened', ...of })
  else if (to === 'closed') logger.info('A provider of models answers again', { event: 'breaker.closed', ...of })
}
