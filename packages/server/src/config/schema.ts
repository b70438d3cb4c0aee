/**
 * Owns the one schema of configuration: every setting, its check, its default and its sentence. The file, the variables, docs/config.md and
 * the JSON Schema all follow from it. Refuses relaxations that aren't called `insecure...`.
 */
import { z } from 'zod'
import { DEFAULT_EGRESS_POLICY, DEFAULT_REFRESH_LIMITS, listProviders } from '@sallyport/core'
import { audit } from './audit.ts'
import { firstOwner, jwtIssuers, jwtSecrets } from './issuers.ts'
import { keys } from './keys.ts'
import { metrics } from './metrics.ts'
import { models } from './models.ts'
import { endpointFault, hostFault, localAddressFault, originFault, rangeFault } from './network-text.ts'
import { rate } from './rate.ts'
import { postgresUrlFaults, redisUrlFaults, rootKeyFaults } from './secret-fault.ts'
import { integer, list, oneOf, secret, setting, textWithout } from './setting.ts'
import { tls } from './tls.ts'
import { usage } from './usage.ts'

const HOUR_MS = 3_600_000
const GIGABYTE = 1024 ** 3

const mode = oneOf(['development', 'production'])
const linkAssurance = oneOf(['aal1', 'aal2'])
const logLevel = oneOf(['debug', 'info', 'warn', 'error', 'silent'])
const logFormat = oneOf(['json', 'text'])

const text = { kind: 'text' } as const

const endpoint = textWithout(endpointFault).optional()

/** Endpoints used instead of the catalog's: a sandbox, or a provider's edition on one's own premises. */
const providerOverlay = z.strictObject({
  authorizationEndpoint: endpoint,
  tokenEndpoint: endpoint,
  userinfoEndpoint: endpoint,
  apiBase: endpoint,
  revocationEndpoint: endpoint,
  issuer: endpoint,
  tokenBinding: z.enum(['dpop', 'offered']).optional(),
  pushedAuthorizationRequestEndpoint: endpoint,
  discovery: z.literal(true).optional(),
})

const egress = z.strictObject({
  insecureAllowOrigins: list(
    originFault,
    'exact origins, like http://127.0.0.1:7256',
    'Exact loopback origins that calls may reach although they are internal and without TLS. Development only: for local sandbox providers.',
  ),
  allowedPorts: setting(
    z
      .array(z.int().min(1).max(65_535))
      .min(1)
      .max(20)
      .default([...DEFAULT_EGRESS_POLICY.allowedPorts]),
    {
      kind: 'integers',
      about: 'Ports that calls to providers may use.',
      expects: 'a list of whole numbers from 1 to 65535',
    },
  ),
  connectTimeoutMs: integer(
    { min: 100, max: 60_000, by: DEFAULT_EGRESS_POLICY.connectTimeoutMs },
    'Longest wait for a connection to a provider, TLS included.',
  ),
  headersTimeoutMs: integer(
    { min: 1_000, max: HOUR_MS, by: DEFAULT_EGRESS_POLICY.headersTimeoutMs },
    "Longest wait for the headers of a provider's answer.",
  ),
  idleTimeoutMs: integer({ min: 1_000, max: HOUR_MS, by: DEFAULT_EGRESS_POLICY.idleTimeoutMs }, 'Longest silence inside an answer.'),
  totalTimeoutMs: integer(
    { min: 1_000, max: HOUR_MS, by: DEFAULT_EGRESS_POLICY.totalTimeoutMs },
    'Longest call, from its start to the last byte of the answer.',
  ),
  maxResponseBytes: integer({ min: 1024, max: 64 * GIGABYTE, by: DEFAULT_EGRESS_POLICY.maxResponseBytes }, 'Largest answer of a provider.'),
  maxConnectionsPerOrigin: integer(
    { min: 1, max: 4096, by: DEFAULT_EGRESS_POLICY.maxConnectionsPerOrigin },
    'Connections kept to one provider.',
  ),
  localAddress: setting(textWithout(localAddressFault).optional(), {
    ...text,
    expects: 'an IP address of this machine',
    otherwise: 'not set: the system chooses',
    about:
      'Address that every call out begins at, to providers, their token endpoints, issuers and key services alike, for providers that list who may call. With one of IPv4 they are reached by IPv4 alone, with one of IPv6 by IPv6 alone.',
  }),
})

