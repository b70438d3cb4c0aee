/**
 * Owns what a record says that a page of its provider can show, and which of it no page shows yet. Refuses to count as stated what is only
 * supposed.
 */
import { unshownOf } from './held.ts'
import type { Provider } from './schema.ts'

/** What each fact is called in the documentation. */
export const FACTS = {
  authorization: 'the authorization endpoint',
  token: 'the token endpoint',
  client: 'how the client proves itself there',
  proofKey: 'that proof keys are taken',
  device: 'the endpoint for devices',
  application: 'that the client gets tokens of its own',
  revocation: 'how tokens are taken back',
  account: 'where the account is looked up',
  api: 'the address of the API',
  scopes: 'the scopes of the features',
  rotation: 'what becomes of a used refresh token',
  idle: 'how long a grant may be left unused',
  quirks: 'its ways of leaving the standard',
} as const

export type Fact = keyof typeof FACTS

/** What the record says, in the order of the list above. That a used refresh token is spent is no statement: it is what is supposed. */
export function statedFacts({ oauth, api: _api, features, rotation, revocation, grant, oauth1 }: Provider): readonly Fact[] {
  const leavesStandard =
    oauth.tokenQuirks.length > 0 ||
    Object.keys(oauth.authorizationParams).length > 0 ||
    [oauth.tokenBody, oauth.refreshNamesRedirect, oauth.tokenHeaders, oauth.scopeParameter, oauth1].some((one) => one !== undefined) ||
    oauth.scopeSeparator !== ' '
  const stated: Readonly<Record<Fact, boolean>> = {
    authorization: true,
    token: true,
    client: true,
    proofKey: true,
    device: oauth.deviceAuthorizationEndpoint !== undefined,
    application: oauth.clientCredentials === true,
    revocation: revocation.kind !== 'none',
    account: true,
    api: true,
    scopes: Object.values(features).some((scopes) => scopes.length > 0),
    rotation: rotation.kind !== 'strict',
    idle: grant !== undefined,
    quirks: leavesStandard,
  }
  return (Object.keys(FACTS) as Fact[]).filter((fact) => stated[fact])
}

/** What the record says and none of its pages shows. */
export function unshownFacts(record: Provider): readonly Fact[] {
  return unshownOf(statedFacts(record), record.held)
}
