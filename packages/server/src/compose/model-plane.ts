/** Owns the model plane with its memory of kept keys. */
import { formatId } from '@sallyport/core'
import type { CircuitChange, Logger, OrgId } from '@sallyport/core'
import { createModelCalls, createModelGuard, createNativePlane } from '../llm/index.ts'
import { createKeptKeys } from '../models/index.ts'
import type { DataPlane } from '../proxy/index.ts'
import type { UsageMeter } from '../usage/index.ts'
import type { Ground } from './parts.ts'
import type { Visits } from './visits.ts'

/** Worst age of what is remembered of kept keys when no word of a change arrives (G10). */
const KEY_AGE_MS = 10_000
/** And while the database is away. */
const KEY_AGE_AWAY_MS = 30_000
const MAX_KEYS = 20_000

export interface OpenModelPlane {
  readonly modelPlane: DataPlane
  stopListening(): void
}

export function openModelPlane(ground: Ground, { visits, shares }: Visits, meter: UsageMeter): OpenModelPlane {
  const { config, database, vault, egress, useLog, modelProviders, clock, logger, metrics } = ground
  const keptKeys = createKeptKeys({
    read: (ask) => database.modelKeys(ask),
    clock,
    maxAgeMs: KEY_AGE_MS,
    maxAgeAwayMs: KEY_AGE_AWAY_MS,
    maxEntries: MAX_KEYS,
  })
  const { maxRequestBytes } = config.limits
  const calls = createModelCalls({
    providers: modelProviders,
    keptKeys,
    vault,
    egress,
    origins: config.egress,
    shares,
    guard: createModelGuard({ ...config.breaker, onChange: (change) => tellCircuit(change, logger), clock, metrics }),
    useLog,
    maxRequestBytes,
  })
  return {
    modelPlane: createNativePlane({ ...visits, calls, meter, publicUrl: config.publicUrl, maxRequestBytes }),
    stopListening: database.onChange((change) => keptKeys.heard(change)),
  }
}

/** By ids alone; how often its own organization sees. */
function tellCircuit({ owner, provider, host, to }: CircuitChange, logger: Logger): void {
  const of = { org: formatId('org', owner as OrgId), provider, host }
  if (to === 'open') logger.warn('A provider of models keeps failing and is left alone for a while', { event: 'breaker.opened', ...of })
  else if (to === 'closed') logger.info('A provider of models answers again', { event: 'breaker.closed', ...of })
}