const limits = z.strictObject({
  maxRequestBytes: integer(
    { min: 1024, max: 100 * 1024 * 1024, by: 10 * 1024 * 1024 },
    'Largest request body, but for calls of models that pass through: `models.maxRequestBytes`.',
  ),
  maxHeaderBytes: integer({ min: 4096, max: 65_536, by: 16_384 }, 'Largest request header block.'),
  headersTimeoutMs: integer({ min: 1_000, max: 120_000, by: 15_000 }, 'Time a client has to send its headers.'),
  requestTimeoutMs: integer({ min: 1_000, max: HOUR_MS, by: 120_000 }, 'Time a client has to send its whole request.'),
  stallTimeoutMs: integer(
    { min: 1_000, max: HOUR_MS, by: 60_000 },
    'Time after which a client that reads nothing of an answer that waits for it is cut.',
  ),
  handshakeTimeoutMs: integer({ min: 1_000, max: 120_000, by: 10_000 }, 'Time a client has to agree on TLS, where the gateway ends it.'),
  maxConnections: integer(
    { min: 10, max: 1_000_000, by: 20_000 },
    'Connections of clients, all together. Where they run out those without a request are closed, and then new ones. Each takes a file descriptor.',
  ),
  maxConnectionsPerAddress: integer(
    { min: 10, max: 1_000_000, by: 2_000 },
    'Connections from one address (of IPv6 its first 64 bits), unless it is in `trustedProxies`.',
  ),
})

const breaker = z.strictObject({
  failures: integer(
    { min: 1, max: 1_000_000, by: 5 },
    'Failures in a row (unreachable, no answer, a 5xx) after which calls of an organization to one host of an integration are refused.',
  ),
  openMs: integer({ min: 100, max: HOUR_MS, by: 60_000 }, 'How long they are, before one call is let through to find out.'),
})

const refresh = z.strictObject({
  bufferMs: setting(z.union([z.literal(0), z.int().min(10_000).max(HOUR_MS)]).default(DEFAULT_REFRESH_LIMITS.bufferMs), {
    kind: 'integer',
    expects: `0 or a whole number from 10000 to ${HOUR_MS}`,
    about:
      'A token with less life than this is renewed by the next call that uses it, and the call goes on with what it has. Up to a fifth is added, another for each version; never more than a quarter of what the token lives. 0: tokens are renewed once they have died, and calls wait for it.',
  }),
})

const senders = z.strictObject({
  certificateHeader: setting(oneOf(['client-cert', 'x-forwarded-client-cert']).schema.optional(), {
    ...text,
    expects: oneOf(['client-cert', 'x-forwarded-client-cert']).expects,
    otherwise: 'not set: keys that are bound to a certificate are refused',
    about:
      "Header in which the trusted proxies name the client's certificate, for keys that are bound to one: `client-cert` (RFC 9440) or `x-forwarded-client-cert` (Envoy's, of which the `Hash` is read). The proxies must replace what a client sends in it.",
  }),
  requireNonce: setting(z.boolean().default(false), {
    kind: 'boolean',
    expects: 'true or false',
    about:
      'Whether DPoP proofs of callers must carry a nonce of this gateway, which proves that they were made a few minutes ago at most, whatever their clock says.',
  }),
})

