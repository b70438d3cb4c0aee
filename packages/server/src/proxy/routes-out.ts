/**
 * Owns how a call of the data plane goes out: by its provider's route, and with a proof where the token is bound to a key. Refuses a provider that
 * is not in the catalog.
 */
import { challengesForNonce, headerText, makeDpopProof, openProofKey, pathOnly, providerRoute, Secret } from '@sallyport/core'
import type {
  ApiBase,
  Clock,
  DpopNonces,
  DpopTokens,
  ForwardCall,
  Injection,
  OriginPolicy,
  ParsedHeaders,
  Provider,
  ProviderRoute,
} from '@sallyport/core'

export interface RouteOut extends ProviderRoute {
  /**
   * A token bound to a key as it goes into this one request, with its proof (RFC 9449 section 7), and what to do when the provider wants a nonce.
   * @throws CryptoError `key_invalid`
   */
  prove(tokens: DpopTokens, method: string, path: string): ProvenCall
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
  const route = providerRoute(provider, policy)
  return { ...route, prove: (tokens, method, path) => proven(tokens, method, route.base, path, proving) }
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
