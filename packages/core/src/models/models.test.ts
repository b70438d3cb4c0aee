import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { credentialFault, maskedCredential } from './credential.ts'
import { declaredModelProvider, modelProvidersWith } from './declared.ts'
import { listModelProviders } from './registry.ts'
import { modelBase, modelProviderSchema, settingFaults } from './schema.ts'

const RECORD = {
  id: 'example',
  name: 'Example',
  docs: 'https://docs.example',
  dialect: 'openai',
  credential: 'key',
  base: 'https://{region}.api.example.com',
  settings: { region: 'Region' },
  injection: { name: 'authorization', template: 'Bearer {token}' },
}

const account = (more: object = {}): string =>
  JSON.stringify({ type: 'service_account', client_email: 'robot@project.example', private_key: '-----BEGIN PRIVATE KEY-----\n', ...more })

describe('the records of model providers', () => {
  it('are of the vendors that are promised, each once', () => {
    expect(listModelProviders().map(({ id }) => id)).toEqual([
      'anthropic',
      'azure-openai',
      'bedrock',
      'cohere',
      'deepseek',
      'gemini',
      'groq',
      'mistral',
      'openai',
      'openrouter',
      'together',
      'vertex',
      'xai',
    ])
  })

  it.each([
    ['plain http', { base: 'http://api.example.com', settings: {} }],
    ['a slash at the end', { base: 'https://api.example.com/', settings: {} }],
    ['a place that no setting names', { base: 'https://{other}.example.com' }],
    ['a place in the path', { base: 'https://api.example.com/{region}' }],
    ['a place for the domain itself', { base: 'https://{region}.com' }],
    ['a place for the whole host', { base: 'https://{region}' }],
    ['a key that nothing places', { injection: undefined }],
    ['a placement of what is no key', { credential: 'aws' }],
    ['a token endpoint of what is no service account', { tokens: { endpoint: 'https://token.example', scope: 'all' } }],
    ['a service that nothing signs for', { signing: { service: 'example' } }],
    ['an AWS key whose signatures name no service', { credential: 'aws', injection: undefined }],
    ['another base for a setting that it has not', { elsewhere: [{ setting: 'other', is: ['eu'], base: 'https://eu.example.com' }] }],
    ['another base that a setting leads to any host', { elsewhere: [{ setting: 'region', is: ['eu'], base: 'https://{region}' }] }],
    ['a path that does not begin with a slash', { paths: { chat: 'v1/chat/completions' } }],
    ['a path that climbs', { paths: { chat: '/v1/%2e%2e/chat' } }],
    ['a page that shows nothing', { held: { on: '2026-01-01', pages: [{ page: 'https://docs.example', shows: [] }] } }],
    ['a template that holds no token', { injection: { name: 'authorization', template: 'Bearer' } }],
    ['a header in capitals', { injection: { name: 'Authorization', template: '{token}' } }],
  ])('are refused with %s', (_what, change) => {
    expect(modelProviderSchema.safeParse(RECORD).success).toBe(true)
    expect(modelProviderSchema.safeParse({ ...RECORD, ...change }).success).toBe(false)
  })
})

describe('a declared provider', () => {
  const declared = (one: object) => declaredModelProvider.safeParse(one)
  const among = (one: object, id: string) => modelProvidersWith([declaredModelProvider.parse(one)]).find((provider) => provider.id === id)

  it('speaks like OpenAI where nothing is said', () => {
    expect(among({ id: 'local', base: 'https://models.example/v1' }, 'local')).toMatchObject({
      name: 'local',
      dialect: 'openai',
      credential: 'key',
      base: 'https://models.example/v1',
      injection: { name: 'authorization', template: 'Bearer {token}' },
    })
  })

  it.each([
    ['https://models.example/v1', {}, { chat: '/chat/completions', embeddings: '/embeddings', models: '/models' }],
    ['https://models.example', {}, { chat: '/v1/chat/completions', embeddings: '/v1/embeddings', models: '/v1/models' }],
    ['https://models.example', { paths: { responses: '/answers' } }, { responses: '/answers' }],
    ['https://models.example', { dialect: 'anthropic' }, {}],
  ])('takes OpenAI’s requests where it says, or where OpenAI does: %s %j', (base, more, paths) => {
    expect(among({ id: 'local', base, ...more }, 'local')?.paths).toEqual(paths)
  })

  it('takes the place of the catalog’s address, and of nothing else', () => {
    const vertex = among({ id: 'vertex', base: 'http://127.0.0.1:1', tokenEndpoint: 'http://127.0.0.1:1/token' }, 'vertex')
    expect(vertex).toMatchObject({
      base: 'http://127.0.0.1:1',
      credential: 'google_service_account',
      settings: { location: expect.any(String) },
    })
    expect(vertex?.tokens?.endpoint).toBe('http://127.0.0.1:1/token')
    expect(modelBase(vertex!, { location: 'global' })).toBe('http://127.0.0.1:1')
    expect(modelProvidersWith([])).toEqual(listModelProviders())
  })

  it.each([
    ['a slash at the end', { base: 'https://models.example/' }],
    ['a query', { base: 'https://models.example?x' }],
    ['a user', { base: 'https://a@models.example' }],
    ['another scheme', { base: 'file:///etc' }],
    ['a token endpoint of a plain key', { tokenEndpoint: 'https://models.example/token' }],
    ['other words than the catalog says', { id: 'anthropic', dialect: 'openai' }],
    ['another place for a key than the catalog says', { id: 'openai', injection: { name: 'api-key', template: '{token}' } }],
    ['an id that is none', { id: 'A/b' }],
    ['a header of its callers that names no account', { callerHeaders: ['x-other'] }],
  ])('is refused with %s', (_what, change) => {
    expect(declared({ id: 'local', base: 'https://models.example' }).success).toBe(true)
    expect(declared({ id: 'local', base: 'https://models.example', ...change }).success).toBe(false)
  })
})

