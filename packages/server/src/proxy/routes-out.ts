/**
 * Owns what of a provider's record the hot path needs, resolved once: the API base, the credential's place, the headers that go along,
 * and which calls are allowed. Refuses a provider that is not in the catalog.
 */
import { challengesForNonce, headerText, makeDpopProof, openProofKey, parseApiBase, Secret } from '@sallyport/core'
import type { ApiBase, Clock, DpopNonces, DpopTokens, ForwardCall, Injection, OriginPolicy, ParsedHeaders, Provider } from '@sallyport/core'

export interface RouteOut {
  readonly base: ApiBase
  /** A bearer token as it goes into the request. */
  inject(token: Secret): Injection[]
  /**
   * A token bound to a key as it goes into this one request, with its proof (RFC 9449 section 7), and what to do when the provider wants a nonce.
   * @throws CryptoError `key_invalid`
   */
  prove(tokens: DpopTokens, method: string, path: string): ProvenCall
  /** `headers` (flat) with the provider's defaults for names the caller did not send. */
  withDefaults(headers: string[]): string[]
  /** Whether the record's rules let this call out (S-18). Judged before the credential is opened. */
  allows(method: string, path: string): boolean
}

export interface ProvenCall {
  readonly parts: Pick<ForwardCall, 'inject' | 'again'>
  /** Whether the answer that was passed on refused the proof for want of a nonce: that says nothing of the token. */
  readonly wantedNonce: () => boolean
}

/** What proofs need beside a key. */
export interface Proving {
  readonly nonces: DpopNonces
  readonly clock: Clock
}

/** @throws EgressError `egress_refused` when the API base is not one that may be reached. */
export function routeOut(provider: Provider, policy: OriginPolicy, proving: Proving): RouteOut {
  const { injection, rules } = provider.api
  const [before = '', after = ''] = injection.template.split('{token}')
  const defaults = Object.entries(provider.api.defaultHeaders)
  const base = parseApiBase(provider.api.base, policy)
  return {
    base,
    prove: (tokens, method, path) => proven(tokens, method, base, path, proving),
    inject: (token) => [{ kind: injection.kind, name: injection.name, value: new Secret(before + token.reveal() + after) }],
    withDefaults(headers) {
      for (const [name, value] of defaults) if (!hasName(headers, name)) headers.push(name, value)
      return headers
    },
    allows: (method, path) =>
      rules === undefined || rules.some((rule) => rule.methods.some((it) => it === method) && isUnder(pathOnly(path), rule.pathPrefix)),
  }
}

function proven({ accessToken, dpopKey }: DpopTokens, method: string, base: ApiBase, path: string, { nonces, clock }: Proving): ProvenCall {
  const key = openProofKey(dpopKey)
  const url = base.origin + base.basePath + pathOnly(path)
  const injections = (nonce: string | undefined): Injection[] => {
    const proof = makeDpopProof(key, { method, url, now: clock.now(), accessToken, nonce })
    return [
      { kind: 'header', name: 'authorization', value: new Secret(`DPoP ${accessToken.reveal()}`) },
      { kind: 'header', name: 'dpop', value: new Secret(proof) },
    ]
  }
  const sent = nonces.get(base.origin)
  let wanted = false
  const again = (status: number, headers: ParsedHeaders): Injection[] | undefined => {
    nonces.put(base.origin, headerText(headers, 'dpop-nonce') ?? null)
    wanted = challengesForNonce(status, headerText(headers, 'www-authenticate'))
    const given = nonces.get(base.origin)
    return wanted && given !== sent ? injections(given) : undefined
  }
  return { parts: { inject: injections(sent), again }, wantedNonce: () => wanted }
}

function hasName(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true
  return false
}

/** Whole segments, in the case they were written: `/v1/chatx` and `/V1/CHAT` are not under `/v1/chat` (I-05). */
function isUnder(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`)
}

/** The path without its query. */
export function pathOnly(path: string): string {
  const mark = path.indexOf('?')
  return mark < 0 ? path : path.slice(0, mark)
}
