/** What the compiler must accept and refuse of the public API. Checked with the types of the package; nothing here runs. */
import type {
  ApiRequest,
  ConnectionHealth,
  DiscoverableConnector,
  FetchedItem,
  ProviderAnswer,
  Sallyport,
  SallyportConfig,
  SallyportError,
  SdkErrorCode,
} from '../../src/index.ts'
import { SdkError, Secret } from '../../src/index.ts'

declare const sallyport: Sallyport

/** True when each is assignable to the other. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

const client = { clientId: 'an-id', clientSecret: 'a secret', redirectUri: 'https://app.example/callback' }

// The least that works, and everything that threat model A names.
;({ tokenStore: { backend: 'memory' }, providers: { github: client } }) satisfies SallyportConfig
;({
  tokenStore: {
    backend: 'redis',
    url: 'rediss://cache',
    encryption: { key: 'hex', algorithm: 'aes-256-gcm' },
    expiredTokenBufferMinutes: 5,
  },
  http: { retry: { maxRetries: 3, baseDelay: 1000, maxDelay: 10_000, retryableStatusCodes: [429, 503] } },
  rateLimits: { github: { qps: 10, concurrency: 5 } },
  providers: { github: { ...client, clientSecret: new Secret('a secret'), scopes: ['repo'], features: ['repositories.read'] } },
  metrics: { enabled: true },
  logging: { level: 'info', format: 'json', write: (line: string) => void line },
}) satisfies SallyportConfig
// @ts-expect-error: there is no such store
;({ tokenStore: { backend: 'files' }, providers: {} }) satisfies SallyportConfig
// @ts-expect-error: an option that nobody knows
;({ tokenStore: { backend: 'memory' }, providers: {}, retries: 3 }) satisfies SallyportConfig
// @ts-expect-error: no such feature
;({ tokenStore: { backend: 'memory' }, providers: { github: { ...client, features: ['mind.read'] } } }) satisfies SallyportConfig

// Verbs and what they give.
true satisfies Same<ReturnType<Sallyport['request']>, Promise<ProviderAnswer>>
true satisfies Same<Awaited<ReturnType<Sallyport['getConnectionHealth']>>, ConnectionHealth | undefined>
true satisfies Same<Awaited<ReturnType<Sallyport['refresh']>>, { readonly expiresAt: number | null }>
;({ provider: 'github', userId: 'ada', path: '/user', query: { a: 1, b: true }, json: { c: [] } }) satisfies ApiRequest
// @ts-expect-error: a call has a path, and no URL
;({ provider: 'github', userId: 'ada', url: 'https://api.github.com/user' }) satisfies ApiRequest

// Whose callback it is must be said.
void sallyport.handleCallback('?code=a&state=b', { userId: 'ada' })
void sallyport.handleCallback('?code=a&state=b', { session: 'of-the-browser' })
// @ts-expect-error: anybody could have sent it
void sallyport.handleCallback('?code=a&state=b', { provider: 'github' })

// Items: known providers have known collections.
const starred = sallyport.fetch({ provider: 'github', userId: 'ada', collection: 'starred' })
true satisfies Same<typeof starred, AsyncGenerator<FetchedItem, void, void>>
// Actions: known providers have known ones.
void sallyport.act({ provider: 'x', userId: 'ada', action: 'post', params: { text: 'hello' } })
// @ts-expect-error: X is not painted
void sallyport.act({ provider: 'x', userId: 'ada', action: 'paint' })

// @ts-expect-error: GitHub has no mail
sallyport.fetch({ provider: 'github', userId: 'ada', collection: 'mail' })
sallyport.fetch({ provider: 'one-of-our-own', userId: 'ada', collection: 'anything' })
sallyport.fetch({ feature: 'mail.read', userId: 'ada', limit: 5, signal: AbortSignal.timeout(1000) })
sallyport.fetch({ provider: 'feed', url: 'https://news.example/feed.xml' })
true satisfies Same<FetchedItem['title'], string | null>

// Events are told apart by their name.
sallyport.on('connected', ({ scopes, missingScopes }) => void [...scopes, ...missingScopes])
sallyport.on('disconnected', ({ revocation }) => void (revocation.kind === 'pending' ? revocation.reason : revocation.kind))
// @ts-expect-error: no such event
sallyport.on('refreshing', () => undefined)
// @ts-expect-error: an event has no tokens
sallyport.on('refreshed', ({ accessToken }) => void accessToken)

// Errors have a code of a closed list.
declare const error: unknown
if (error instanceof SdkError) {
  true satisfies Same<typeof error.code, SdkErrorCode>
  // @ts-expect-error: not one of its codes
  void (error.code === 'state_lost')
}
true satisfies SdkError extends SallyportError ? true : false

// A secret gives its value to reveal() alone.
// @ts-expect-error: it is no text
const leaked: string = new Secret('a secret')
void leaked

// A server that is known by its issuer: what it publishes may be left out, its name may not.
const known = {
  id: 'acme',
  name: 'Acme',
  docs: 'https://docs.acme.example/',
  oauth: { issuer: 'https://id.acme.example', tokenBinding: 'offered' },
  api: {
    base: 'https://api.acme.example',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
} as const
known satisfies DiscoverableConnector
// @ts-expect-error -- without an issuer nobody can be asked
;({ ...known, oauth: {} }) satisfies DiscoverableConnector
// @ts-expect-error -- only these ways of binding tokens are known
;({ ...known, oauth: { ...known.oauth, tokenBinding: 'mtls' } }) satisfies DiscoverableConnector