describe('the address that a key is called at', () => {
  const provider = modelProviderSchema.parse(RECORD)

  it('holds its settings in the host', () => {
    expect(modelBase(provider, { region: 'eu-1' })).toBe('https://eu-1.api.example.com')
  })

  it('is another one where the record says so of a setting', () => {
    const elsewhere = [
      { setting: 'region', is: ['world'], base: 'https://api.example.com' },
      { setting: 'region', is: ['eu', 'us'], base: 'https://api.{region}.example.net' },
    ]
    const moved = modelProviderSchema.parse({ ...RECORD, elsewhere })
    const bases = ['world', 'eu', 'us', 'eu-1'].map((region) => modelBase(moved, { region }))
    expect(bases).toEqual([
      'https://api.example.com',
      'https://api.eu.example.net',
      'https://api.us.example.net',
      'https://eu-1.api.example.com',
    ])
  })

  it.each(['', 'a.evil.test/', 'evil.test#', 'a.b', '@evil', 'EU', 'eu_1', '-eu', 'eu-', 'a'.repeat(64), 'e:1', 'e/..', '{region}', 'ｅu'])(
    'S-02 is no other host by a setting %j',
    (region) => {
      expect(settingFaults(provider, { region })).toEqual([{ name: 'region', reason: expect.stringContaining('must be') }])
      expect(() => modelBase(provider, { region })).toThrow('region must be')
    },
  )

  it('names what is missing and what is unknown', () => {
    expect(settingFaults(provider, { place: 'eu' })).toEqual([
      { name: 'region', reason: 'is missing' },
      { name: 'place', reason: 'is no setting of this provider' },
    ])
    expect(settingFaults(provider, Object.create({ region: 'eu' }) as Record<string, string>)).toHaveLength(1)
  })
})

describe('a model provider’s credential', () => {
  const aws = (more: object): string => JSON.stringify({ access_key_id: 'NOT-A-REAL-ID', secret_access_key: 'not-a-real-secret', ...more })

  it.each([
    ['key', 'not-a-real-key-1234'],
    ['aws', aws({})],
    ['aws', aws({ session_token: 'not-a-real-session' })],
    ['google_service_account', account()],
    ['google_service_account', account({ project_id: 'kept' })],
  ] as const)('of kind %s is taken', (kind, text) => {
    expect(credentialFault(kind, new Secret(text))).toBeUndefined()
  })

  it.each([
    ['key', 'short'],
    ['key', 'with a space'],
    ['key', 'ends-a-line\r\nx: y'],
    ['key', 'trailing-space '],
    ['key', 'ünïcödé-key'],
    ['key', 'k'.repeat(4097)],
    ['aws', 'not-json-at-all'],
    ['aws', aws({ secret_access_key: '' })],
    ['aws', aws({ region: 'unasked' })],
    ['google_service_account', account({ type: 'authorized_user' })],
    ['google_service_account', account({ private_key: 'none' })],
    ['google_service_account', account({ client_email: 'robot\u0000@project.example' })],
    ['google_service_account', account({ client_email: 'robot@project\u001b[2Jexample' })],
    ['google_service_account', account({ client_email: 'robot@\ud800.example' })],
    ['google_service_account', 'null'],
  ] as const)('of kind %s is refused as %j, and not repeated', (kind, text) => {
    const fault = credentialFault(kind, new Secret(text))
    expect(fault).toContain('must be')
    expect(fault).not.toContain(text)
    expect(() => maskedCredential(kind, new Secret(text))).toThrow('no credential of its kind')
  })

  it('is told from others by what is no secret', () => {
    expect(maskedCredential('key', new Secret('not-a-real-key-that-ends-1234'))).toBe('…1234')
    expect(maskedCredential('key', new Secret('short-1234'))).toBe('…')
    expect(maskedCredential('aws', new Secret(aws({})))).toBe('…L-ID')
    expect(maskedCredential('google_service_account', new Secret(account()))).toBe('robot@project.example')
  })
})
