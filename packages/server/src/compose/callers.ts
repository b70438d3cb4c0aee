/** Owns who calls, and how often: keys, sessions, limits, and what a key is bound to beside its text. */
import { createKeySets } from '@sallyport/core'
import { createKeyGuard, createNonces } from '../binding/index.ts'
import type { KeyGuard } from '../binding/index.ts'
import { browserOriginsFind } from '../db/index.ts'
import type { Database } from '../db/index.ts'
import { addressOf, createCrossOrigin, createProjectOrigins, isTrustedPeer, transportHeaders, trustedProxies } from '../http/index.ts'
import type { CrossOrigin, TrustedProxies } from '../http/index.ts'
import {
  addressGroup,
  createBreakGlassRecord,
  createKeyAuthenticator,
  createKeyUses,
  createOutsideIssuers,
  createPeople,
  createSessions,
  LOCAL_ISSUER,
} from '../identity/index.ts'
import type { BreakGlassRecord, KeyAuthenticator, KeyUses, People, Sessions } from '../identity/index.ts'
import { createBackChannelLogout } from '../logout/index.ts'
import type { BackChannelLogout } from '../logout/index.ts'
import type { Limiter } from '../limits/index.ts'
import { openLimits } from './limits.ts'
import type { Ground } from './parts.ts'

export interface Callers {
  readonly keys: KeyAuthenticator
  readonly sessions: Sessions
  readonly people: People
  readonly logout: BackChannelLogout
  readonly breakGlass: BreakGlassRecord
  readonly keyGuard: KeyGuard
  readonly keyUses: KeyUses
  readonly limiter: Limiter
  readonly crossOrigin: CrossOrigin
  closeLimits(): Promise<void>
}

export async function createCallers(ground: Ground): Promise<Callers> {
  const { config, database, vault, personal, egress, useLog, clock, logger } = ground
  const proxies = trustedProxies(config.trustedProxies)
  const limits = await openLimits(ground)
  const keySets = createKeySets({ egress, clock })
  const issuers = createOutsideIssuers({ issuers: config.jwtIssuers, secrets: config.jwtSecrets, keySets })
  const onChange: Database['onChange'] = (listener) => database.onChange(listener)
  const sessions = createSessions({
    lookups: database.lookups,
    onChange,
    clock,
    takesIssuer: (issuer) => issuer === LOCAL_ISSUER || issuers.of(issuer).length > 0,
    linkAssurance: config.linkAssurance,
  })
  const people = createPeople({ issuers, lookups: database.lookups, onChange, clock, logger })
  return {
    limiter: limits.limiter,
    crossOrigin: openCrossOrigin(ground, proxies),
    closeLimits: () => limits.close(),
    keys: createKeyAuthenticator({ lookups: database.lookups, onChange, pepper: await vault.systemSecret('key_pepper'), clock, logger }),
    sessions,
    people,
    logout: createBackChannelLogout({ issuers, database, sessions, people, clock, logger }),
    breakGlass: createBreakGlassRecord({ database, personal }),
    keyUses: createKeyUses({ lookups: database.lookups, clock, logger }),
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

/** Which pages of other origins may call. Forgotten with the database's feed of changes. */
function openCrossOrigin({ config, database, clock }: Ground, proxies: TrustedProxies): CrossOrigin {
  const origins = createProjectOrigins(
    {
      of: (org, project) => database.withTenant(org, (tx) => browserOriginsFind(tx, project)),
      isKnown: (origin) => database.lookups.browserOriginKnown(origin),
    },
    clock,
    addressGroup,
  )
  database.onChange((change) => origins.heard(change))
  return createCrossOrigin({
    isKnown: (origin, address) => origins.isKnown(origin, address),
    addressOf: (request) => addressOf({ raw: request }, proxies),
    originsOf: (org, project) => origins.of(org, project),
    headers: transportHeaders(config.publicUrl),
  })
}
