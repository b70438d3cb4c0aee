/**
 * Owns the judgement of a configuration: every fault of it at once, before anything is opened. Refuses plain http towards people's browsers,
 * tokens in memory and insecure origins in production, and scopes that the features asked for don't get by with.
 */
import { isIP } from 'node:net'
import { checkedApiRecord, featureScopes, lackingFeatures, listProviders, recordEndpoints, resolveProvider } from '../catalog/index.ts'
import type { ApiRecord, Feature } from '../catalog/index.ts'
import { collectionOf, CONNECTORS } from '../connectors/index.ts'
import { DEFAULT_EGRESS_POLICY, EgressError, judgeUrl } from '../http/index.ts'
import { SallyportError } from '../kernel/index.ts'
import { readEncryption } from '../stores/index.ts'
import type { EncryptionConfig, TokenStoreConfig } from '../stores/index.ts'
import { DEFAULT_MAX_DELAY_MS, DEFAULT_TIMEOUT_MS } from './call-policies.ts'
import type { ReadConfig, ReadProviderConfig } from './config-form.ts'
import { FEED } from './feeds.ts'
import type { ConfigFault } from './errors.ts'
import { judgeScheme } from './schemes.ts'
import type { ConfiguredScheme } from './schemes.ts'

/** A provider as this application uses it. */
export interface ConfiguredProvider {
  readonly name: string
  readonly record: ApiRecord
  /** How it is authorized there. */
  readonly scheme: ConfiguredScheme
  /** Asked for at each sign-in. */
  readonly scopes: readonly string[]
}

export interface Surroundings {
  readonly production: boolean
  readonly insecureAllowOrigins: readonly string[]
}

export function surroundingsOf({ mode, insecureAllowOrigins = [] }: ReadConfig): Surroundings {
  return { production: mode !== 'development', insecureAllowOrigins }
}

/** Providers by name, and what is wrong with them and around them. */
export function judgeConfig(config: ReadConfig): {
  readonly providers: ReadonlyMap<string, ConfiguredProvider>
  readonly faults: readonly ConfigFault[]
} {
  const around = surroundingsOf(config)
  const faults: ConfigFault[] = [...originFaults(around), ...encryptionFaults(config), ...httpFaults(config)]
  const records = new Map<string, ApiRecord>()
  for (const [index, input] of (config.connectors ?? []).entries()) {
    const record = judged(() => checkedApiRecord(input, around.insecureAllowOrigins), `connectors.${index}`, faults)
    if (record === undefined) continue
    if (records.has(record.id)) faults.push({ path: `connectors.${index}.id`, message: 'is the id of another connector' })
    records.set(record.id, record)
  }
  const providers = new Map<string, ConfiguredProvider>()
  for (const [name, options] of Object.entries(config.providers)) {
    const made = judgeProvider(name, options, records.get(name), around, `providers.${name}`)
    faults.push(...made.faults)
    if (made.provider !== undefined) providers.set(name, made.provider)
  }
  for (const name of Object.keys(config.rateLimits ?? {}))
    if (!Object.hasOwn(config.providers, name) && name !== FEED)
      faults.push({ path: `rateLimits.${name}`, message: 'is the limit of no configured provider' })
  return { providers, faults: [...faults, ...alternativeFaults(config, providers)] }
}

/** Whether each has items of the feature is known where the connectors are. */
function alternativeFaults({ alternatives = {} }: ReadConfig, providers: ReadonlyMap<string, ConfiguredProvider>): ConfigFault[] {
  return Object.entries(alternatives).flatMap(([feature, names]) => {
    const path = `alternatives.${feature}`
    const collection = collectionOf(feature as Feature)
    if (collection === undefined) return [{ path, message: 'is no feature of which there are items' }]
    return names.flatMap((name, index): ConfigFault[] => {
      const at = `${path}.${index}`
      const provider = providers.get(name)
      if (provider === undefined) return [{ path: at, message: 'is no configured provider' }]
      if (names.indexOf(name) !== index) return [{ path: at, message: 'is named twice' }]
      const has = CONNECTORS.get(provider.record.id)?.collections
      return has !== undefined && Object.hasOwn(has, collection) ? [] : [{ path: at, message: `has no ${collection}` }]
    })
  })
}

