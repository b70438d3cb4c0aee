/** Owns the form of a configuration, and the reading of it into faults with paths. Refuses options that it does not know. */
import { z } from 'zod'
import { FEATURES, SCHEMES } from '../catalog/index.ts'
import { isProtocolParameter } from '../oauth/index.ts'
import { Secret } from '../kernel/index.ts'
import type { ConfigFault } from './errors.ts'

const secret = z
  .custom<string | Secret>((value) => typeof value === 'string' || value instanceof Secret, 'must be a text')
  .transform((value) => (value instanceof Secret ? value : new Secret(value)))
const text = z.string().min(1).max(2048)
const ms = z.int().min(0).max(3_600_000)

const tokenStore = z.strictObject({
  backend: z.enum(['memory', 'redis', 'postgres']),
  url: secret.optional(),
  encryption: z
    .strictObject({
      key: secret.optional(),
      keys: z.array(z.strictObject({ id: z.string(), key: secret })).optional(),
      algorithm: z.string().optional(),
    })
    .optional(),
  /** A token with less life than this is renewed before it is used. 5 when absent. */
  expiredTokenBufferMinutes: z.number().min(0).max(1440).optional(),
  ca: text.max(65_536).optional(),
  insecurePlaintext: z.boolean().optional(),
  insecureNoPassword: z.boolean().optional(),
  sessions: z.boolean().optional(),
  /** A folder on a disk of this machine where answers wait, sealed, that could not be saved. */
  spillFolder: text.optional(),
})

const http = z.strictObject({
  retry: z
    .strictObject({
      /** After the first try. 3 when absent. */
      maxRetries: z.int().min(0).max(10).optional(),
      /** Milliseconds; doubled with each try. 1,000 when absent. */
      baseDelay: ms.optional(),
      /** Milliseconds; a provider that asks for more gets its answer handed on instead. 10,000 when absent. */
      maxDelay: ms.optional(),
      /** 429, 500, 502, 503 and 504 when absent. */
      retryableStatusCodes: z.array(z.int().min(400).max(599)).max(50).optional(),
    })
    .optional(),
  /** Of one try, from its start to the last byte. Milliseconds; 30,000 when absent. */
  timeout: z.int().min(100).max(600_000).optional(),
  /** Of a call with all its tries and waiting, to the last byte. Milliseconds; 120,000, or `timeout` if that is more, when absent. */
  deadline: z.int().min(100).max(3_600_000).optional(),
  /** Between two probes of a provider that fails, where its record names one. Milliseconds; 30,000 when absent, 0 for none. */
  probeInterval: ms.optional(),
  /** One circuit for each provider and host. */
  circuitBreaker: z
    .strictObject({
      /** Failures in a row that open it. 5 when absent. */
      failureThreshold: z.int().min(1).max(1000).optional(),
      /** How long it stays open before one call is let through. Milliseconds; 60,000 when absent. */
      resetTimeout: ms.min(1).optional(),
    })
    .optional(),
  /** Answers to GET that their providers let be kept. */
  cache: z
    .strictObject({
      /** True when absent. */
      enabled: z.boolean().optional(),
      /** `redis`: on the token store's server, sealed, for all processes; only with that backend. `memory` when absent. */
      store: z.enum(['memory', 'redis']).optional(),
      /** Of all answers together, wherever they are kept. Bytes; 64 MiB when absent. */
      maxBytes: z.int().min(65_536).max(68_719_476_736).optional(),
      /** Of one answer; larger ones pass and are not kept. Bytes; 256 KiB when absent. */
      maxBodyBytes: z.int().min(0).max(16_777_216).optional(),
      /** How long an answer that is over may stand in for a provider that fails. Milliseconds; an hour when absent, and never more. */
      maxStale: ms.optional(),
    })
    .optional(),
})

