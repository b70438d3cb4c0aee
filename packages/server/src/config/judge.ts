/**
 * Owns what must be true between settings, and what each mode allows. Refuses to stop at the first fault, and to judge a setting that was
 * already refused by itself (it is absent here).
 */
import type { ConfigFault } from './config-error.ts'
import { issuersFaults } from './issuers.ts'
import { keysFaults } from './keys.ts'
import { metricsFaults } from './metrics.ts'
import { modelsFaults } from './models.ts'
import { isLoopback } from './network-text.ts'
import { rateFaults } from './rate.ts'
import type { ParsedConfig } from './schema.ts'
import { plaintextFaults, wellKnownHolderFaults, wellKnownPasswordFaults } from './secret-fault.ts'
import { tlsFaults } from './tls.ts'

/** Settings that passed their own check. Groups are always there; what was refused is missing inside. */
export type Judged = Partial<
  Omit<
    ParsedConfig,
    | 'audit'
    | 'breaker'
    | 'egress'
    | 'firstOwner'
    | 'keys'
    | 'limits'
    | 'metrics'
    | 'models'
    | 'rate'
    | 'refresh'
    | 'senders'
    | 'tls'
    | 'usage'
  >
> & {
  readonly audit: Partial<ParsedConfig['audit']>
  readonly breaker: Partial<ParsedConfig['breaker']>
  readonly egress: Partial<ParsedConfig['egress']>
  readonly firstOwner: Partial<ParsedConfig['firstOwner']>
  readonly keys: Partial<ParsedConfig['keys']>
  readonly limits: Partial<ParsedConfig['limits']>
  readonly metrics: Partial<ParsedConfig['metrics']>
  readonly models: Partial<ParsedConfig['models']>
  readonly rate: Partial<ParsedConfig['rate']>
  readonly refresh: Partial<ParsedConfig['refresh']>
  readonly senders: Partial<ParsedConfig['senders']>
  readonly tls: Partial<ParsedConfig['tls']>
  readonly usage: Partial<ParsedConfig['usage']>
}

/** Addresses of what the gateway keeps its data in. */
export const STORES = ['databaseUrl', 'databaseMigrationUrl', 'databaseSessionUrl', 'redisUrl'] as const

/** Settings that were written but refused: their absence from `Judged` says nothing. */
export type Refused = ReadonlySet<string>

const ENDPOINTS = ['authorizationEndpoint', 'tokenEndpoint', 'userinfoEndpoint', 'apiBase'] as const

export function judge(config: Judged, refused: Refused): ConfigFault[] {
  return [
    ...timeFaults(config),
    ...overlayFaults(config),
    ...insecureOriginFaults(config),
    ...keysFaults(config.keys, { mode: config.mode, hasEncryptionKeys: config.encryptionKeys !== undefined, refused }),
    ...metricsFaults(config),
    ...modelsFaults({ mode: config.mode, providers: config.models.providers, insecureAllowOrigins: config.egress.insecureAllowOrigins }),
    ...rateFaults(config.rate),
    ...tlsFaults({ publicUrl: config.publicUrl, tls: config.tls, refused }),
    ...issuersFaults({
      mode: config.mode,
      issuers: config.jwtIssuers,
      secrets: config.jwtSecrets,
      firstOwner: config.firstOwner,
      insecureAllowOrigins: config.egress.insecureAllowOrigins,
      refused,
    }),
    ...(config.databaseMigrationUrl !== undefined && config.databaseUrl === undefined && !refused.has('databaseUrl')
      ? [fault('databaseMigrationUrl', 'needs databaseUrl: the embedded database migrates itself')]
      : []),
    ...(config.databaseSessionUrl !== undefined && config.databaseUrl === undefined && !refused.has('databaseUrl')
      ? [fault('databaseSessionUrl', 'needs databaseUrl: the embedded database has sessions of its own')]
      : []),
    ...senderFaults(config, refused),
    ...STORES.flatMap((name) => storeFaults(name, config)),
    ...(config.mode === 'production' ? productionFaults(config, refused) : []),
  ]
}

/** A header about certificates is believed of proxies alone. */
function senderFaults({ senders, trustedProxies = [] }: Judged, refused: Refused): ConfigFault[] {
  if (senders.certificateHeader === undefined || trustedProxies.length > 0 || refused.has('trustedProxies')) return []
  return [fault('senders.certificateHeader', 'needs trustedProxies: nobody else may say which certificate a client has')]
}

