/**
 * Owns the form of a provider's record and the checks every record passes when it is loaded. Refuses plain http, endpoints on hosts the record
 * does not own up to, and parameters that would speak for the protocol (battery O-05, O-16).
 */
import { z } from 'zod'
import { isProtocolParameter, TOKEN_QUIRKS } from '../oauth/index.ts'
import { FACTS } from './facts.ts'
import { FEATURES } from './feature-names.ts'
import { heldForm } from './held.ts'

/** An absolute URL without user info or fragment. Which schemes and hosts may stand there is the record's own check. */
const endpoint = z.string().max(2048).refine(isEndpoint, 'must be an absolute http(s) URL without user info or fragment')

const scope = z.string().regex(/^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/u, 'must be a scope token (RFC 6749 section 3.3)')
const headerName = z.string().regex(/^[a-z][a-z0-9-]*$/u, 'must be a lower-case header name')
/** Visible ASCII with inner spaces: nothing that could end a header or hide in one. */
const headerValue = z.string().regex(/^[!-~](?:[ -~]{0,510}[!-~])?$/u, 'must be printable ASCII')
/** Headers of a call that the protocol forms: what proves the client and what says how to read are the protocol's. */
const ownHeaders = z.record(
  headerName.refine(
    (name) => !['accept', 'authorization', 'content-type', 'content-length', 'dpop'].includes(name),
    'belongs to the protocol',
  ),
  headerValue,
)
const memberPath = z.array(z.string().min(1)).min(1).max(8)

/** Which calls may be made through the proxy. Absent in a record: every method and path under the API base. */
const callRule = z.strictObject({
  methods: z.array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])).min(1),
  /** A path under the API base, without trailing slash, that the call's path equals or continues with `/`. */
  pathPrefix: z.string().regex(/^(?:\/[A-Za-z0-9._~-]+)+$/u),
})

/** How the provider treats a refresh token when it is used (DESIGN 4.5). Unknown counts as strict. */
const rotation = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('grace'), seconds: z.int().min(1).max(86_400) }),
  z.strictObject({ kind: z.literal('strict') }),
])

/** Where `{client_id}` stands for the client's id. The braces are the only ones, and stand in the path. */
const clientUrl = z.string().refine(isClientUrl, 'must be an absolute http(s) URL with {client_id} once, in its path')

/** How the provider takes tokens back. See `RevocationWay` of the oauth folder. */
const revocation = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('rfc7009'),
    endpoint,
    clientAuth: z.enum(['client_secret_post', 'client_secret_basic', 'none']),
    reach: z.enum(['token', 'account']),
    /** The only kind of token that it takes there. Absent: both. */
    takes: z.enum(['refresh', 'access']).optional(),
    /** Sent beside the client's proof. */
    headers: ownHeaders.optional(),
  }),
  z.strictObject({ kind: z.literal('client_delete'), grant: clientUrl, token: clientUrl }),
  z.strictObject({ kind: z.literal('own_token'), endpoint }),
  z.strictObject({ kind: z.literal('none') }),
])

/** What ends a grant besides its being taken back. Absent: nothing that the provider documents. */
const grantLife = z.strictObject({
  /** A refresh token dies when it was not used, or not replaced, for so many days. */
  idleDays: z.int().min(1).max(3650),
})
/** Of a provider that sends security event tokens (RFC 8417): by whom they are signed, and whether they name their type. */
const securityEvents = z.strictObject({ issuers: z.array(z.string().min(1).max(512)).min(1), keys: endpoint, untyped: z.boolean() })

/** The endpoints of RFC 5849 section 2, where the provider takes OAuth 1.0a beside OAuth 2.0. */
const oauth1 = z.strictObject({
  temporaryCredentialEndpoint: endpoint,
  authorizationEndpoint: endpoint,
  tokenEndpoint: endpoint,
  /** Absent: HMAC-SHA1, which section 3.4.2 names. */
  signatureMethod: z.enum(['HMAC-SHA1', 'HMAC-SHA256']).optional(),
  /** Takes back the credential that a call to it is signed with. Absent: there is no way. */
  revocationEndpoint: endpoint.optional(),
})

/** Where the credential goes on a call. `{token}` in the template stands for it. */
const injection = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('header'),
    name: headerName,
    template: headerValue.refine((text) => text.split('{token}').length === 2, 'must hold {token} once'),
  }),
  z.strictObject({ kind: z.literal('query'), name: z.string().regex(/^[A-Za-z][\w.-]{0,63}$/u, 'must be the name of a parameter') }),
])