export const configSchema = z.strictObject({
  mode: setting(mode.schema.default('production'), {
    ...text,
    expects: mode.expects,
    about:
      'What is allowed: `development` opens loopback sandboxes and http, `production` refuses every relaxation. A forgotten variable gives the strict one.',
  }),
  host: setting(textWithout(hostFault).optional(), {
    ...text,
    expects: 'an IP address or a host name',
    otherwise: '`127.0.0.1` in development, `0.0.0.0` in production',
    about: 'Address to listen on.',
  }),
  port: integer({ min: 1, max: 65_535, by: 7255 }, 'Port of the gateway, its API and its console.'),
  publicUrl: setting(textWithout(originFault).optional(), {
    ...text,
    expects: 'an origin like https://gateway.example.com',
    otherwise: '`http://127.0.0.1:<port>` in development, with https where `tls.certFile` is set; required in production, with https',
    about:
      'Origin under which browsers and clients reach the gateway. Links, redirect URIs, cookies and the cross-site check follow from it.',
  }),
  trustedProxies: list(
    rangeFault,
    'addresses and ranges, like 10.0.0.0/8',
    'Addresses and ranges of the proxies in front, whose `X-Forwarded-For` is believed. Required in production unless the gateway ends TLS itself: then one of them ends it, and requests that come past them are refused.',
  ),
  dataDir: setting(textWithout(pathFault).default('./.sallyport'), {
    ...text,
    expects: 'a path',
    about:
      'Folder of the embedded database, of development secrets, and of renewed credentials that wait for a database that is away (`spill`, sealed). On a disk that stays, writable, also where the database is given by URL. One gateway at a time owns it.',
  }),
  databaseUrl: secret(
    'PostgreSQL for the gateway, as a login that owns nothing and bypasses nothing. Absent: the embedded PostgreSQL in `dataDir`.',
    postgresUrlFaults,
    'the embedded database',
  ),
  databaseMigrationUrl: secret(
    'The same database for migrations, as a login that may create roles. Needs `databaseUrl`.',
    postgresUrlFaults,
  ),
  databaseSessionUrl: secret(
    'The same database at an address where every connection is a session of its own, for hearing of changes and for leases. Needed when `databaseUrl` leads through a pooler that hands out sessions by the transaction.',
    postgresUrlFaults,
    '`databaseUrl`',
  ),
  databaseLeases: setting(oneOf(['session', 'row']).schema.default('session'), {
    ...text,
    expects: oneOf(['session', 'row']).expects,
    about:
      'How nodes agree which of them renews a credential: `session` by locks of a session that end with the node, `row` by rows with an end, for poolers that hand out sessions by the transaction.',
  }),
  redisUrl: secret(
    'Redis or Valkey, an accelerator only: a hint at which node renews a credential, and one more place for answers that can not be saved, sealed. Nothing is kept there alone, and without it everything works. Towards another host with TLS and a password alone.',
    redisUrlFaults,
  ),
  insecureAllowPlaintextStores: setting(z.boolean().default(false), {
    kind: 'boolean',
    expects: 'true or false',
    about:
      'Lets production reach PostgreSQL and any mode reach Redis on another host without verified TLS, for stores in the same machine or in a network that nobody else is in (containers of one host). Everybody on the way reads along, and may answer in their place. Never for an address that is public: the start is refused then.',
  }),
  encryptionKeys: secret(
    'Root keys, `id:64-hex[,id:64-hex...]`; the first is primary, the others only open. Generate one with `sallyport keys generate`.',
    rootKeyFaults,
    'required in production, where `keys.source` is `config` and `keys.wrapper` is `local`; in development a file in `dataDir`, made on the first start',
  ),
  keys,
  jwtIssuers,
  jwtSecrets,
  firstOwner,
  organizationsPerOwner: integer(
    { min: 1, max: 100_000, by: 20 },
    'How many organizations one person may own before making another is refused.',
  ),
  keysPerOrganization: integer(
    { min: 10, max: 10_000_000, by: 10_000 },
    'How many gateway keys of one organization may be on before making another is refused. Rotating goes on up to twice as many.',
  ),
  projectsPerOrganization: integer(
    { min: 1, max: 100_000, by: 1_000 },
    'How many projects one organization may have, archived ones counted, before making another is refused.',
  ),
  integrationsPerOrganization: integer(
    { min: 1, max: 1_000_000, by: 5_000 },
    'How many integrations one organization may have, in all its projects, before making another is refused.',
  ),
  connectionsPerOrganization: integer(
    { min: 1, max: 100_000_000, by: 1_000_000 },
    'How many connections of one organization may live before another is begun or imported. Reconnecting goes on, and links that were made already.',
  ),
  membersPerOrganization: integer(
    { min: 1, max: 1_000_000, by: 5_000 },
    'How many members and open invitations one organization may have before inviting another is refused.',
  ),
  providerKeysPerOrganization: integer(
    { min: 1, max: 1_000_000, by: 5_000 },
    'How many keys of model providers one organization may keep before keeping another is refused. Rotating goes on.',
  ),
  stepUpMaxAgeS: integer(
    { min: 60, max: 86_400, by: 3_600 },
    'How long ago a person may have given the second factor, at most, for what can not be undone. In seconds.',
  ),
  linkAssurance: setting(linkAssurance.schema.optional(), {
    ...text,
    expects: linkAssurance.expects,
    otherwise: '`aal2` in development, `aal1` in production',
    about:
      'What a session by a one-time link of the terminal is worth. `aal2` takes it for one with a second factor: whoever can read the terminal can then do what can not be undone, and comes in as an owner where an organization breaks glass.',
  }),
  logLevel: setting(logLevel.schema.default('info'), {
    ...text,
    expects: logLevel.expects,
    about: 'The least that is logged.',
  }),
  logFormat: setting(logFormat.schema.optional(), {
    ...text,
    expects: logFormat.expects,
    otherwise: '`text` in development, `json` in production',
    about: 'One JSON object a line, or text for a person.',
  }),
  drainNoticeMs: setting(z.int().min(0).max(600_000).optional(), {
    kind: 'integer',
    expects: 'a whole number from 0 to 600000',
    otherwise: '0 in development, 5000 in production',
    about:
      'Time after SIGTERM or SIGINT in which `/readyz` answers 503 and everything else is served as before, so that a load balancer sends its calls elsewhere before they are refused. Longer than its interval of asking.',
  }),
  drainTimeoutMs: integer({ min: 0, max: 600_000, by: 25_000 }, 'Time that running calls have to finish after SIGTERM or SIGINT.'),
  saveTimeoutMs: integer(
    { min: 1_000, max: 600_000, by: 30_000 },
    'Time that the end waits for renewed credentials to be saved when the database is away. What is not saved then is in the folder `spill` of `dataDir`, sealed, and is saved by the next start.',
  ),
  audit,
  breaker,
  egress,
  limits,
  metrics,
  models,
  rate,
  refresh,
  senders,
  tls,
  usage,
  providers: setting(z.record(textWithout(providerFault), providerOverlay).default({}), {
    kind: 'json',
    expects:
      'an object of provider ids with authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase and optionally revocationEndpoint, issuer, tokenBinding, pushedAuthorizationRequestEndpoint and discovery',
    otherwise: '`{}`',
    about:
      "Endpoints used instead of the catalog's, by provider id: all of a provider's (`authorizationEndpoint`, `tokenEndpoint`, `userinfoEndpoint`, `apiBase`; `revocationEndpoint` if it takes tokens back by RFC 7009, `issuer` if it names itself otherwise, `tokenBinding: dpop` if it binds tokens to keys by RFC 9449; `pushedAuthorizationRequestEndpoint` if it takes sign-ins from the gateway itself by RFC 9126; `discovery: true` if what it publishes at its issuer by RFC 8414 is to be read, which also says whether `tokenBinding: offered` is meant) or none.",
  }),
})

