import { randomBytes } from 'node:crypto'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { ConfigError, Sallyport } from './index.ts'
import type { CallbackExpectation, Connected, ProviderAnswer, SallyportConfig, SallyportEvents } from './index.ts'

const key = randomBytes(32).toString('hex')
const github = { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: 'https://app.example/callback' }
const good: SallyportConfig = {
  tokenStore: { backend: 'redis', url: 'redis://:fake@127.0.0.1:1', encryption: { key, algorithm: 'aes-256-gcm' } },
  providers: { github },
  logging: { level: 'silent' },
}

/** The faults by path. */
async function faultsOf(config: unknown): Promise<Record<string, string>> {
  try {
    await (await Sallyport.init(config as SallyportConfig)).close({ timeoutMs: 0 })
    return {}
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return Object.fromEntries(error.faults.map(({ path, message }) => [path, message]))
  }
}

describe('a configuration of the SDK', () => {
  it('takes the shapes of the threat model as they are printed there', async () => {
    const printed = {
      ...good,
      tokenStore: { ...good.tokenStore, expiredTokenBufferMinutes: 5 },
      http: { retry: { maxRetries: 3, baseDelay: 1000, maxDelay: 10000, retryableStatusCodes: [429, 500, 502, 503, 504] } },
      rateLimits: { github: { qps: 10, concurrency: 5 } },
      metrics: { enabled: true },
    } satisfies SallyportConfig
    expect(await faultsOf(printed)).toEqual({})
  })

  it('takes several keys, the first as current', async () => {
    const keys = [
      { id: 'key-2024-10', key },
      { id: 'key-2024-09', key: new Secret(randomBytes(32).toString('hex')) },
    ]
    expect(await faultsOf({ ...good, tokenStore: { ...good.tokenStore, encryption: { keys } } })).toEqual({})
    const doubled = [keys[0], keys[0]]
    expect(await faultsOf({ ...good, tokenStore: { ...good.tokenStore, encryption: { keys: doubled } } })).toHaveProperty([
      'tokenStore.encryption',
    ])
  })

  it('names everything that is wrong at once, each with its path, and quotes nothing of it', async () => {
    const faults = await faultsOf({
      tokenStore: { backend: 'redis', encryption: { key: 'a guess at a key', algorithm: 'des' }, expiredTokenBufferMinutes: -1 },
      providers: { github: { clientId: '', clientSecret: '', redirectUri: 7 } },
      http: { retry: { maxRetry: 3 } },
    })
    expect(Object.keys(faults).toSorted()).toEqual([
      'http.retry.maxRetry',
      'providers.github.clientId',
      'providers.github.clientSecret',
      'providers.github.redirectUri',
      'tokenStore.encryption',
      'tokenStore.expiredTokenBufferMinutes',
      'tokenStore.url',
    ])
    const semantic = await faultsOf({
      tokenStore: { backend: 'redis', encryption: { key: 'a guess at a key' } },
      providers: { github: { ...github, redirectUri: 'http://app.example/cb', features: ['mail.read'] }, nowhere: github },
      rateLimits: { gitub: { qps: 1 } },
      insecureAllowOrigins: ['http://127.0.0.1:1'],
      connectors: [{ id: 'x' }],
    })
    expect(Object.keys(semantic)).toEqual(
      expect.arrayContaining([
        'tokenStore.url',
        'tokenStore.encryption',
        'providers.github.redirectUri',
        'providers.github.features',
        'providers.nowhere',
        'rateLimits.gitub',
        'insecureAllowOrigins',
        'connectors.0',
      ]),
    )
    expect(JSON.stringify([faults, semantic])).not.toMatch(/guess|fake/u)
  })

  it('suggests the option that was meant', async () => {
    const faults = await faultsOf({ ...good, ratelimits: {}, http: { retry: { max_retries: 3 } }, wholly: 1 })
    expect(faults).toMatchObject({
      ratelimits: 'is no option; did you mean "rateLimits"?',
      'http.retry.max_retries': 'is no option; did you mean "maxRetries"?',
      wholly: 'is no option',
    })
  })

  it('says what is missing', async () => {
    expect(await faultsOf({})).toEqual({ tokenStore: 'is missing', providers: 'is missing' })
    const unset = { ...good, tokenStore: { ...good.tokenStore, encryption: { key: undefined } } }
    expect((await faultsOf(unset))['tokenStore.encryption']).toMatch(/"key" is missing/u)
  })

  it('X-04 permits memory, http redirect URIs on this machine and insecure origins where development is said, and not otherwise', async () => {
    const local = {
      tokenStore: { backend: 'memory' },
      providers: { github: { ...github, redirectUri: 'http://localhost:3000/cb' } },
      insecureAllowOrigins: ['http://127.0.0.1:1'],
    }
    expect(await faultsOf({ ...local, mode: 'development' })).toEqual({})
    const refused = await faultsOf(local)
    expect(Object.keys(refused).toSorted()).toEqual(['insecureAllowOrigins', 'providers.github.redirectUri', 'tokenStore'])
    const far = { ...local, mode: 'development', providers: { github: { ...github, redirectUri: 'http://app.example/cb' } } }
    expect(await faultsOf(far)).toHaveProperty(['providers.github.redirectUri'])
    const named = { ...far, providers: { github: { ...github, redirectUri: 'http://127.app.example/cb' } } }
    expect(await faultsOf(named)).toHaveProperty(['providers.github.redirectUri'])
  })

  it('refuses a provider by the name that feeds go by', async () => {
    const api = { base: 'https://api.example', injection: { kind: 'query', name: 'key' }, defaultHeaders: {} }
    const feed = { id: 'feed', name: 'A', docs: 'https://docs.example/', origins: ['https://api.example'], api, credential: 'api_key' }
    const faults = await faultsOf({ ...good, connectors: [feed], providers: { feed: {} } })
    expect(faults).toEqual({ 'providers.feed': 'has the name that feeds go by' })
  })

  it.each(['https://api.example:8443', 'https://10.0.0.1', 'https://intranet'])(
    'S-05 names an API that no call may go to: %s',
    async (origin) => {
      const api = { base: origin, injection: { kind: 'query', name: 'key' }, defaultHeaders: {}, probe: { method: 'GET', path: '/up' } }
      const keyed = { id: 'keyed', name: 'A', docs: 'https://docs.example/', origins: [origin], api, credential: 'api_key' }
      expect(await faultsOf({ ...good, connectors: [keyed], providers: { keyed: {} } })).toEqual({
        'providers.keyed': expect.stringMatching(/^names an address that no call may go to \(apiBase: /u) as string,
      })
    },
  )

  it('O-21 is refused without the scopes that the features asked for need', async () => {
    const withScopes = (scopes: string[]) => ({
      ...good,
      providers: { github: { ...github, scopes, features: ['repositories.read', 'notifications.read'] } },
    })
    expect(await faultsOf(withScopes(['repo']))).toEqual({
      'providers.github.scopes': 'lacks what notifications.read needs: notifications',
    })
    expect(await faultsOf(withScopes(['repo', 'notifications']))).toEqual({})
  })

  it('is judged with what the provider’s scheme needs and has no use for', async () => {
    const api = { base: 'https://api.example', injection: { kind: 'query', name: 'key' }, defaultHeaders: {} }
    const base = { name: 'A', docs: 'https://docs.example/', origins: ['https://api.example'], api }
    const connectors = [
      { ...base, id: 'keyed', credential: 'api_key' },
      { ...base, id: 'nothing' },
      {
        ...base,
        id: 'machine',
        oauth: {
          issuer: 'https://api.example',
          tokenEndpoint: 'https://api.example/token',
          tokenAuth: 'client_secret_post',
          scopeSeparator: ' ',
          tokenQuirks: [],
          clientCredentials: true,
        },
      },
    ]
    const { clientId, clientSecret } = github
    const machine = { clientId, clientSecret }
    expect(await faultsOf({ ...good, connectors: [connectors[0], connectors[2]], providers: { keyed: {}, machine } })).toEqual({})
    expect(
      await faultsOf({
        ...good,
        connectors,
        providers: {
          github: { clientId, scheme: 'device_code', publicClient: true, clientSecret },
          x: { clientId, clientSecret, scheme: 'oauth1', scopes: ['tweet.read'], features: ['posts.read'] },
          google: { clientId, redirectUri: github.redirectUri },
          keyed: { clientSecret },
          machine: { ...machine, redirectUri: 'http://app.example/cb', scheme: 'authorization_code' },
          reddit: { ...github, scheme: 'api_key' },
        },
      }),
    ).toMatchObject({
      'connectors.1': expect.stringMatching(/offers no scheme/u) as string,
      'providers.github.publicClient': expect.any(String) as string,
      'providers.x.redirectUri': 'is missing',
      'providers.x.scopes': 'is of no use to the scheme oauth1',
      'providers.google.clientSecret': 'is missing; a client without one says "publicClient: true"',
      'providers.keyed.clientSecret': 'is of no use to the scheme api_key, whose key is given to "connect"',
      'providers.machine.scheme': 'is not offered by machine (client_credentials)',
      'providers.machine.redirectUri': expect.stringMatching(/must be https/u) as string,
      'providers.reddit.scheme': expect.stringMatching(/^is not offered by reddit \(authorization_code/u) as string,
    })
  })

  it('is typed: unknown options and wrong values do not compile', () => {
    expectTypeOf<SallyportConfig['tokenStore']['backend']>().toEqualTypeOf<'memory' | 'redis' | 'postgres'>()
    // @ts-expect-error -- no such option
    const unknown: SallyportConfig = { ...good, rateLimit: {} }
    // @ts-expect-error -- a callback names who has come back
    const nobody: CallbackExpectation = {}
    expectTypeOf<Awaited<ReturnType<Sallyport['request']>>>().toEqualTypeOf<ProviderAnswer>()
    expectTypeOf<Awaited<ReturnType<Sallyport['handleCallback']>>>().toEqualTypeOf<Connected>()
    expectTypeOf<SallyportEvents['connected']['missingScopes']>().toEqualTypeOf<readonly string[]>()
    expect([unknown, nobody]).toHaveLength(2)
  })
})