const provider = z.strictObject({
  /** Of those that the record offers. Its first when absent: docs/providers.md lists them. */
  scheme: z.enum(SCHEMES).optional(),
  /** The consumer key where the scheme is `oauth1`. */
  clientId: text.optional(),
  clientSecret: secret.refine((value) => !value.isEmpty(), 'is empty').optional(),
  /** The client has no secret (RFC 6749 section 2.1). */
  publicClient: z.literal(true).optional(),
  /** Of schemes that send a browser away. https, but in development. */
  redirectUri: text.optional(),
  /** The record's default scopes, and what the features need, when absent. */
  scopes: z
    .array(z.string().regex(/^[!#-[\]-~]{1,256}$/u, 'must be a scope token (RFC 6749 section 3.3)'))
    .max(100)
    .optional(),
  /** What is wanted of the provider, by the catalog's names. */
  features: z.array(z.enum(FEATURES)).max(50).optional(),
  /** Sent with every authorization request, beside the record's. */
  authorizationParams: z
    .record(
      z.string().refine((name) => !isProtocolParameter(name), 'belongs to the protocol'),
      z.string().max(1024),
    )
    .optional(),
  /** Another server that speaks like the provider: its edition on premises, an emulator. All four endpoints, or none. */
  endpoints: z
    .strictObject({
      authorizationEndpoint: text.optional(),
      tokenEndpoint: text.optional(),
      userinfoEndpoint: text.optional(),
      apiBase: text.optional(),
      revocationEndpoint: text.optional(),
      deviceAuthorizationEndpoint: text.optional(),
      issuer: text.optional(),
      /** `dpop`: that server binds its tokens to keys (RFC 9449). `offered`: it does where it publishes so. */
      tokenBinding: z.enum(['dpop', 'offered']).optional(),
      /** Where that server takes authorization requests from the client itself (RFC 9126). */
      pushedAuthorizationRequestEndpoint: text.optional(),
      /** What that server publishes at its issuer is read before people are sent there (RFC 8414). */
      discovery: z.literal(true).optional(),
      oauth1: z.strictObject({ temporaryCredentialEndpoint: text, authorizationEndpoint: text, tokenEndpoint: text }).optional(),
    })
    .optional(),
})

const limit = z.strictObject({
  /** Calls begun a second. */
  qps: z.number().min(0.001).max(100_000).optional(),
  /** Calls under way at a time. */
  concurrency: z.int().min(1).max(10_000).optional(),
  /** Calls that may wait for their turn. 1,000 when absent. */
  queue: z.int().min(0).max(100_000).optional(),
})

const logging = z.strictObject({
  /** `warn` when absent. */
  level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
  /** `json` when absent. */
  format: z.enum(['json', 'text']).optional(),
  /** Takes each line; standard output when absent. */
  write: z.custom<(line: string) => void>((value) => typeof value === 'function', 'must be a function').optional(),
})

const metrics = z.strictObject({
  /** False counts nothing. True when absent. */
  enabled: z.boolean().optional(),
})

const form = z.strictObject({
  /** `development` permits a store in memory, http redirect URIs on loopback and `insecureAllowOrigins`. `production` when absent. */
  mode: z.enum(['production', 'development']).optional(),
  tokenStore,
  providers: z.record(z.string(), provider),
  /** Records of providers that the catalog does not have. */
  connectors: z.array(z.unknown()).max(1000).optional(),
  http: http.optional(),
  rateLimits: z.record(z.string(), limit).optional(),
  /** For each feature, the providers that have it, in the order in which they are asked while the ones before are down. */
  alternatives: z.partialRecord(z.enum(FEATURES), z.array(z.string()).min(1).max(20)).optional(),
  metrics: metrics.optional(),
  logging: logging.optional(),
  /** Exact origins that may be plain http or on this machine. Development only. */
  insecureAllowOrigins: z.array(z.string()).max(100).optional(),
})

/** What `Sallyport.init` takes. */
export type SallyportConfig = z.input<typeof form>
/** The same with secrets wrapped. */
export type ReadConfig = z.output<typeof form>
/** What `providers.{name}` takes. */
export type ProviderConfig = z.input<typeof provider>
export type ReadProviderConfig = z.output<typeof provider>

/** What was read. With faults it is what is left without the parts that have them, for the rest to be judged as well; or nothing. */
export interface Read<T> {
  readonly value: T | undefined
  readonly faults: readonly ConfigFault[]
}

export function readForm(config: unknown): Read<ReadConfig> {
  return read(form, config, '')
}

/** One `providers.{name}`. */
export function readProviderForm(config: unknown, path: string): Read<ReadProviderConfig> {
  return read(provider, config, path)
}

function read<T>(schema: z.ZodType<T>, config: unknown, at: string): Read<T> {
  const result = schema.safeParse(config)
  if (result.success) return { value: result.data, faults: [] }
  const { issues } = result.error
  return { value: remnant(schema, config, issues), faults: issues.flatMap((issue) => faultsOf(issue, config, at)) }
}

/** How deep what is missing can lie. */
const ROUNDS = 4

/** Takes out what is wrong; then what can't be without it. */
function remnant<T>(schema: z.ZodType<T>, config: unknown, issues: readonly z.core.$ZodIssue[]): T | undefined {
  const rest = copied(config)
  let wrong = issues
  for (let round = 0; round < ROUNDS; round++) {
    if (wrong.some(({ code, path }) => path.length === 0 && code !== 'unrecognized_keys')) return undefined
    for (const issue of wrong) takeOut(rest, issue)
    const result = schema.safeParse(rest)
    if (result.success) return result.data
    wrong = result.error.issues
  }
  return undefined
}

function takeOut(rest: unknown, issue: z.core.$ZodIssue): void {
  if (issue.code === 'unrecognized_keys') for (const key of issue.keys) remove(rest, [...issue.path, key])
  else remove(rest, isThere(rest, issue.path) ? issue.path : issue.path.slice(0, -1))
}

/** An array goes as a whole: without one of its members it says something else. */
function remove(rest: unknown, path: readonly PropertyKey[]): void {
  let holder = rest as Record<PropertyKey, unknown> | undefined
  for (const [depth, name] of path.entries()) {
    if (holder === undefined) return
    const next = holder[name]
    if (depth === path.length - 1 || Array.isArray(next)) {
      delete holder[name]
      return
    }
    holder = typeof next === 'object' && next !== null ? (next as Record<PropertyKey, unknown>) : undefined
  }
}

/** Plain objects and arrays anew; what else there is, functions and secrets, as it is. */
function copied(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copied)
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isPlain ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copied(member)])) : value
}