/** What every call to a token endpoint needs. */
const tokenServer = {
  issuer: endpoint,
  tokenEndpoint: endpoint,
  tokenAuth: z.enum(['client_secret_post', 'client_secret_basic']),
  scopeSeparator: z.enum([' ', ',']),
  /** Sent with every call to the token endpoint, in place of the library's own. */
  tokenHeaders: ownHeaders.optional(),
  /** `json`: requests to the token endpoint are JSON objects. Absent: forms, as RFC 6749 has them. */
  tokenBody: z.literal('json').optional(),
  /** A refresh names the redirect URI of the sign-in. Absent: it does not (RFC 6749 section 6). */
  refreshNamesRedirect: z.literal(true).optional(),
  tokenQuirks: z.array(z.enum(TOKEN_QUIRKS)),
  /**
   * `dpop`: tokens are asked for, and taken, only bound to a key of the connection's own (RFC 9449). `offered`: the same where its metadata says that
   * it binds tokens; needs `discovery`. Absent: bearer tokens.
   */
  tokenBinding: z.enum(['dpop', 'offered']).optional(),
  /** What the server publishes of itself is read before people are sent there (RFC 8414), and may not contradict the record. Absent: it is not. */
  discovery: z.literal(true).optional(),
  /** Where a device asks for its code (RFC 8628). Absent: it is not offered. */
  deviceAuthorizationEndpoint: endpoint.optional(),
  /** Whether the client gets tokens of its own (RFC 6749 section 4.4). Absent: it does not. */
  clientCredentials: z.literal(true).optional(),
}
/** What only a server has that people are sent to (RFC 9126). */
const pushing = {
  /** Where the client hands in its authorization requests itself. Absent: they go through the browser. */
  pushedAuthorizationRequestEndpoint: endpoint.optional(),
  /** The server takes no others. */
  requirePushedAuthorizationRequests: z.literal(true).optional(),
}
const responseIssuer = z.enum(['required', 'checked'])
const authorizationParams = z.record(
  z.string().refine((name) => !isProtocolParameter(name), 'belongs to the protocol'),
  z.string(),
)
/** The parameter that names what is asked for. Absent: `scope` (RFC 6749 section 3.3). */
const scopeParameter = z.literal('user_scope').optional()

const userinfo = z.strictObject({
  url: endpoint,
  method: z.enum(['GET', 'POST']),
  idPath: memberPath,
  labelPath: memberPath,
  headers: z.record(headerName, headerValue),
})

/**
 * - `endpoint`: each method and path has a quota of its own.
 * - `resource`: answers name what they counted against, in `header`; `paths` says before the call what that will be, the first that fits.
 */
const quotaCount = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('endpoint') }),
  z.strictObject({
    by: z.literal('resource'),
    header: headerName,
    paths: z.array(z.strictObject({ under: z.string().regex(/^(?:\/[A-Za-z0-9._~-]+)+$/u), resource: z.string().min(1).max(64) })),
    /** Of every other path. */
    otherwise: z.string().min(1).max(64),
  }),
])

/** What any record says, whatever its schemes. */
const common = {
  id: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/u),
  name: z.string().min(1).max(120),
  docs: z.url({ protocol: /^https$/u }),
  /** When the record was last held against what the provider itself publishes. */
  held: heldForm(FACTS).optional(),
  /** What else the provider documents and people ask for: one sentence each. */
  notes: z.array(z.string().min(1).max(200)).min(1).optional(),
  oauth1: oauth1.optional(),
  api: z.strictObject({
    base: endpoint,
    rules: z.array(callRule).min(1).optional(),
    injection,
    /** How the provider counts a connection's calls; absent where one quota is for all of them. */
    quota: quotaCount.optional(),
    /** Sent with every call unless the caller sends its own. */
    defaultHeaders: z.record(headerName, headerValue),
    /** A call that costs the provider little and needs no credential: any answer below 500 says that it lives. Absent: none is known. */
    probe: z.strictObject({ method: z.enum(['GET', 'HEAD']), path: z.string().regex(/^(?:\/[A-Za-z0-9._~-]+)+$/u) }).optional(),
  }),
  grant: grantLife.optional(),
  securityEvents: securityEvents.optional(),
  /** Every origin that the endpoints above may lie on. */
  origins: z.array(z.url()).min(1),
}
const scopes = z.array(scope)
const scopeContents = z.record(scope, scopes)
/** The fewest scopes that each feature needs. Empty: it needs none that can be asked for. */
const features = z.partialRecord(z.enum(FEATURES), scopes)
/** After so long a token request of ours is certainly over at the provider. Milliseconds. */
const requestLifetimeMs = z.int().min(1000).max(600_000)