/** What the schema makes, before the defaults that depend on other settings. */
export type ParsedConfig = z.output<typeof configSchema>

export interface Leaf {
  readonly path: readonly [string] | readonly [string, string]
  /** `egress.totalTimeoutMs` */
  readonly name: string
  /** `SALLYPORT_EGRESS_TOTAL_TIMEOUT_MS` */
  readonly variable: string
  readonly schema: z.ZodType
}

/** Every setting, in the order of the schema. */
export const LEAVES: readonly Leaf[] = Object.entries(configSchema.shape).flatMap(([name, schema]) =>
  schema instanceof z.ZodObject
    ? Object.entries(schema.shape).map(([inner, leaf]) => leafOf([name, inner], leaf))
    : [leafOf([name], schema)],
)

/** Names of settings that hold others. */
export const GROUPS: readonly string[] = Object.entries(configSchema.shape)
  .filter(([, schema]) => schema instanceof z.ZodObject)
  .map(([name]) => name)

function leafOf(path: Leaf['path'], schema: z.ZodType): Leaf {
  const words = path.map((word) => word.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase())
  return { path, name: path.join('.'), variable: `SALLYPORT_${words.join('_')}`, schema }
}

function pathFault(path: string): string | undefined {
  return path.includes('\0') ? 'must be a path' : undefined
}

function providerFault(id: string): string | undefined {
  return listProviders().some((provider) => provider.id === id) ? undefined : 'must name providers of the catalog'
}