function faultsOf(issue: z.core.$ZodIssue, config: unknown, at: string): ConfigFault[] {
  const path = [...(at === '' ? [] : [at]), ...issue.path.map(String)]
  if (issue.code !== 'unrecognized_keys')
    return [{ path: path.join('.') || '(all of it)', message: isThere(config, issue.path) ? issue.message : 'is missing' }]
  return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: `is no option${suggestion(key)}` }))
}

/** The judge's messages name types and what would be right, never what was there. */
function isThere(config: unknown, path: readonly PropertyKey[]): boolean {
  let value = config
  for (const name of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[name]
  return value !== undefined
}

/** Every name that an option has anywhere. */
const OPTIONS = [form, tokenStore, http, provider, limit, logging, metrics]
  .flatMap((one) => Object.keys(one.shape))
  .concat('key keys algorithm maxRetries baseDelay maxDelay retryableStatusCodes'.split(' '))
  .concat('failureThreshold resetTimeout maxBytes maxBodyBytes maxStale'.split(' '))
  .concat(
    'authorizationEndpoint tokenEndpoint userinfoEndpoint apiBase revocationEndpoint deviceAuthorizationEndpoint issuer tokenBinding pushedAuthorizationRequestEndpoint discovery'.split(
      ' ',
    ),
  )

function suggestion(key: string): string {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z]/gu, '')
  const [best] = OPTIONS.map((name) => ({ name, distance: distance(plain(key), plain(name)) })).toSorted((a, b) => a.distance - b.distance)
  return best !== undefined && best.distance <= Math.ceil(key.length / 3) ? `; did you mean "${best.name}"?` : ''
}

/** Levenshtein's. Names longer than any option are no near miss of one. */
function distance(a: string, b: string): number {
  if (a.length > 64) return a.length
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