export const providerSchema = z.strictObject({
  ...common,
  oauth: z.strictObject({
    ...tokenServer,
    ...pushing,
    responseIssuer,
    authorizationEndpoint: endpoint,
    authorizationParams,
    scopeParameter,
  }),
  userinfo,
  defaultScopes: scopes,
  scopeContents,
  features,
  rotation,
  revocation,
  requestLifetimeMs,
})

/** A provider that people sign in to, as the rest of the engine sees it. Frozen. */
export type Provider = Readonly<z.infer<typeof providerSchema>>

/**
 * The record of any API: of one that people sign in to, that gives tokens to devices or to the client itself, that signs requests, that takes a
 * key, or nothing. What is left out is the strictest case, or nothing.
 */
export const apiRecordSchema = z.strictObject({
  ...common,
  oauth: z
    .strictObject({
      ...tokenServer,
      ...pushing,
      responseIssuer: responseIssuer.default('checked'),
      authorizationEndpoint: endpoint.optional(),
      authorizationParams: authorizationParams.default({}),
      scopeParameter,
    })
    .optional(),
  /** What is sent where there is no authorization server: a key that the record's injection places, a name with a password, or nothing. */
  credential: z.enum(['api_key', 'basic', 'none']).optional(),
  userinfo: userinfo.optional(),
  defaultScopes: scopes.default([]),
  scopeContents: scopeContents.default({}),
  features: features.default({}),
  rotation: rotation.default({ kind: 'strict' }),
  revocation: revocation.default({ kind: 'none' }),
  requestLifetimeMs: requestLifetimeMs.default(50_000),
})

/** An API as the SDK sees it; every `Provider` is one. Frozen. */
export type ApiRecord = Readonly<z.infer<typeof apiRecordSchema>>

/** An API's record as one is written: what has a default may be left out. */
export type ApiRecordInput = z.input<typeof apiRecordSchema>

/** Every URL of a record, with the name it has there. */
export function recordEndpoints({
  oauth,
  oauth1: signing,
  userinfo: account,
  api,
  revocation: way,
  securityEvents: events,
}: ApiRecord): readonly (readonly [name: string, url: string])[] {
  const { signatureMethod: _method, ...signingEndpoints } = signing ?? {}
  const named: (readonly [string, string | undefined])[] = [
    ['authorizationEndpoint', oauth?.authorizationEndpoint],
    ['tokenEndpoint', oauth?.tokenEndpoint],
    ['deviceAuthorizationEndpoint', oauth?.deviceAuthorizationEndpoint],
    // Asked for what the server publishes of itself.
    ['issuer', oauth?.discovery === true ? oauth.issuer : undefined],
    ['pushedAuthorizationRequestEndpoint', oauth?.pushedAuthorizationRequestEndpoint],
    ['userinfoEndpoint', account?.url],
    ['apiBase', api.base],
    ...Object.entries(signingEndpoints).map(([name, url]) => [`oauth1.${name}`, url] as const),
    ...revocationEndpoints(way),
    ['securityEvents.keys', events?.keys],
  ]
  return named.flatMap(([name, url]) => (url === undefined ? [] : [[name, url] as const]))
}

function revocationEndpoints(way: Provider['revocation']): readonly (readonly [name: string, url: string])[] {
  if (way.kind === 'rfc7009' || way.kind === 'own_token') return [['revocationEndpoint', way.endpoint]]
  if (way.kind === 'none') return []
  return [
    ['revocation.grant', way.grant],
    ['revocation.token', way.token],
  ]
}

function isClientUrl(text: string): boolean {
  if (text.split('{client_id}').length !== 2 || /[{}]/u.test(text.replace('{client_id}', ''))) return false
  return isEndpoint(text) && new URL(text).pathname.includes('%7Bclient_id%7D')
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '' && hash === '' && !text.includes('#')
}
