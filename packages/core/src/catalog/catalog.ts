/**
 * Owns the set of known providers and the laying of configured endpoints over a record (a sandbox, a provider's on-premises edition). Refuses
 * half an overlay: with some endpoints real and some not, a real code or token would be sent to the wrong place.
 */
import type { z } from 'zod'
import { CatalogError } from './errors.ts'
import { airtable } from './providers/airtable.ts'
import { asana } from './providers/asana.ts'
import { atlassian } from './providers/atlassian.ts'
import { bitbucket } from './providers/bitbucket.ts'
import { box } from './providers/box.ts'
import { discord } from './providers/discord.ts'
import { dropbox } from './providers/dropbox.ts'
import { github } from './providers/github.ts'
import { gitlab } from './providers/gitlab.ts'
import { google } from './providers/google.ts'
import { microsoft } from './providers/microsoft.ts'
import { reddit } from './providers/reddit.ts'
import { slack } from './providers/slack.ts'
import { slackUser } from './providers/slack-user.ts'
import { spotify } from './providers/spotify.ts'
import { x } from './providers/x.ts'
import { zoom } from './providers/zoom.ts'
import { apiRecordSchema, providerSchema, recordEndpoints } from './schema.ts'
import type { ApiRecord, Provider } from './schema.ts'
import { schemesOf } from './schemes.ts'

/** Endpoints to use instead of the record's. All four, or none. */
export interface ProviderOverlay {
  readonly authorizationEndpoint?: string | undefined
  readonly tokenEndpoint?: string | undefined
  readonly userinfoEndpoint?: string | undefined
  readonly apiBase?: string | undefined
  /** Where it takes tokens back (RFC 7009). Absent: as the record says for what lies under its API, and otherwise nowhere. */
  readonly revocationEndpoint?: string | undefined
  /** What that server calls itself. Absent: the origin of its authorization endpoint. */
  readonly issuer?: string | undefined
  /** Where a device asks for its code there (RFC 8628). Absent: nowhere. */
  readonly deviceAuthorizationEndpoint?: string | undefined
  /** Its endpoints of OAuth 1.0a. Absent: it has none. */
  readonly oauth1?: OAuth1Overlay | undefined
  /** That server binds its tokens to keys (RFC 9449), or does where it publishes so. Absent: as the record says. */
  readonly tokenBinding?: 'dpop' | 'offered' | undefined
  /** Where that server takes authorization requests from the client itself (RFC 9126). Absent: nowhere, unless it publishes it. */
  readonly pushedAuthorizationRequestEndpoint?: string | undefined
  /** What that server publishes at its issuer is read before people are sent there (RFC 8414). Absent: it is not. */
  readonly discovery?: true | undefined
}

export type OAuth1Overlay = Readonly<Record<'temporaryCredentialEndpoint' | 'authorizationEndpoint' | 'tokenEndpoint', string>>

const DAY_MS = 24 * 60 * 60 * 1000

const OVERLAID = ['authorizationEndpoint', 'tokenEndpoint', 'userinfoEndpoint', 'apiBase'] as const

/** Where the client's secret goes, or the device's code comes from. */
const ASKED_BY_THE_CLIENT = ['deviceAuthorizationEndpoint', 'pushedAuthorizationRequestEndpoint'] as const
const MAY_BE_OVERLAID = ['revocationEndpoint', 'issuer', ...ASKED_BY_THE_CLIENT] as const

type CompleteOverlay = ProviderOverlay & Readonly<Record<(typeof OVERLAID)[number], string>>

/** Checked when this module is loaded: a broken record stops the start. */
const RECORDS: ReadonlyMap<string, Provider> = new Map(
  [
    airtable,
    asana,
    atlassian,
    bitbucket,
    box,
    discord,
    dropbox,
    github,
    gitlab,
    google,
    microsoft,
    reddit,
    slack,
    slackUser,
    spotify,
    x,
    zoom,
  ].map((record) => [record.id, checkedRecord(record)]),
)

