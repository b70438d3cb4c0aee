/**
 * Owns the one scheme by which this application is authorized at a provider, made of the provider's record and the application's options.
 * Refuses options that the scheme has no use for: whoever wrote them expects something that will not happen.
 */
import { schemesOf } from '../catalog/index.ts'
import type { ApiRecord, Scheme } from '../catalog/index.ts'
import { Secret } from '../kernel/index.ts'
import type { AuthorizationServer, DeviceServer, OAuthClient, TokenServer, UserinfoEndpoint } from '../oauth/index.ts'
import type { OAuth1Client, OAuth1Server } from '../oauth1/index.ts'
import type { ReadProviderConfig } from './config-form.ts'
import type { ConfigFault } from './errors.ts'

export type ConfiguredScheme = CodeScheme | DeviceScheme | ClientScheme | SigningScheme | HeldScheme

/** A client at an OAuth 2 server, as its record has it: what the server publishes of itself is not in it. */
interface Registered<Server extends TokenServer> {
  readonly server: Server
  readonly client: OAuthClient
}

export interface CodeScheme extends Registered<AuthorizationServer> {
  readonly kind: 'authorization_code'
  readonly redirectUri: string
  readonly authorizationParams: Readonly<Record<string, string>>
  readonly userinfo: UserinfoEndpoint
}

export interface DeviceScheme extends Registered<DeviceServer> {
  readonly kind: 'device_code'
  readonly userinfo: UserinfoEndpoint
}

export interface ClientScheme extends Registered<TokenServer> {
  readonly kind: 'client_credentials'
}

export interface SigningScheme {
  readonly kind: 'oauth1'
  readonly server: OAuth1Server
  readonly client: OAuth1Client
  readonly redirectUri: string
  readonly userinfo: UserinfoEndpoint
  readonly revocationEndpoint: string | undefined
}

export interface HeldScheme {
  readonly kind: 'api_key' | 'basic' | 'none'
}

type Option = 'clientId' | 'clientSecret' | 'publicClient' | 'redirectUri' | 'scopes' | 'authorizationParams'

const OPTIONS: readonly Option[] = ['clientId', 'clientSecret', 'publicClient', 'redirectUri', 'scopes', 'authorizationParams']

const TAKES: Readonly<Record<Scheme, { readonly needs: readonly Option[]; readonly may: readonly Option[] }>> = {
  authorization_code: { needs: ['clientId', 'clientSecret', 'redirectUri'], may: ['publicClient', 'scopes', 'authorizationParams'] },
  device_code: { needs: ['clientId', 'clientSecret'], may: ['publicClient', 'scopes'] },
  client_credentials: { needs: ['clientId', 'clientSecret'], may: ['scopes'] },
  oauth1: { needs: ['clientId', 'clientSecret', 'redirectUri'], may: [] },
  api_key: { needs: [], may: [] },
  basic: { needs: [], may: [] },
  none: { needs: [], may: [] },
}

/** Undefined when it can't be made; `faults` say why. */
export function judgeScheme(
  record: ApiRecord,
  options: ReadProviderConfig,
  path: string,
): { readonly scheme?: ConfiguredScheme; readonly hasScopes: boolean; readonly faults: readonly ConfigFault[] } {
  const offered = schemesOf(record)
  const kind = options.scheme ?? offered[0]
  if (kind === undefined || !offered.includes(kind))
    return { hasScopes: true, faults: [{ path: `${path}.scheme`, message: `is not offered by ${record.id} (${offered.join(', ')})` }] }
  const faults = optionFaults(kind, options, path)
  const hasScopes = TAKES[kind].may.includes('scopes')
  return faults.length > 0 ? { hasScopes, faults } : { scheme: schemeOf(kind, record, options), hasScopes, faults }
}

function optionFaults(kind: Scheme, options: ReadProviderConfig, path: string): ConfigFault[] {
  const { needs, may } = TAKES[kind]
  const isPublic = options.publicClient === true
  const lacking = needs.filter((name) => options[name] === undefined && !(isPublic && name === 'clientSecret'))
  const useless = OPTIONS.filter((name) => options[name] !== undefined && !needs.includes(name) && !may.includes(name))
  return [
    ...lacking.map((name) => ({
      path: `${path}.${name}`,
      message: name === 'clientSecret' ? `is missing${PUBLIC[kind] ?? ''}` : 'is missing',
    })),
    ...useless.map((name) => ({ path: `${path}.${name}`, message: `is of no use to the scheme ${kind}${HELD[kind] ?? ''}` })),
    ...(isPublic && options.clientSecret !== undefined
      ? [{ path: `${path}.publicClient`, message: 'is not what a client with a secret is' }]
      : []),
  ]
}

const PUBLIC: Partial<Record<Scheme, string>> = {
  authorization_code: '; a client without one says "publicClient: true"',
  device_code: '; a client without one says "publicClient: true"',
}
const HELD: Partial<Record<Scheme, string>> = {
  api_key: ', whose key is given to "connect"',
  basic: ', whose name and password are given to "connect"',
}

/** What the kind needs is there: `schemesOf` and the judgement above say so. */
function schemeOf(kind: Scheme, record: ApiRecord, options: ReadProviderConfig): ConfiguredScheme {
  if (kind === 'api_key' || kind === 'basic' || kind === 'none') return { kind }
  const { clientId = '', clientSecret = null, redirectUri = '', authorizationParams = {} } = options
  const userinfo = record.userinfo!
  if (kind === 'oauth1') {
    const { signatureMethod = 'HMAC-SHA1', revocationEndpoint, ...server } = record.oauth1!
    const client = { consumerKey: clientId, consumerSecret: clientSecret ?? new Secret(''), signatureMethod }
    return { kind, server, client, redirectUri, userinfo, revocationEndpoint }
  }
  const { authorizationEndpoint, deviceAuthorizationEndpoint, ...oauth } = record.oauth!
  const registered = { client: { clientId, clientSecret } }
  if (kind === 'client_credentials') return { kind, ...registered, server: oauth }
  if (kind === 'device_code')
    return { kind, ...registered, userinfo, server: { ...oauth, deviceAuthorizationEndpoint: deviceAuthorizationEndpoint! } }
  return {
    kind,
    ...registered,
    userinfo,
    redirectUri,
    authorizationParams,
    server: { ...oauth, authorizationEndpoint: authorizationEndpoint! },
  }
}
