/** Owns who calls, and how often: keys, sessions, limits, and what a key is bound to beside its text. */
import { createKeySets } from '@sallyport/core'
import { createKeyGuard, createNonces } from '../binding/index.ts'
import type { KeyGuard } from '../binding/index.ts'
import { isTrustedPeer, trustedProxies } from '../http/index.ts'
import { createKeyAuthenticator, createOutsideIssuers, createPeople, createSessions, LOCAL_ISSUER } from '../identity/index.ts'
import type { KeyAuthenticator, People, Sessions } from '../identity/index.ts'
import type { Limiter } from '../limits/index.ts'
import { openLimits } from './limits.ts'
import type { Ground } from './parts.ts'

export interface Callers {
  readonly keys: KeyAuthenticator
  readonly sessions: Sessions
  readonly people: People
  readonly keyGuard: KeyGuard
  readonly limiter: Limiter
  closeLimits(): Promise<void>
}

export async function createCallers(ground: Ground): Promise<Callers> {
  const { config, database, vault, egress, useLog, clock, logger } = ground
  const proxies = trustedProxies(config.trustedProxies)
  const limits = await openLimits(ground)
  const keySets = createKeySets({ egress, clock })
  const issuers = createOutsideIssuers({ issuers: config.jwtIssuers, secrets: config.jwtSecrets, keySets })
  return {
    limiter: limits.limiter,
    closeLimits: () => limits.close(),
    keys: createKeyAuthenticator({
      lookups: database.lookups,
      onChange: (listener) => database.onChange(listener),
      pepper: await vault.systemSecret('key_pepper'),
      clock,
      logger,
    }),
    sessions: createSessions({
      lookups: database.lookups,
      onChange: (listener) => database.onChange(listener),
      clock,
      takesIssuer: (issuer) => issuer === LOCAL_ISSUER || issuers.of(issuer).length > 0,
    }),
    people: createPeople({ issuers, lookups: database.lookups, onChange: (listener) => database.onChange(listener), clock, logger }),
    keyGuard: createKeyGuard({
      publicUrl: config.publicUrl,
      certificateHeader: config.senders.certificateHeader,
      isTrustedPeer: (address) => isTrustedPeer(address, proxies),
      nonces: createNonces(await vault.systemSecret('dpop_nonce'), clock),
      requireNonce: config.senders.requireNonce,
      proofs: database.lookups,
      useLog,
      clock,
      logger,
    }),
  }
}
