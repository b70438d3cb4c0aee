/** Owns what the planes that call out share: how a caller is admitted and answered. */
import { addressOf, transportHeaders, trustedProxies } from '../http/index.ts'
import type { VisitOptions } from '../proxy/index.ts'
import type { Callers } from './callers.ts'
import type { Ground } from './parts.ts'

export function openVisits(ground: Ground, { keys, keyGuard, keyUses, limiter, crossOrigin }: Callers): VisitOptions {
  const { config, database, useLog, clock, logger, metrics } = ground
  const transport = transportHeaders(config.publicUrl)
  const proxies = trustedProxies(config.trustedProxies)
  return {
    authenticator: keys,
    keyGuard,
    keyUses,
    limiter,
    crossOrigin,
    useLog,
    clock,
    logger,
    metrics,
    clientAddress: (request) => addressOf({ raw: request }, proxies),
    transport: { fields: transport, flat: Object.entries(transport).flatMap(([name, value]) => [name, value]) },
    isFromMemory: () => !database.health.ok,
  }
}
