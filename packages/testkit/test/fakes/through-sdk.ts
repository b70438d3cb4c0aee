/** Owns an SDK in front of a fake provider: signed in as its person, and read from through a connector. */
import { CONNECTORS, hasCode, Sallyport } from '@sallyport/core'
import type { CollectionOptions, Item, ProviderConfig, SallyportConfig } from '@sallyport/core'
import type { FakeEndpoint } from '../../src/fakes/index.ts'

export const REDIRECT_URI = 'https://app.example/callback'

interface At {
  readonly origin: string
  readonly clientId: string
  readonly clientSecret: string
  readonly endpoints: Readonly<Record<FakeEndpoint, string>>
}

export const personOf = (provider: string) => ({ provider, userId: 'ada' })

export async function sdkAt(
  provider: string,
  { origin, clientId, clientSecret, endpoints }: At,
  options: Partial<ProviderConfig> = {},
  changes: Partial<SallyportConfig> = {},
): Promise<Sallyport> {
  return Sallyport.init({
    mode: 'development',
    tokenStore: { backend: 'memory' },
    providers: { [provider]: { clientId, clientSecret, redirectUri: REDIRECT_URI, endpoints, ...options } },
    insecureAllowOrigins: [origin],
    http: { retry: { maxRetries: 0 } },
    logging: { level: 'silent' },
    ...changes,
  })
}

export async function signIn(sallyport: Sallyport, provider: string, agree: (url: string) => string) {
  const { url } = await sallyport.connect(personOf(provider))
  return sallyport.handleCallback(agree(url), { userId: 'ada' })
}

/** A caller waits a second for a refresh whose token can be used yet. On a busy machine that is too short: what is under way is waited for again. */
export async function renewed(sallyport: Sallyport, provider: string): Promise<void> {
  for (;;) {
    try {
      await sallyport.refresh(personOf(provider))
      return
    } catch (error) {
      if (!hasCode(error, 'refresh_pending')) throw error
    }
  }
}

export async function itemsOf(sallyport: Sallyport, provider: string, list: string, options?: CollectionOptions): Promise<Item[]> {
  const collection = CONNECTORS.get(provider)!.collections[list]!
  const items: Item[] = []
  for await (const item of collection((call) => sallyport.request({ ...personOf(provider), ...call }), options)) items.push(item)
  return items
}
