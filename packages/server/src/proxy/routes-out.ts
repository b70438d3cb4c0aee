/**
 * Owns how a call of the data plane goes out: by its provider's route, and with a proof where the token is bound to a key. Refuses a provider that
 * is not in the catalog.
 */
import { authorize, providerRoute } from '@sallyport/core'
import type { AuthorizedCall, Authorizing, OriginPolicy, Provider, ProviderRoute, TokenSet } from '@sallyport/core'

export interface RouteOut extends ProviderRoute {
  /** Of the API base, with a port that is not the scheme's own. */
  readonly host: string
  /** A credential of any kind as it goes into this one request, and what to do when the provider wants a nonce. @throws as `authorize` */
  prove(tokens: TokenSet, method: string, path: string): AuthorizedCall
}

/** @throws EgressError `egress_refused` when the API base is not one that may be reached. */
export function routeOut(provider: Provider, policy: OriginPolicy, authorizing: Authorizing): RouteOut {
  const route = providerRoute(provider, policy)
  return {
    ...route,
    host: new URL(route.base.origin).host,
    prove: (tokens, method, path) => authorize(route, tokens, { method, path }, authorizing),
  }
}