export function judgeProvider(
  name: string,
  options: ReadProviderConfig,
  connector: ApiRecord | undefined,
  around: Surroundings,
  path: string,
): { readonly provider?: ConfiguredProvider; readonly faults: readonly ConfigFault[] } {
  const { redirectUri } = options
  const faults: ConfigFault[] = redirectUri === undefined ? [] : redirectFaults(redirectUri, around, `${path}.redirectUri`)
  const record = recordFor(name, options, connector, around, path, faults)
  if (record === undefined) return { faults }
  // Its calls would share limits, circuits and answers with those of feeds, and its failures would count for nothing.
  if (name === FEED) faults.push({ path, message: 'has the name that feeds go by' })
  faults.push(...reachFaults(record, around, path))
  const { scheme, hasScopes, faults: schemeFaults } = judgeScheme(record, options, path)
  faults.push(...schemeFaults)
  const features = options.features ?? []
  const wanted = options.scopes ?? [...new Set([...record.defaultScopes, ...featureScopes(record, features)])]
  const scopes = hasScopes ? wanted : []
  faults.push(...featureFaults(record, features, scopes, path).filter((fault) => hasScopes || fault.path === `${path}.features`))
  return scheme === undefined ? { faults } : { provider: { name, record, scheme, scopes }, faults }
}

/** All faults, without those of the judgement that only follow from what the form was left without. */
export function withoutConsequences(form: readonly ConfigFault[], judgement: readonly ConfigFault[]): ConfigFault[] {
  const follows = ({ path }: ConfigFault): boolean => form.some((fault) => path === fault.path || isLost(path, fault.path))
  return [...form, ...judgement.filter((fault) => !follows(fault))]
}

/** A key among several that has a fault takes the others along; a provider takes its limits along. */
function isLost(path: string, fault: string): boolean {
  const [section, name = ''] = path.split('.')
  if (section === 'rateLimits') return fault === `providers.${name}` || fault.startsWith(`providers.${name}.`)
  return (path === 'tokenStore.encryption' && fault.startsWith('tokenStore.encryption.')) || path.startsWith(`${fault}.`)
}

/** `tokenStore` as the stores take it. */
export function storeConfig({ tokenStore }: ReadConfig): TokenStoreConfig {
  const { expiredTokenBufferMinutes: _buffer, spillFolder: _folder, ...rest } = tokenStore
  return rest as TokenStoreConfig
}

function recordFor(
  name: string,
  { endpoints = {} }: ReadProviderConfig,
  connector: ApiRecord | undefined,
  { insecureAllowOrigins }: Surroundings,
  path: string,
  faults: ConfigFault[],
): ApiRecord | undefined {
  if (connector !== undefined) {
    if (Object.keys(endpoints).length > 0) faults.push({ path: `${path}.endpoints`, message: 'belongs into the connector itself' })
    return connector
  }
  if (!listProviders().some(({ id }) => id === name)) {
    const known = listProviders().map(({ id }) => id)
    faults.push({ path, message: `is no provider of the catalog (${known.join(', ')}) and of no connector` })
    return undefined
  }
  return judged(() => resolveProvider(name, endpoints, insecureAllowOrigins), `${path}.endpoints`, faults)
}

/** What the door would refuse in every call is known now. A browser goes to the authorization endpoint, and through no door. */
function reachFaults(record: ApiRecord, { insecureAllowOrigins }: Surroundings, path: string): ConfigFault[] {
  const policy = { insecureAllowOrigins, allowedPorts: DEFAULT_EGRESS_POLICY.allowedPorts }
  return recordEndpoints(record).flatMap(([name, url]) => {
    if (name.endsWith('authorizationEndpoint') || name.startsWith('securityEvents')) return []
    try {
      judgeUrl(url.split('?', 1)[0]!, policy)
      return []
    } catch (error) {
      if (!(error instanceof EgressError)) throw error
      return [{ path, message: `names an address that no call may go to (${name}: ${error.reason})` }]
    }
  })
}

