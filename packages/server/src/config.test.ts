import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createRedisLeases, EXAMPLE_KEY_HEX, generateKeyBytes } from '@sallyport/core'
import { ConfigError, configJsonSchema, configReference, describeConfig, loadConfig } from './config.ts'
import type { Config, ConfigFault } from './config.ts'

type Env = Record<string, string>
type Files = Record<string, string>

const rootKey = () => generateKeyBytes().toString('hex')

/** The least that production starts with. */
function production(over: Env = {}): Env {
  return {
    SALLYPORT_MODE: 'production',
    SALLYPORT_PUBLIC_URL: 'https://gateway.example.com',
    SALLYPORT_ENCRYPTION_KEYS: `k1:${rootKey()}`,
    SALLYPORT_TRUSTED_PROXIES: '10.0.0.0/8',
    ...over,
  }
}

const development = (over: Env = {}): Env => ({ SALLYPORT_MODE: 'development', ...over })

function reader(files: Files) {
  return (path: string) => {
    const text = files[path]
    if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
    return text
  }
}

function load(env: Env, files: Files = {}, argv: readonly string[] = []): Config {
  return loadConfig({ env, argv, readFile: reader(files) })
}

function faultsOf(env: Env, files: Files = {}, argv: readonly string[] = []): readonly ConfigFault[] {
  try {
    load(env, files, argv)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

const settingsOf = (...args: Parameters<typeof faultsOf>) => faultsOf(...args).map(({ setting }) => setting)

describe("the metrics' own port", () => {
  it('S59 is on the loopback alone unless a setting says otherwise, and may be off', () => {
    expect(load(development()).metrics).toEqual({ host: '127.0.0.1', port: 9464, reach: 'loopback' })
    for (const host of ['127.0.0.9', '::1', 'localhost']) expect(load(production({ SALLYPORT_METRICS_HOST: host })).metrics.host).toBe(host)
    for (const host of ['0.0.0.0', '::', '10.0.0.5', 'gateway.internal']) {
      expect(settingsOf(production({ SALLYPORT_METRICS_HOST: host }))).toEqual(['metrics.host'])
      expect(load(production({ SALLYPORT_METRICS_HOST: host, SALLYPORT_METRICS_REACH: 'network' })).metrics.host).toBe(host)
      expect(load(production({ SALLYPORT_METRICS_HOST: host, SALLYPORT_METRICS_PORT: '0' })).metrics.port).toBe(0)
    }
    expect(settingsOf(production({ SALLYPORT_METRICS_REACH: 'everyone' }))).toEqual(['metrics.reach'])
  })

  it("is another than the gateway's", () => {
    expect(settingsOf(development({ SALLYPORT_PORT: '9464' }))).toEqual(['metrics.port'])
    expect(settingsOf(production({ SALLYPORT_METRICS_PORT: '7255' }))).toEqual(['metrics.port'])
    expect(settingsOf(development({ SALLYPORT_HOST: '127.0.0.2', SALLYPORT_METRICS_PORT: '7255' }))).toEqual([])
  })

  it('shows in what doctor prints', () => {
    expect(describeConfig(load(development()))).toMatchObject({ 'metrics.port': '9464 [default]', 'metrics.reach': 'loopback [default]' })
  })
})

describe('loadConfig', () => {
  it('decides every default by the mode', () => {
    expect(load(development({ SALLYPORT_PORT: '8000' }))).toMatchObject({
      mode: 'development',
      host: '127.0.0.1',
      port: 8000,
      publicUrl: 'http://127.0.0.1:8000',
      dataDir: './.sallyport',
      trustedProxies: [],
      logLevel: 'info',
      logFormat: 'text',
      egress: { allowedPorts: [443], insecureAllowOrigins: [] },
      providers: {},
    })
    expect(load(production())).toMatchObject({ mode: 'production', host: '0.0.0.0', port: 7255, logFormat: 'json' })
  })

  it('X-01 is production when nobody says otherwise', () => {
    expect(settingsOf({})).toEqual(['encryptionKeys', 'publicUrl', 'trustedProxies'])
  })

  it('reports every fault together, each with its setting and where it was written', () => {
    const yaml = 'port: no\negress:\n  idleTimeoutMs: 5\n  nonsense: 1\nlogLevel: loud\nunknown: {a: 1}\ntrustedProxies: [10.0.0.1/8]\n'
    const env = {
      SALLYPORT_HOST: 'http://x',
      SALLYPORT_NONSENSE: '1',
      SALLYPORT_DATABASE_URL: 'mysql://x',
      SALLYPORT_LIMITS_MAX_HEADER_BYTES: '1e5',
    }
    expect(faultsOf(development(env), { 'sallyport.yaml': yaml }).map(({ setting, from }) => [setting, from])).toEqual([
      ['SALLYPORT_NONSENSE', undefined],
      ['egress.nonsense', 'sallyport.yaml'],
      ['unknown', 'sallyport.yaml'],
      ['host', 'SALLYPORT_HOST'],
      ['port', 'sallyport.yaml'],
      ['trustedProxies[0]', 'sallyport.yaml'],
      ['databaseUrl', 'SALLYPORT_DATABASE_URL'],
      ['logLevel', 'sallyport.yaml'],
      ['egress.idleTimeoutMs', 'sallyport.yaml'],
      ['limits.maxHeaderBytes', 'SALLYPORT_LIMITS_MAX_HEADER_BYTES'],
    ])
  })

  it('says all of it in one message that a person can act on', () => {
    expect(() => load(development({ SALLYPORT_PORT: '99999', SALLYPORT_LOG_LEVEL: 'loud' }))).toThrow(
      [
        'the configuration is refused:',
        '  port (SALLYPORT_PORT) must be a whole number from 1 to 65535',
        '  logLevel (SALLYPORT_LOG_LEVEL) must be one of debug, info, warn, error, silent',
        'docs/config.md explains every setting.',
      ].join('\n'),
    )
  })

  it.each([
    'SALLYPORT_ENCRYPTION_KEY',
    'SALLYPORT_PORT_FILE',
    'SALLYPORT_',
    'SALLYPORT_EGRESS',
    'SALLYPORT_EGRESS_INSECURE',
    'SALLYPORT_ROLE',
  ])('refuses the unknown variable %s', (name) =>
    expect(faultsOf(development({ [name]: 'x' }))).toEqual([{ setting: name, reason: 'is no setting' }]),
  )

  it('leaves other variables, those of the test suite and the name of the file alone', () => {
    const env = development({ PATH: '/bin', SALLYPORT_TEST_POSTGRES_URL: 'x', SALLYPORT_CONFIG: 'a.yaml' })
    expect(faultsOf(env, { 'a.yaml': '' })).toEqual([])
  })

  it.each([
    ['SALLYPORT_PORT', '', 'port'],
    ['SALLYPORT_PORT', ' 80', 'port'],
    ['SALLYPORT_PORT', '0x50', 'port'],
    ['SALLYPORT_PORT', '80.0', 'port'],
    ['SALLYPORT_PORT', '0', 'port'],
    ['SALLYPORT_MODE', 'Production', 'mode'],
    ['SALLYPORT_MODE', '', 'mode'],
    ['SALLYPORT_DATA_DIR', '', 'dataDir'],
    ['SALLYPORT_DATABASE_URL', '', 'databaseUrl'],
    ['SALLYPORT_DATABASE_URL', 'postgres://u:%zz@h/d', 'databaseUrl'],
    ['SALLYPORT_REDIS_URL', 'http://h', 'redisUrl'],
    ['SALLYPORT_EGRESS_ALLOWED_PORTS', '443,', 'egress.allowedPorts[1]'],
    ['SALLYPORT_EGRESS_ALLOWED_PORTS', '', 'egress.allowedPorts'],
    ['SALLYPORT_TRUSTED_PROXIES', '10.0.0.0/8,,', 'trustedProxies[1]'],
    ['SALLYPORT_PROVIDERS', '{', 'providers'],
    ['SALLYPORT_PROVIDERS', '[]', 'providers'],
  ])('never makes a default of a malformed %s=%j', (name, value, setting) => {
    expect(settingsOf(development({ [name]: value }))).toContain(setting)
  })

  it('lets variables win over the file, setting by setting', () => {
    const files = { 'sallyport.yaml': 'port: 1111\nhost: 10.0.0.1\negress:\n  idleTimeoutMs: 2000\n  totalTimeoutMs: 500000\n' }
    const config = load(development({ SALLYPORT_PORT: '2222', SALLYPORT_EGRESS_TOTAL_TIMEOUT_MS: '400000' }), files)
    expect([config.port, config.host, config.egress.idleTimeoutMs, config.egress.totalTimeoutMs]).toEqual([2222, '10.0.0.1', 2000, 400_000])
  })

  it('is frozen all the way down', () => {
    const config = load(development())
    expect([config, config.egress, config.egress.allowedPorts, config.providers].every(Object.isFrozen)).toBe(true)
  })
})

describe('secrets', () => {
  const url = 'postgres://gateway:pw-1234@db.internal/sallyport'

  it('come from the setting or from a file, with the last line break cut off', () => {
    const direct = load(development({ SALLYPORT_DATABASE_URL: url }))
    const fromFile = load(development({ SALLYPORT_DATABASE_URL_FILE: '/run/db' }), { '/run/db': `${url}\r\n` })
    const inYaml = load(development(), { 'sallyport.yaml': 'databaseUrlFile: /run/db', '/run/db': url })
    expect([direct, fromFile, inYaml].map((config) => config.databaseUrl?.reveal())).toEqual([url, url, url])
  })

  it('are refused when given twice in one place, and read once when a variable overrides the file', () => {
    const files = { '/run/db': url, 'sallyport.yaml': `databaseUrl: ${url}\ndatabaseUrlFile: /run/db\n` }
    expect(settingsOf(development({ SALLYPORT_DATABASE_URL: url, SALLYPORT_DATABASE_URL_FILE: '/run/db' }), { '/run/db': url })).toEqual([
      'databaseUrl',
    ])
    expect(settingsOf(development(), files)).toEqual(['databaseUrl'])
    expect(
      load(development({ SALLYPORT_DATABASE_URL_FILE: '/run/other' }), { ...files, '/run/other': `${url}2` }).databaseUrl?.reveal(),
    ).toBe(`${url}2`)
  })

  it('are refused when their file is missing or empty', () => {
    expect(faultsOf(development({ SALLYPORT_DATABASE_URL_FILE: '/none' }))).toMatchObject([
      { setting: 'databaseUrl', from: 'SALLYPORT_DATABASE_URL_FILE' },
    ])
    expect(settingsOf(development({ SALLYPORT_DATABASE_URL_FILE: '/empty' }), { '/empty': '\n' })).toEqual(['databaseUrl'])
  })

  // The risk: the operator swaps two variables, and the error message puts the key into a log.
  it('stand in no fault, description or inspection, wherever they were put', () => {
    const canary = `canary-${crypto.randomUUID()}`
    const wrong = Object.keys(envOfEverySetting()).map((name) => faultsOf(development({ [name]: canary })))
    const yaml = [
      `port: ${canary}`,
      `egress: ${canary}`,
      `databaseUrl: [${canary}]`,
      `providers: {github: ${canary}}`,
      `encryptionKeys: "x:${canary}"`,
      `a: "${canary}`,
      `- ${canary}`,
      `databaseUrlFile: ${canary}`,
    ]
    const inFile = yaml.map((text) => faultsOf(development(), { 'sallyport.yaml': text }))
    const good = load(
      development({ SALLYPORT_DATABASE_URL: `postgres://u:${canary}@127.0.0.1/d`, SALLYPORT_REDIS_URL: `redis://:${canary}@127.0.0.1` }),
    )
    const printed = inspect([wrong, inFile, good, describeConfig(good), JSON.stringify(good)], { depth: 9 })
    expect(inFile.every((faults) => faults.length > 0)).toBe(true)
    // A file named like a secret is named as a file nowhere either.
    expect(printed).not.toContain(canary)
  })
})

describe('sallyport.yaml', () => {
  it('is the one that --config names, else SALLYPORT_CONFIG, else the one in the working folder', () => {
    const files = { 'a.yaml': 'port: 1', 'b.yaml': 'port: 2', 'sallyport.yaml': 'port: 3' }
    const env = development({ SALLYPORT_CONFIG: 'b.yaml' })
    expect(
      [
        load(env, files, ['serve', '--config', 'a.yaml']),
        load(env, files, ['--config=a.yaml']),
        load(env, files),
        load(development(), files),
      ].map(({ port }) => port),
    ).toEqual([1, 1, 2, 3])
  })

  it('must be there when it is named', () => {
    expect(settingsOf(development({ SALLYPORT_CONFIG: 'none.yaml' }))).toEqual(['none.yaml'])
    expect(settingsOf(development(), {}, ['--config', 'none.yaml'])).toEqual(['none.yaml'])
    expect(settingsOf(development(), {}, ['--config'])).toHaveLength(1)
  })

  it('takes variables by ${NAME} in any value, reads them as variables are read, and leaves $${NAME} alone', () => {
    const yaml =
      'port: ${P}\ntrustedProxies: "${RANGES}"\ndataDir: /data/${NAME}/$${NAME}\ndatabaseUrl: postgres://u:${PW}@127.0.0.1/d\nproviders: ${OVERLAY}\n'
    const env = development({ P: '4321', RANGES: '10.0.0.0/8, 192.0.2.1', NAME: 'x', PW: 'pw-1', OVERLAY: '{}' })
    const config = load(env, { 'sallyport.yaml': yaml })
    expect([config.port, config.trustedProxies, config.dataDir, config.databaseUrl?.reveal()]).toEqual([
      4321,
      ['10.0.0.0/8', '192.0.2.1'],
      '/data/x/${NAME}',
      'postgres://u:pw-1@127.0.0.1/d',
    ])
  })

  it('refuses references to variables that are not set', () => {
    expect(faultsOf(development(), { 'sallyport.yaml': 'dataDir: /data/${MISSING_ONE}\nhost: ${}\n' })).toMatchObject([
      { setting: 'dataDir', reason: 'refers to a variable that is not set (MISSING_ONE)' },
      { setting: 'host' },
    ])
  })

  it.each([
    ['a list', '- port: 1'],
    ['a text', 'hello'],
    ['a doubled key', 'port: 1\nport: 2'],
    ['an alias', 'host: &a 10.0.0.1\ndataDir: *a'],
    ['a tag', 'host: !!js/function x'],
    ['broken', 'port: [1'],
    ['two documents', 'port: 1\n---\nport: 2'],
    ['a group that is a text', 'egress: none'],
    ['a text number', 'port: "7255"'],
    ['a prototype', '__proto__:\n  port: 1'],
  ])('refuses %s', (_name, yaml) => expect(faultsOf(development(), { 'sallyport.yaml': yaml })).not.toEqual([]))

  it('may be empty, and so may its groups', () => {
    expect(faultsOf(development(), { 'sallyport.yaml': '# nothing\n' })).toEqual([])
    expect(faultsOf(development(), { 'sallyport.yaml': 'egress:\n' })).toEqual([])
  })
})

describe('root keys', () => {
  const good = rootKey()
  const refused: [string, string][] = [
    ['none', ''],
    ['a zero key', `k1:${'00'.repeat(32)}`],
    ['31 bytes', `k1:${good.slice(2)}`],
    ['a passphrase', 'k1:correct horse battery staple'],
    ['the example of the documentation', `k1:${EXAMPLE_KEY_HEX}`],
    ['one byte repeated', `k1:${'ab'.repeat(32)}`],
    ['the same key twice', `k1:${good},k2:${good}`],
    ['the same id twice', `k1:${good},k1:${rootKey()}`],
    ['no id', good],
  ]

  it.each(refused)('C-01 refuses %s in every mode', (_name, keys) => {
    for (const mode of ['development', 'production']) {
      expect(settingsOf(production({ SALLYPORT_MODE: mode, SALLYPORT_ENCRYPTION_KEYS: keys }))).toEqual(['encryptionKeys'])
    }
  })

  it('C-01 refuses production without any, and takes several good ones', () => {
    const { SALLYPORT_ENCRYPTION_KEYS: _, ...without } = production()
    expect(settingsOf(without)).toEqual(['encryptionKeys'])
    expect(load(production({ SALLYPORT_ENCRYPTION_KEYS: `k2:${good},k1:${rootKey()}\n` })).encryptionKeys?.isEmpty()).toBe(false)
  })
})

describe('production', () => {
  it.each<[string, string, string]>([
    ['X-02', 'SALLYPORT_PUBLIC_URL', 'http://gateway.example.com'],
    ['X-01', 'SALLYPORT_TRUSTED_PROXIES', ''],
    ['X-01', 'SALLYPORT_EGRESS_INSECURE_ALLOW_ORIGINS', 'http://127.0.0.1:7256'],
    ['X-01', 'SALLYPORT_DATABASE_URL', 'postgres://postgres:postgres@127.0.0.1/postgres'],
    ['X-01', 'SALLYPORT_REDIS_URL', 'redis://:changeme@127.0.0.1'],
    ['X-04', 'SALLYPORT_DATABASE_URL', 'postgres://u:pw-1@db.internal/d?sslmode=disable'],
    ['X-04', 'SALLYPORT_DATABASE_URL', 'postgres://u:pw-1@db.internal/d?sslmode=require'],
    ['X-03', 'SALLYPORT_PROVIDERS', overlay('http://127.0.0.1:7256')],
  ])('%s refuses %s=%s, which development takes', (_id, name, value) => {
    expect(settingsOf(production({ [name]: value })).length).toBeGreaterThan(0)
    const sandbox: Env = name === 'SALLYPORT_PROVIDERS' ? { SALLYPORT_EGRESS_INSECURE_ALLOW_ORIGINS: 'http://127.0.0.1:7256' } : {}
    expect(faultsOf(development({ ...sandbox, [name]: value }))).toEqual([])
  })

  const wellKnown = [
    'postgres',
    'Password',
    'changeme',
    'secret',
    'mysecretpassword',
    'foobared',
    'sallyport',
    'letmein',
    '123456',
    'the-user',
  ]
  const urls = ['SALLYPORT_DATABASE_URL', 'SALLYPORT_DATABASE_SESSION_URL', 'SALLYPORT_DATABASE_MIGRATION_URL', 'SALLYPORT_REDIS_URL']
  it.each(urls)('X-01 refuses %s with a password that examples use, or that is its user', (name) => {
    const scheme = name === 'SALLYPORT_REDIS_URL' ? 'rediss' : 'postgres'
    const path = scheme === 'rediss' ? '0' : 'd'
    const base: Env = name.startsWith('SALLYPORT_DATABASE_') ? { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@127.0.0.1/d' } : {}
    const of = (password: string): Env => production({ ...base, [name]: `${scheme}://the-user:${password}@127.0.0.1/${path}` })
    for (const password of wellKnown) expect(settingsOf(of(password)).length, password).toBe(1)
    expect(faultsOf(of('not-a-password-of-anybody'))).toEqual([])
  })

  const SECRETS: readonly [setting: string, variable: string, values: readonly string[]][] = [
    ['keys.vaultToken', 'SALLYPORT_KEYS_VAULT_TOKEN', ['root', 'myroot', 'dev-only-token', 'changeme']],
    ['keys.vaultSecretId', 'SALLYPORT_KEYS_VAULT_SECRET_ID', ['secret', 'example']],
    ['keys.awsSecretAccessKey', 'SALLYPORT_KEYS_AWS_SECRET_ACCESS_KEY', ['not/A+real+key+of+documentation+EXAMPLEKEY', 'test']],
    ['keys.pkcs11Pin', 'SALLYPORT_KEYS_PKCS11_PIN', ['1234', '0000', '12345678', 'userpin']],
  ]
  it.each(SECRETS)('X-01 refuses %s that examples use, and does not repeat it', (setting, variable, values) => {
    for (const value of values) {
      const faults = faultsOf(production({ [variable]: value }))
      expect(
        faults.filter((one) => one.setting === setting && one.reason === 'is one that examples use'),
        value,
      ).toHaveLength(1)
    }
    const own = faultsOf(production({ [variable]: 'not-one-of-any-example' }))
    expect(own.filter((one) => one.setting === setting && one.reason === 'is one that examples use')).toEqual([])
  })

  it.each([
    ['egress.allowedPorts', 'egress: { allowedPorts: [] }'],
    ['trustedProxies', 'trustedProxies: []'],
    [
      'jwtIssuers[0].audiences',
      'jwtIssuers: [{ issuer: "https://a.test", audiences: [], algorithms: [RS256], keysUri: "https://a.test/k" }]',
    ],
    ['jwtIssuers[0].algorithms', 'jwtIssuers: [{ issuer: "https://a.test", audiences: [a], algorithms: [], keysUri: "https://a.test/k" }]'],
  ])('X-01 refuses %s that lists nothing, which would be all or none', (setting, yaml) => {
    const { SALLYPORT_TRUSTED_PROXIES: _, ...rest } = production()
    const env = setting === 'trustedProxies' ? rest : production()
    expect(settingsOf(env, { 'sallyport.yaml': yaml })).toEqual([setting])
  })

  it('X-04 takes verified TLS, this machine and socket folders', () => {
    for (const url of [
      'postgres://u:pw-1@db.internal/d?sslmode=verify-full',
      'postgres://u:pw-1@db.internal/d',
      'postgres://u:pw-1@127.0.0.1/d?sslmode=disable',
      'postgres://u:pw-1@%2Frun%2Fpg/d?sslmode=disable',
    ]) {
      expect(faultsOf(production({ SALLYPORT_DATABASE_URL: url }))).toEqual([])
    }
  })
})

describe('the address that calls out begin at', () => {
  it('X-08 is one address, or what the system chooses', () => {
    expect(load(production()).egress.localAddress).toBeUndefined()
    for (const at of ['192.0.2.7', '2001:db8::7', '::1'])
      expect(load(production({ SALLYPORT_EGRESS_LOCAL_ADDRESS: at })).egress.localAddress).toBe(at)
    for (const at of ['0.0.0.0', '::', 'fe80::1%eth0', '192.0.2.0/24', 'eth0', '192.0.2.7,192.0.2.8'])
      expect(settingsOf(production({ SALLYPORT_EGRESS_LOCAL_ADDRESS: at })), at).toEqual(['egress.localAddress'])
  })
})

describe('stores without TLS', () => {
  const allowed = { SALLYPORT_INSECURE_ALLOW_PLAINTEXT_STORES: 'true' }
  const plain: readonly [string, Env][] = [
    ['databaseUrl', { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@postgres/d?sslmode=disable' }],
    ['databaseUrl', { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@10.0.0.5/d?sslmode=require' }],
    ['databaseUrl', { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@[fd00::5]/d?sslmode=disable' }],
    ['redisUrl', { SALLYPORT_REDIS_URL: 'redis://:pw-1@redis:6379' }],
  ]

  it.each(plain)('X-04 are refused in production, but where it is said loudly that they are meant: %s %j', (setting, env) => {
    expect(settingsOf(production(env))).toEqual([setting])
    expect(faultsOf(production({ ...env, ...allowed }))).toEqual([])
    expect(settingsOf(production({ ...env, SALLYPORT_INSECURE_ALLOW_PLAINTEXT_STORES: 'false' }))).toEqual([setting])
  })

  it.each<[string, Env]>([
    ['databaseUrl', { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@8.8.8.8/d?sslmode=disable' }],
    ['databaseUrl', { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@[2002:808:808::1]/d?sslmode=disable' }],
    ['databaseUrl', { SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@[2606:4700::1]/d?sslmode=require' }],
    ['redisUrl', { SALLYPORT_REDIS_URL: 'redis://:pw-1@8.8.8.8' }],
  ])('X-04 are refused at a public address whatever is said: %s %j', (setting, env) => {
    expect(settingsOf(production({ ...env, ...allowed }))).toEqual([setting])
  })

  it('X-01 X-04 keep their other rules: no example passwords, and Redis has one', () => {
    expect(settingsOf(production({ ...allowed, SALLYPORT_DATABASE_URL: 'postgres://u:postgres@db/d?sslmode=disable' }))).toEqual([
      'databaseUrl',
    ])
    expect(settingsOf(production({ ...allowed, SALLYPORT_REDIS_URL: 'redis://redis' }))).toEqual(['redisUrl'])
  })
})

describe('TLS of the gateway', () => {
  const pair = { SALLYPORT_TLS_CERT_FILE: '/run/tls/cert.pem', SALLYPORT_TLS_KEY_FILE: '/run/tls/key.pem' }

  it('X-02 stands in for a proxy: production needs one of the two', () => {
    const { SALLYPORT_TRUSTED_PROXIES: _, ...without } = production()
    expect(settingsOf(without)).toEqual(['trustedProxies'])
    expect(load({ ...without, ...pair }).tls).toEqual({
      certFile: '/run/tls/cert.pem',
      keyFile: '/run/tls/key.pem',
      clientCertificates: 'required',
    })
    expect(load(development(pair)).publicUrl).toBe('https://127.0.0.1:7255')
  })

  it.each<[string, Env, string]>([
    ['half a pair', { SALLYPORT_TLS_CERT_FILE: '/c' }, 'tls.keyFile'],
    ['the other half', { SALLYPORT_TLS_KEY_FILE: '/k' }, 'tls.certFile'],
    ['authorities of clients without TLS', { SALLYPORT_TLS_CLIENT_CA_FILE: '/a' }, 'tls.clientCaFile'],
    ['a public address without https', { ...pair, SALLYPORT_PUBLIC_URL: 'http://127.0.0.1:7255' }, 'publicUrl'],
    ['clients that are asked otherwise', { ...pair, SALLYPORT_TLS_CLIENT_CERTIFICATES: 'none' }, 'tls.clientCertificates'],
    ['an empty path', { ...pair, SALLYPORT_TLS_CERT_FILE: '' }, 'tls.certFile'],
  ])('X-02 is refused with %s', (_what, env, setting) => {
    expect(settingsOf(development(env))).toEqual([setting])
  })
})

describe('senders of bound keys', () => {
  it('are believed of nobody, and asked for no nonce, unless that is set', () => {
    expect(load(development()).senders).toEqual({ requireNonce: false })
    const set = { SALLYPORT_SENDERS_REQUIRE_NONCE: 'true', SALLYPORT_SENDERS_CERTIFICATE_HEADER: 'client-cert' }
    expect(load(production(set)).senders).toEqual({ requireNonce: true, certificateHeader: 'client-cert' })
    expect(load(production({ SALLYPORT_SENDERS_REQUIRE_NONCE: 'false' })).senders.requireNonce).toBe(false)
  })

  it('are named by trusted proxies alone', () => {
    expect(settingsOf(development({ SALLYPORT_SENDERS_CERTIFICATE_HEADER: 'client-cert' }))).toEqual(['senders.certificateHeader'])
  })

  it.each([
    ['REQUIRE_NONCE', 'yes', 'senders.requireNonce'],
    ['REQUIRE_NONCE', '', 'senders.requireNonce'],
    ['REQUIRE_NONCE', 'TRUE', 'senders.requireNonce'],
    ['CERTIFICATE_HEADER', 'x-ssl-client-cert', 'senders.certificateHeader'],
    ['CERTIFICATE_HEADER', '', 'senders.certificateHeader'],
  ])('are no default of a malformed %s=%j', (name, value, setting) => {
    expect(settingsOf(production({ [`SALLYPORT_SENDERS_${name}`]: value }))).toEqual([setting])
  })
})

describe('the address of Redis', () => {
  /** What would be made of it at the start; nothing connects by that. */
  const opens = (url: string): boolean => {
    try {
      void createRedisLeases({ url }).close()
      return true
    } catch {
      return false
    }
  }

  it.each([
    'redis://cache.internal',
    'redis://:pw-1@cache.internal',
    'redis://:pw-1@10.0.0.1',
    'redis://:pw-1@localhost.internal',
    'rediss://cache.internal',
    'rediss://user@cache.internal',
    'redis://',
    'redis://localhost/abc',
    'redis://localhost?db=1',
    'redis://:%zz@localhost',
  ])('S19 X-04 is refused as %s in every mode, before anything starts', (url) => {
    expect(opens(url)).toBe(false)
    for (const mode of [production, development])
      expect(new Set(settingsOf(mode({ SALLYPORT_REDIS_URL: url })))).toEqual(new Set(['redisUrl']))
  })

  it.each(['rediss://:pw-1@cache.internal', 'rediss://user:pw-1@10.0.0.1:6380/3', 'redis://127.0.0.1', 'redis://[::1]:7000/2'])(
    'S19 X-04 is taken as %s in every mode',
    (url) => {
      expect(opens(url)).toBe(true)
      for (const mode of [production, development]) expect(faultsOf(mode({ SALLYPORT_REDIS_URL: url }))).toEqual([])
    },
  )
})

describe('the buffer of refreshes', () => {
  it('S32 is five minutes unless a setting says otherwise: none at all, or ten seconds to an hour', () => {
    expect(load(development()).refresh).toEqual({ bufferMs: 300_000 })
    for (const bufferMs of [0, 10_000, 3_600_000]) {
      expect(load(production({ SALLYPORT_REFRESH_BUFFER_MS: String(bufferMs) })).refresh).toEqual({ bufferMs })
    }
    for (const wrong of ['1', '9999', '3600001', '-1', '1e5', '5m', '']) {
      expect(settingsOf(production({ SALLYPORT_REFRESH_BUFFER_MS: wrong }))).toEqual(['refresh.bufferMs'])
    }
    expect(load(development(), { 'sallyport.yaml': 'refresh: {bufferMs: 60000}\n' }).refresh).toEqual({ bufferMs: 60_000 })
  })
})

describe('calls of models', () => {
  const declared = (...providers: object[]): Env => ({ SALLYPORT_MODELS_PROVIDERS: JSON.stringify(providers) })

  it('may take longer than others and are more at a time, unless what holds for all was set', () => {
    expect(load(development()).models).toMatchObject({
      headersTimeoutMs: 600_000,
      idleTimeoutMs: 600_000,
      totalTimeoutMs: 3_600_000,
      maxConnectionsPerOrigin: 1_024,
    })
    const env = { SALLYPORT_EGRESS_HEADERS_TIMEOUT_MS: '3000', SALLYPORT_MODELS_IDLE_TIMEOUT_MS: '4000' }
    expect(load(production(env)).models).toMatchObject({ headersTimeoutMs: 3_000, idleTimeoutMs: 4_000, totalTimeoutMs: 3_600_000 })
    expect(settingsOf(development({ SALLYPORT_MODELS_TOTAL_TIMEOUT_MS: '2000', SALLYPORT_MODELS_IDLE_TIMEOUT_MS: '3000' }))).toEqual([
      'models.idleTimeoutMs',
    ])
  })

  it('go to providers that are declared, each once', () => {
    const one = { id: 'inhouse', base: 'https://models.example.com/v1' }
    expect(load(production(declared(one))).models.providers).toMatchObject([one])
    expect(settingsOf(production(declared(one, one)))).toEqual(['models.providers[1].id'])
    expect(settingsOf(production(declared({ ...one, key: 'not-a-real-key' })))).toEqual(['models.providers[0]'])
  })

  it('X-03 go by plain http to opened loopback origins alone, and never in production', () => {
    const plain = declared({ id: 'vertex', base: 'http://127.0.0.1:7256', tokenEndpoint: 'http://127.0.0.1:7257/token' })
    const both = ['models.providers[0].base', 'models.providers[0].tokenEndpoint']
    expect(settingsOf(production(plain))).toEqual(both)
    expect(settingsOf(development(plain))).toEqual(both)
    expect(
      settingsOf(development({ ...plain, SALLYPORT_EGRESS_INSECURE_ALLOW_ORIGINS: 'http://127.0.0.1:7256,http://127.0.0.1:7257' })),
    ).toEqual([])
  })
})

describe('between settings', () => {
  it('a step is never longer than the whole', () => {
    const env = { SALLYPORT_EGRESS_TOTAL_TIMEOUT_MS: '5000', SALLYPORT_LIMITS_REQUEST_TIMEOUT_MS: '1000' }
    expect(settingsOf(development(env))).toEqual([
      'egress.connectTimeoutMs',
      'egress.headersTimeoutMs',
      'egress.idleTimeoutMs',
      'limits.headersTimeoutMs',
    ])
  })

  it('X-03 http endpoints need their origin opened by name, and only loopback can be', () => {
    const overlaid = { SALLYPORT_PROVIDERS: overlay('http://127.0.0.1:7256') }
    expect(settingsOf(development(overlaid))).toEqual(
      ['authorizationEndpoint', 'tokenEndpoint', 'userinfoEndpoint', 'apiBase'].map((name) => `providers.github.${name}`),
    )
    expect(settingsOf(development({ ...overlaid, SALLYPORT_EGRESS_INSECURE_ALLOW_ORIGINS: 'http://127.0.0.1:9999' }))).toHaveLength(4)
    expect(settingsOf(development({ SALLYPORT_EGRESS_INSECURE_ALLOW_ORIGINS: 'http://169.254.169.254' }))).toEqual([
      'egress.insecureAllowOrigins[0]',
    ])
  })

  it('an overlay names all endpoints of a provider of the catalog', () => {
    expect(settingsOf(development({ SALLYPORT_PROVIDERS: '{"github":{"tokenEndpoint":"https://x.example.com"}}' }))).toEqual(
      ['authorizationEndpoint', 'userinfoEndpoint', 'apiBase'].map((name) => `providers.github.${name}`),
    )
    expect(settingsOf(development({ SALLYPORT_PROVIDERS: '{"gitlub":{}}' }))).toEqual(['providers.gitlub'])
    expect(settingsOf(development({ SALLYPORT_PROVIDERS: '{"github":{"clientSecret":"x"}}' }))).toEqual(['providers.github'])
  })

  it('migrations by URL need the gateway by URL', () => {
    expect(settingsOf(development({ SALLYPORT_DATABASE_MIGRATION_URL: 'postgres://u:pw-1@127.0.0.1/d' }))).toEqual(['databaseMigrationUrl'])
    expect(settingsOf(development({ SALLYPORT_DATABASE_SESSION_URL: 'postgres://u:pw-1@127.0.0.1/d' }))).toEqual(['databaseSessionUrl'])
  })
})

describe('what is published', () => {
  it('describes every setting with its value, redacted, and where it was written', () => {
    const described = describeConfig(
      load(development({ SALLYPORT_PORT: '1234', SALLYPORT_DATABASE_URL: 'postgres://u:pw-1@127.0.0.1/d' }), {
        'sallyport.yaml': 'host: 127.0.0.2',
      }),
    )
    expect(described).toMatchObject({
      port: '1234 [SALLYPORT_PORT]',
      host: '127.0.0.2 [sallyport.yaml]',
      databaseUrl: '[secret] [SALLYPORT_DATABASE_URL]',
      logLevel: 'info [default]',
    })
    expect(Object.keys(described)).toHaveLength(Object.keys(envOfEverySetting()).length)
  })

  it('docs/config.md and docs/sallyport.schema.json are what the schema gives', () => {
    const docs = new URL('../../../docs/', import.meta.url)
    expect(readFileSync(new URL('config.md', docs), 'utf8')).toBe(configReference())
    expect(JSON.parse(readFileSync(new URL('sallyport.schema.json', docs), 'utf8'))).toEqual(configJsonSchema())
  })

  it('the reference names every variable, and every variable it names is known', () => {
    const named = [...configReference().matchAll(/`(SALLYPORT_\w+)`/g)].map(([, name]) => name!)
    expect(new Set(named).size).toBeGreaterThan(25)
    for (const name of named) expect(settingsOf(development({ [name]: 'x' }), { x: '' }), name).not.toContain(name)
  })
})

/** A variable for every setting, as the reference names them. */
function envOfEverySetting(): Env {
  return Object.fromEntries([...configReference().matchAll(/^- Variable: `(SALLYPORT_\w+)`/gm)].map(([, name]) => [name!, '']))
}

function overlay(origin: string): string {
  const endpoints = ['authorizationEndpoint', 'tokenEndpoint', 'userinfoEndpoint', 'apiBase'].map((name) => [name, `${origin}/x`])
  return JSON.stringify({ github: Object.fromEntries(endpoints) })
}