/** A step can't be given longer than the whole. */
function timeFaults({ egress, limits, models }: Judged): ConfigFault[] {
  return [
    ...longer('egress.connectTimeoutMs', egress.connectTimeoutMs, 'egress.totalTimeoutMs', egress.totalTimeoutMs),
    ...longer('egress.headersTimeoutMs', egress.headersTimeoutMs, 'egress.totalTimeoutMs', egress.totalTimeoutMs),
    ...longer('egress.idleTimeoutMs', egress.idleTimeoutMs, 'egress.totalTimeoutMs', egress.totalTimeoutMs),
    ...(['headersTimeoutMs', 'idleTimeoutMs'] as const).flatMap((name) =>
      longer(`models.${name}`, models[name], 'models.totalTimeoutMs', models.totalTimeoutMs),
    ),
    ...longer('limits.headersTimeoutMs', limits.headersTimeoutMs, 'limits.requestTimeoutMs', limits.requestTimeoutMs),
  ]
}

function longer(step: string, stepMs: number | undefined, whole: string, wholeMs: number | undefined): ConfigFault[] {
  return stepMs === undefined || wholeMs === undefined || stepMs <= wholeMs ? [] : [fault(step, `must not be longer than ${whole}`)]
}

/** With some endpoints real and some not, a real code or token would be sent to the wrong place. */
function overlayFaults({ providers = {}, egress, mode }: Judged): ConfigFault[] {
  return Object.entries(providers).flatMap(([id, overlay]) => [
    ...ENDPOINTS.filter((name) => overlay[name] === undefined).map((name) =>
      fault(`providers.${id}.${name}`, 'is missing: an overlay names all endpoints'),
    ),
    ...Object.entries(overlay).flatMap(([name, url]) => {
      const origin = typeof url === 'string' && url.startsWith('http:') ? URL.parse(url)?.origin : undefined
      if (origin === undefined) return []
      if (mode === 'production') return [fault(`providers.${id}.${name}`, 'must be https in production')]
      const open = egress.insecureAllowOrigins === undefined || egress.insecureAllowOrigins.includes(origin)
      return open ? [] : [fault(`providers.${id}.${name}`, 'must be https, or its origin listed in egress.insecureAllowOrigins')]
    }),
  ])
}

function insecureOriginFaults({ egress, mode }: Judged): ConfigFault[] {
  const origins = egress.insecureAllowOrigins ?? []
  if (mode === 'production') return origins.length === 0 ? [] : [fault('egress.insecureAllowOrigins', 'must be empty in production')]
  return origins.flatMap((origin, index) =>
    isLoopback(URL.parse(origin)?.hostname ?? '') ? [] : [fault(`egress.insecureAllowOrigins[${index}]`, 'must be a loopback origin')],
  )
}

const HOLDER_SECRETS = ['awsSecretAccessKey', 'pkcs11Pin', 'vaultSecretId', 'vaultToken'] as const

function productionFaults(config: Judged, refused: Refused): ConfigFault[] {
  const { keys } = config
  const missing = (name: 'encryptionKeys' | 'publicUrl') => config[name] === undefined && !refused.has(name)
  return [
    ...(missing('encryptionKeys') && keys.source === 'config' && keys.wrapper === 'local'
      ? [fault('encryptionKeys', 'is required in production: nothing is ever stored without encryption')]
      : []),
    ...HOLDER_SECRETS.flatMap((name) =>
      (keys[name] === undefined ? [] : wellKnownHolderFaults(keys[name])).map((why) => fault(`keys.${name}`, why)),
    ),
    ...(missing('publicUrl') ? [fault('publicUrl', 'is required in production')] : []),
    ...(config.publicUrl?.startsWith('http:') ? [fault('publicUrl', 'must be https in production')] : []),
    // Nobody ends TLS, or whoever does can't be believed.
    ...(config.trustedProxies?.length === 0 && !endsTls(config, refused)
      ? [fault('trustedProxies', 'must name the proxy that ends TLS, in production, unless tls.certFile and tls.keyFile are set')]
      : []),
  ]
}

/** Or was meant to, by a setting that is refused by itself. */
function endsTls({ tls }: Judged, refused: Refused): boolean {
  return tls.certFile !== undefined || tls.keyFile !== undefined || refused.has('tls.certFile') || refused.has('tls.keyFile')
}

function storeFaults(name: (typeof STORES)[number], config: Judged): ConfigFault[] {
  const url = config[name]
  if (url === undefined) return []
  const production = config.mode === 'production'
  return [
    ...(production ? wellKnownPasswordFaults(url) : []),
    // Redis holds nothing that was not sealed, and yet what it says counts: it is asked for TLS in every mode.
    ...(production || name === 'redisUrl' ? plaintextFaults(url, config.insecureAllowPlaintextStores === true) : []),
  ].map((reason) => fault(name, reason))
}

function fault(name: string, reason: string): ConfigFault {
  return { setting: name, reason }
}