function featureFaults(record: ApiRecord, wanted: readonly Feature[], scopes: readonly string[], path: string): ConfigFault[] {
  return lackingFeatures(record, wanted, scopes).map(({ feature, unsupported, scopes: missing }) =>
    unsupported
      ? {
          path: `${path}.features`,
          message: `${feature} is no feature of ${record.id} (${Object.keys(record.features).join(', ') || 'it has none'})`,
        }
      : { path: `${path}.scopes`, message: `lacks what ${feature} needs: ${missing.join(', ')}` },
  )
}

function redirectFaults(text: string, { production }: Surroundings, path: string): ConfigFault[] {
  if (!URL.canParse(text)) return [{ path, message: 'is no absolute URL' }]
  const { protocol, hash, hostname, username, password } = new URL(text)
  if (hash !== '' || text.includes('#')) return [{ path, message: 'has a fragment (RFC 6749 section 3.1.2)' }]
  if (username !== '' || password !== '') return [{ path, message: 'has user info' }]
  if (protocol === 'https:') return []
  if (production) return [{ path, message: 'must be https: the code of a sign-in travels through it' }]
  const local = hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
  return protocol === 'http:' && local ? [] : [{ path, message: 'must be https, or http on this machine in development' }]
}

function originFaults({ production, insecureAllowOrigins }: Surroundings): ConfigFault[] {
  const path = 'insecureAllowOrigins'
  if (production && insecureAllowOrigins.length > 0) return [{ path, message: 'is for development only; see "mode"' }]
  return insecureAllowOrigins.flatMap((origin, index) =>
    URL.canParse(origin) && new URL(origin).origin === origin ? [] : [{ path: `${path}.${index}`, message: 'is no origin' }],
  )
}

/** What each option allows alone and two together make no sense of. */
function httpFaults({ http = {}, tokenStore: { backend } }: ReadConfig): ConfigFault[] {
  const { retry = {}, cache = {}, timeout = DEFAULT_TIMEOUT_MS, deadline = Infinity } = http
  const { baseDelay = Math.min(1_000, retry.maxDelay ?? 1_000), maxDelay = DEFAULT_MAX_DELAY_MS } = retry
  return [
    ...(baseDelay > maxDelay ? [{ path: 'http.retry.baseDelay', message: 'is more than maxDelay' }] : []),
    ...(deadline < timeout ? [{ path: 'http.deadline', message: 'is less than http.timeout, the time of one try' }] : []),
    ...(cache.store === 'redis' && backend !== 'redis'
      ? [{ path: 'http.cache.store', message: 'can be "redis" only where tokenStore.backend is' }]
      : []),
  ]
}

function encryptionFaults({ tokenStore: { backend, encryption, url } }: ReadConfig): ConfigFault[] {
  const faults: ConfigFault[] = []
  if (backend !== 'memory' && url === undefined) faults.push({ path: 'tokenStore.url', message: 'is missing' })
  if (encryption === undefined)
    return backend === 'memory'
      ? faults
      : [...faults, { path: 'tokenStore.encryption', message: 'is missing: tokens are never kept unencrypted' }]
  judged(() => readEncryption(encryption as EncryptionConfig), 'tokenStore.encryption', faults)
  return faults
}

/** What `make` gives, or its failure among the faults: one each where it names several. */
export function judged<T>(make: () => T, path: string, faults: ConfigFault[]): T | undefined {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error
    const several = 'faults' in error && Array.isArray(error.faults) ? (error.faults as string[]) : []
    faults.push(...(several.length > 0 ? several : [error.message]).map((message) => ({ path, message })))
    return undefined
  }
}
