/**
 * Owns what of a provider's record every call needs, resolved once: the API base, the token's place, the headers that go along, and which calls
 * are allowed. The gateway and the SDK call out by it alike.
 */
import { overridesMethod, parseApiBase } from '../http/index.ts'
import type { ApiBase, Injection, OriginPolicy } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import type { Counted } from '../pipeline/index.ts'
import type { ApiRecord } from './schema.ts'

/** Where a provider's calls go, and what goes into each. */
export interface ProviderRoute {
  readonly base: ApiBase
  /** A bearer token or an API key as it goes into the request. */
  inject(token: Secret): Injection[]
  /** `headers` (flat, names in lower case), with the provider's defaults added for names the caller did not send. */
  withDefaults(headers: string[]): string[]
  /** Which of the connection's quotas the call counts against; undefined where there is one for all calls. */
  counts(method: string, path: string): Counted | undefined
  /**
   * Whether the record's rules let this call out (S-18). To be judged before the credential is opened. A query that would have the server see another method
   * is out wherever there are rules; and at Google's servers, which all know one, in any case.
   */
  allows(method: string, path: string): boolean
}

/** All of them read `$httpMethod` and `$httpHeaders` (https://cloud.google.com/apis/docs/system-parameters). */
const GOOGLE = /^https:\/\/(?:[a-z0-9-]+\.)*googleapis\.com(?:[:/]|$)/u

/** @throws EgressError `egress_refused` when the API base is not one that may be reached. */
export function providerRoute(provider: Pick<ApiRecord, 'api'>, policy: OriginPolicy): ProviderRoute {
  const { injection, rules, quota } = provider.api
  const [before = '', after = ''] = injection.kind === 'query' ? [] : injection.template.split('{token}')
  const defaults = Object.entries(provider.api.defaultHeaders)
  const takesAsSaid = rules !== undefined || GOOGLE.test(provider.api.base)
  return {
    base: parseApiBase(provider.api.base, policy),
    inject: (token) => [{ kind: injection.kind, name: injection.name, value: new Secret(before + token.reveal() + after) }],
    withDefaults(headers) {
      for (const [name, value] of defaults) if (!hasName(headers, name)) headers.push(name, value)
      return headers
    },
    counts: (method, path) => quota && countedBy(quota, method, pathOnly(path)),
    allows: (method, path) =>
      (rules === undefined || rules.some((rule) => rule.methods.some((it) => it === method) && isUnder(pathOnly(path), rule.pathPrefix))) &&
      !(takesAsSaid && overridesMethod(path)),
  }
}

/** The path without its query. */
export function pathOnly(path: string): string {
  const mark = path.indexOf('?')
  return mark < 0 ? path : path.slice(0, mark)
}

function hasName(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true
  return false
}

function countedBy(quota: NonNullable<ApiRecord['api']['quota']>, method: string, path: string): Counted {
  if (quota.by === 'endpoint') return { by: `${method} ${endpointOf(path)}` }
  return { by: quota.paths.find(({ under }) => isUnder(path, under))?.resource ?? quota.otherwise, saidIn: quota.header }
}

/** Numbers and UUIDs name things of one endpoint. Other names can't be told from its own words: each of those is held back for itself. */
function endpointOf(path: string): string {
  return path.replaceAll(/(?<=\/)(?:\d+|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})(?=\/|$)/giu, ':id')
}

/** Whole segments, in the case they were written: `/v1/chatx` and `/V1/CHAT` are not under `/v1/chat` (I-05). */
function isUnder(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`)
}