/** Every known provider, in the order of their ids. */
export function listProviders(): readonly Provider[] {
  return [...RECORDS.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** The longest that a grant is left unused: a third of what the most impatient provider allows, and a month at most. Milliseconds. */
export function idleRenewalMs(providers: readonly Pick<ApiRecord, 'grant'>[] = listProviders()): number {
  return Math.min(30, ...providers.flatMap(({ grant }) => (grant === undefined ? [] : [grant.idleDays / 3]))) * DAY_MS
}

/**
 * The provider with its overlay applied, or undefined for an unknown id. `insecureAllowOrigins` are the exact origins that may be plain http;
 * the egress must be given the same list.
 * @throws CatalogError `provider_record_invalid` when the overlay is partial, splits the authorization server over two origins, or leaves https.
 */
export function resolveProvider(
  id: string,
  overlay: ProviderOverlay = {},
  insecureAllowOrigins: readonly string[] = [],
): Provider | undefined {
  const record = RECORDS.get(id)
  if (record === undefined) return undefined
  const missing = OVERLAID.filter((name) => overlay[name] === undefined)
  if (Object.values(overlay).every((one) => one === undefined)) return record
  if (!isComplete(overlay)) {
    throw new CatalogError(id, [`an overlay names all endpoints or none; missing: ${missing.join(', ')}`])
  }
  return overlaid(record, overlay, insecureAllowOrigins)
}

/** A record checked against the schema and its own list of origins, and frozen. @throws CatalogError with every fault. */
export function checkedRecord(input: unknown, insecureAllowOrigins: readonly string[] = []): Provider {
  const record = readRecord(providerSchema, input)
  requireSound(record.id, originFaults(record, insecureAllowOrigins))
  return deepFreeze(record)
}

/** The same of any API's record, which offers one scheme at least. @throws CatalogError with every fault. */
export function checkedApiRecord(input: unknown, insecureAllowOrigins: readonly string[] = []): ApiRecord {
  const record = readRecord(apiRecordSchema, input)
  const signsIn = record.oauth?.authorizationEndpoint ?? record.oauth?.deviceAuthorizationEndpoint ?? record.oauth1?.authorizationEndpoint
  requireSound(record.id, [
    ...originFaults(record, insecureAllowOrigins),
    ...(signsIn !== undefined && record.userinfo === undefined
      ? ['userinfo: is missing: an account that can’t be named is not connected']
      : []),
    ...(signsIn === undefined && schemesOf(record).length === 0
      ? ['offers no scheme: it has neither "oauth", "oauth1" nor "credential"']
      : []),
  ])
  return deepFreeze(record)
}

function readRecord<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new CatalogError(idOf(input), faults)
}

function requireSound(id: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new CatalogError(id, faults)
}

function overlaid(record: Provider, overlay: CompleteOverlay, insecureAllowOrigins: readonly string[]): Provider {
  const { authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase } = overlay
  const broken = [...OVERLAID, ...MAY_BE_OVERLAID].filter((name) => overlay[name] !== undefined && !URL.canParse(overlay[name]))
  if (broken.length > 0)
    throw new CatalogError(
      record.id,
      broken.map((name) => `${name} is not a URL`),
    )
  if (originOf(authorizationEndpoint) !== originOf(tokenEndpoint)) {
    throw new CatalogError(record.id, ['authorizationEndpoint and tokenEndpoint of an overlay must share an origin'])
  }
  const astray = ASKED_BY_THE_CLIENT.filter((name) => originOf(overlay[name] ?? tokenEndpoint) !== originOf(tokenEndpoint))
  if (astray.length > 0)
    throw new CatalogError(
      record.id,
      astray.map((name) => `${name} and tokenEndpoint of an overlay must share an origin`),
    )
  return checkedRecord(
    {
      ...record,
      // Another server names itself differently; whether it does at all, is not known.
      oauth: {
        ...record.oauth,
        issuer: overlay.issuer ?? originOf(authorizationEndpoint),
        responseIssuer: overlay.issuer === undefined ? 'checked' : record.oauth.responseIssuer,
        authorizationEndpoint,
        tokenEndpoint,
        deviceAuthorizationEndpoint: overlay.deviceAuthorizationEndpoint,
        pushedAuthorizationRequestEndpoint: overlay.pushedAuthorizationRequestEndpoint,
        requirePushedAuthorizationRequests: undefined,
        discovery: overlay.discovery,
        ...(overlay.tokenBinding === undefined ? {} : { tokenBinding: overlay.tokenBinding }),
      },
      userinfo: { ...record.userinfo, url: userinfoEndpoint },
      api: { ...record.api, base: apiBase },
      revocation: overlaidRevocation(record, overlay),
      // Another server's events are signed by other keys, and its tokens are not shown to the record's.
      securityEvents: undefined,
      oauth1: overlay.oauth1 === undefined ? undefined : { ...record.oauth1, ...overlay.oauth1, revocationEndpoint: undefined },
      origins: [...new Set([authorizationEndpoint, userinfoEndpoint, apiBase].map(originOf))],
    },
    insecureAllowOrigins,
  )
}

/**
 * A token of the overlay's server is never shown to the record's: what lies under the record's API moves with it, and a standard endpoint must
 * be named. It lies with the token endpoint, since the client's secret goes there.
 */
function overlaidRevocation({ id, api, revocation }: Provider, overlay: CompleteOverlay): Provider['revocation'] {
  const { revocationEndpoint, tokenEndpoint, apiBase } = overlay
  if (revocationEndpoint !== undefined) {
    if (originOf(revocationEndpoint) !== originOf(tokenEndpoint))
      throw new CatalogError(id, ['revocationEndpoint and tokenEndpoint of an overlay must share an origin'])
    const standard = { clientAuth: 'client_secret_post', reach: 'token' } as const
    return { ...(revocation.kind === 'rfc7009' ? revocation : standard), kind: 'rfc7009', endpoint: revocationEndpoint }
  }
  if (revocation.kind !== 'client_delete') return { kind: 'none' }
  const moved = (url: string): string => `${apiBase}${url.slice(api.base.length)}`
  return { kind: 'client_delete', grant: moved(revocation.grant), token: moved(revocation.token) }
}

function isComplete(overlay: ProviderOverlay): overlay is CompleteOverlay {
  return OVERLAID.every((name) => overlay[name] !== undefined)
}

function originFaults(provider: ApiRecord, insecureAllowOrigins: readonly string[]): readonly string[] {
  const { revocation, api, oauth } = provider
  const stray = revocation.kind === 'client_delete' && [revocation.grant, revocation.token].some((url) => !url.startsWith(`${api.base}/`))
  // An overlay moves them with the API base.
  if (stray) return ['revocation lies outside the API base']
  if (oauth?.discovery === undefined) {
    if (oauth?.tokenBinding === 'offered') return ['tokenBinding is "offered", which only "discovery" can find out']
    if (oauth?.requirePushedAuthorizationRequests === true && oauth.pushedAuthorizationRequestEndpoint === undefined)
      return ['requests must be pushed, and it says neither where nor that "discovery" does']
  }
  return recordEndpoints(provider).flatMap(([name, url]) => {
    const origin = originOf(url)
    if (!provider.origins.includes(origin)) return [`${name} lies on an origin that the record does not list`]
    return origin.startsWith('https://') || insecureAllowOrigins.includes(origin) ? [] : [`${name} must be https`]
  })
}

function originOf(url: string): string {
  return new URL(url).origin
}

function idOf(input: unknown): string {
  return typeof input === 'object' && input !== null && 'id' in input && typeof input.id === 'string' ? input.id : 'without id'
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}
