/** Owns what the planes that call out share: how a caller is admitted and answered, and how much of an origin one organization gets over all of them. */
import { addressOf, transportHeaders, trustedProxies } from '../http/index.ts'
import { createCallShares } from '../proxy/index.ts'
import type { CallShares, VisitOptions } from '../proxy/index.ts'
import type { Callers } from './callers.ts'
import type { Ground } from './parts.ts'

export interface Visits {
  readonly visits: VisitOptions
  readonly shares: CallShares
}

export function openVisits(ground: Ground, { keys, keyGuard, keyUses, limiter, crossOrigin }: Callers): Visits {
  const { config, database, useLog, clock, logger, metrics } = ground
  const transport = transportHeaders(config.publicUrl)
  const proxies = trustedProxies(config.trustedProxies)
  return {
    shares: createCallShares(config.egress.maxConnectionsPerOrigin),
    visits: {
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
    },
  }
}
