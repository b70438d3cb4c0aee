import { inspect } from 'node:util'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import { ManualClock, Secret } from '../kernel/index.ts'
import { claimedIssuer, createKeySets, readSharedSecrets, sharedSecretKey, verifyJwt } from './index.ts'
import type { JwtPolicy, KeySets } from './index.ts'

const ISSUER = 'https://issuer.example'
const URL_OF_KEYS = `${ISSUER}/keys`
const NOW = Date.UTC(2026, 5, 1)
const SECONDS = NOW / 1000

interface Pair {
  readonly privateKey: CryptoKey
  readonly jwk: JWK
}

async function pair(alg: string, kid: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } }
}

let rsa: Pair
let ec: Pair
let stranger: Pair
let published: unknown
let fetches: number
let reachable: boolean
let clock: ManualClock
let sets: KeySets

beforeAll(async () => {
  rsa = await pair('RS256', 'rsa-1')
  ec = await pair('ES256', 'ec-1')
  stranger = await pair('RS256', 'rsa-1')
})
beforeEach(() => {
  published = { keys: [rsa.jwk, ec.jwk] }
  fetches = 0
  reachable = true
  clock = new ManualClock(NOW)
  sets = createKeySets({
    clock,
    egress: {
      fetch: async () => {
        fetches += 1
        if (!reachable) throw new EgressError('upstream_unreachable', 'ECONNREFUSED')
        return Response.json(published)
      },
    },
  })
})

const policy = (over: Partial<JwtPolicy> = {}): JwtPolicy => ({
  issuers: [ISSUER],
  audiences: ['us'],
  algorithms: ['RS256', 'ES256'],
  type: { name: 'secevent+jwt', absent: 'refused' },
  required: ['iat', 'jti'],
  toleranceS: 30,
  keys: sets.at(URL_OF_KEYS),
  ...over,
})

interface Making {
  readonly header?: Record<string, unknown>
  readonly claims?: Record<string, unknown>
  readonly key?: CryptoKey | Uint8Array
}

async function token({ header = {}, claims = {}, key = rsa.privateKey }: Making = {}): Promise<Secret> {
  const all = { iss: ISSUER, aud: 'us', iat: SECONDS, jti: 'an-id', sub: 'someone', ...claims }
  const made = new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
  made.setProtectedHeader({ alg: 'RS256', kid: 'rsa-1', typ: 'secevent+jwt', ...header })
  return new Secret(await made.sign(key, { crit: { ours: true } }))
}

async function codeOf(text: Secret, over: Partial<JwtPolicy> = {}): Promise<unknown> {
  try {
    await verifyJwt(text, policy(over), NOW)
    return 'verified'
  } catch (error) {
    expect(inspect(error, { depth: 9 })).not.toMatch(/canary|someone/u)
    return (error as { code: unknown }).code
  }
}

describe('a signed token', () => {
  it('is verified by a key of its issuer, and then says who, for whom and when', async () => {
    expect(await verifyJwt(await token(), policy(), NOW)).toMatchObject({
      issuer: ISSUER,
      audience: ['us'],
      subject: 'someone',
      id: 'an-id',
      issuedAt: SECONDS,
      expiresAt: undefined,
    })
    const other = await token({
      header: { alg: 'ES256', kid: 'ec-1', typ: 'application/SecEvent+JWT' },
      key: ec.privateKey,
      claims: { aud: ['x', 'us'] },
    })
    expect(await verifyJwt(other, policy(), NOW)).toMatchObject({ audience: ['x', 'us'] })
    expect(fetches).toBe(1)
  })

  it.each([
    ['V-02 another issuer', { claims: { iss: 'https://other.example' } }, 'jwt_issuer'],
    ['V-02 an issuer that differs by a slash', { claims: { iss: `${ISSUER}/` } }, 'jwt_issuer'],
    ['V-02 no issuer', { claims: { iss: undefined } }, 'jwt_issuer'],
    ['V-02 another audience', { claims: { aud: ['them', 'others'] } }, 'jwt_audience'],
    ['V-02 no audience', { claims: { aud: undefined } }, 'jwt_audience'],
    ['V-02 another type', { header: { typ: 'at+jwt' } }, 'jwt_type'],
    ['V-02 no type', { header: { typ: undefined } }, 'jwt_type'],
    ['V-02 a type that is no text', { header: { typ: 7 } }, 'jwt_type'],
    ['V-02 an end that is past', { claims: { exp: SECONDS - 31 } }, 'jwt_expired'],
    ['a beginning that is to come', { claims: { nbf: SECONDS + 31 } }, 'jwt_claims'],
    ['no id', { claims: { jti: undefined } }, 'jwt_claims'],
    ['an id that is no text', { claims: { jti: 7 } }, 'jwt_claims'],
    ['a key that nobody knows', { header: { kid: 'rsa-2' } }, 'jwt_key_unknown'],
    ['a key id of any length', { header: { kid: 'k'.repeat(257) } }, 'jwt_malformed'],
    ['a header that must be understood', { header: { crit: ['ours'], ours: 1 } }, 'jwt_malformed'],
  ] as [string, Making, string][])('%s: is refused', async (_what, making, code) => {
    expect(await codeOf(await token(making))).toBe(code)
  })

  it('V-02 is refused when it is not signed, or signed by a stranger who says the same key', async () => {
    const unsigned = new UnsecuredJWT({ iss: ISSUER, aud: 'us', iat: SECONDS, jti: 'an-id' }).encode()
    expect(await codeOf(new Secret(unsigned))).toBe('jwt_malformed')
    const header = Buffer.from('{"alg":"none","typ":"secevent+jwt"}').toString('base64url')
    expect(await codeOf(new Secret(`${header}.${unsigned.split('.')[1]!}.AAAA`))).toBe('jwt_algorithm')
    expect(await codeOf(await token({ key: stranger.privateKey }))).toBe('jwt_signature')
    const [head, body, signature] = (await token()).reveal().split('.')
    const changed = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body!, 'base64url').toString()), sub: 'canary' })).toString(
      'base64url',
    )
    expect(await codeOf(new Secret(`${head}.${changed}.${signature}`))).toBe('jwt_signature')
  })

  // The public key as an HMAC secret: the classic confusion of algorithms.
  it('V-02 is refused with a symmetric signature, made from what is public or published by mistake', async () => {
    const secret = Buffer.from(JSON.stringify(rsa.jwk))
    const symmetric = await token({ header: { alg: 'HS256' }, key: secret })
    expect(await codeOf(symmetric)).toBe('jwt_algorithm')
    published = { keys: [{ kty: 'oct', kid: 'rsa-1', k: secret.toString('base64url') }] }
    clock.advance(600_000)
    expect(await codeOf(symmetric)).toBe('jwt_algorithm')
    expect(await codeOf(await token())).toBe('jwt_keys_unavailable')
  })

  it('is refused with an algorithm that is not on the list, though a key for it is published', async () => {
    const made = await token({ header: { alg: 'ES256', kid: 'ec-1' }, key: ec.privateKey })
    expect(await codeOf(made, { algorithms: ['RS256'] })).toBe('jwt_algorithm')
    expect(await codeOf(made)).toBe('verified')
  })

  it('takes no key from the token itself', async () => {
    for (const header of [{ jwk: stranger.jwk }, { jku: 'https://evil.example/keys' }, { x5u: 'https://evil.example/c' }]) {
      expect(await codeOf(await token({ header, key: stranger.privateKey }))).toBe('jwt_signature')
    }
    expect(fetches).toBe(1)
  })

  it.each(['', 'a', 'a.b', 'a.b.c.d.e', '..', 'ä.b.c', ' a.b.c', '{"payload":"a"}', `${'a'.repeat(17_000)}.b.c`, 'e30.e30.e30'])(
    'that is none is refused: %#',
    async (text) => {
      expect(['jwt_malformed', 'jwt_algorithm']).toContain(await codeOf(new Secret(text)))
    },
  )

  it('may name no type where the issuer does not, but never another', async () => {
    const type = { name: 'secevent+jwt', absent: 'taken' } as const
    expect(await codeOf(await token({ header: { typ: undefined } }), { type })).toBe('verified')
    expect(await codeOf(await token({ header: { typ: 'JWT' } }), { type })).toBe('jwt_type')
  })

  it('is too old when its policy says so, and within the tolerance is not', async () => {
    expect(await codeOf(await token({ claims: { iat: SECONDS - 80 } }), { maxAgeS: 60 })).toBe('verified')
    expect(await codeOf(await token({ claims: { iat: SECONDS - 91 } }), { maxAgeS: 60 })).toBe('jwt_expired')
    expect(await codeOf(await token({ claims: { iat: SECONDS + 60 } }), { maxAgeS: 60 })).toBe('jwt_claims')
  })
})

describe('the keys of an issuer', () => {
  it('are asked for once by many tokens at a time', async () => {
    const texts = await Promise.all(Array.from({ length: 20 }, () => token()))
    expect(await Promise.all(texts.map((text) => codeOf(text)))).toEqual(texts.map(() => 'verified'))
    expect(fetches).toBe(1)
  })

  it('V-03 are not asked for again by a flood of made-up key ids', async () => {
    expect(await codeOf(await token())).toBe('verified')
    clock.advance(30_000)
    for (let count = 0; count < 50; count++)
      expect(await codeOf(await token({ header: { kid: `made-up-${count}` } }))).toBe('jwt_key_unknown')
    expect(fetches).toBe(2)
  })

  it('are asked for again when a token names a new one, and found', async () => {
    expect(await codeOf(await token())).toBe('verified')
    const next = await pair('RS256', 'rsa-2')
    published = { keys: [next.jwk] }
    clock.advance(30_000)
    expect(await codeOf(await token({ header: { kid: 'rsa-2' }, key: next.privateKey }))).toBe('verified')
    expect(await codeOf(await token())).toBe('jwt_key_unknown')
  })

  it('go on being used while the issuer is away, until they are a day old', async () => {
    expect(await codeOf(await token())).toBe('verified')
    reachable = false
    clock.advance(86_399_000)
    expect(await codeOf(await token())).toBe('verified')
    clock.advance(1_000)
    expect(await codeOf(await token())).toBe('jwt_keys_unavailable')
    reachable = true
    clock.advance(30_000)
    expect(await codeOf(await token())).toBe('verified')
  })

  it.each([[null], [[]], [{}], [{ keys: 'none' }], [{ keys: [null, 7, { kty: 'RSA', use: 'enc' }] }]])(
    'are none where %j is published, and the good ones from before stay',
    async (broken) => {
      expect(await codeOf(await token())).toBe('verified')
      published = broken
      clock.advance(600_000)
      expect(await codeOf(await token())).toBe('verified')
    },
  )
})

describe('a token under a shared secret', () => {
  const secret = 'not-a-secret-'.repeat(4)
  const shared = (): Partial<JwtPolicy> => ({ algorithms: ['HS256'], keys: sharedSecretKey(new Secret(secret)) })
  const signed = (over: Making = {}): Promise<Secret> =>
    token({ key: Buffer.from(secret), ...over, header: { alg: 'HS256', kid: undefined, ...over.header } })

  it('is verified where the policy says so, and nowhere else', async () => {
    expect(await codeOf(await signed(), shared())).toBe('verified')
    expect(await codeOf(await signed())).toBe('jwt_algorithm')
    expect(await codeOf(await signed({ key: Buffer.from('x'.repeat(40)) }), shared())).toBe('jwt_signature')
    expect(await codeOf(await token(), shared())).toBe('jwt_algorithm')
  })

  it('J-02 is never verified by a public key, whatever lists the algorithms, nor one under a key by the secret', async () => {
    const both = ['HS256', 'RS256'] as unknown as JwtPolicy['algorithms']
    expect(await codeOf(await signed({ header: { kid: 'rsa-1' } }), { algorithms: both })).not.toBe('verified')
    expect(await codeOf(await token(), { ...shared(), algorithms: both })).toBe('jwt_algorithm')
  })

  it('is refused under a secret that is shorter than its hash', () => {
    expect(() => sharedSecretKey(new Secret('x'.repeat(31)))).toThrow(TypeError)
  })

  it.each([
    ['exp', 1.5],
    ['exp', -1],
    ['nbf', 1.5],
    ['iat', SECONDS + 0.5],
    ['iat', -1],
  ])('J-08 is refused with %s of %d', async (name, value) => {
    expect(['jwt_claims', 'jwt_expired']).toContain(await codeOf(await signed({ claims: { [name]: value } }), shared()))
  })
})

describe('the issuer that a token claims', () => {
  it('is text, or none', async () => {
    expect(claimedIssuer(await token())).toBe(ISSUER)
    for (const iss of [undefined, 7, [ISSUER], { at: ISSUER }, null])
      expect(claimedIssuer(await token({ claims: { iss } }))).toBeUndefined()
    for (const odd of ['', 'a.b', 'a.b.c', '..', 'x'.repeat(20_000)]) expect(claimedIssuer(new Secret(odd))).toBeUndefined()
  })
})

describe('shared secrets', () => {
  const strong = 'aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gI'

  it('are read by their names', () => {
    const { secrets, faults } = readSharedSecrets(new Secret(`old:${strong}, new-1:${strong}==:/+`))
    expect(faults).toEqual([])
    expect([...secrets].map(([name, value]) => [name, value.reveal()])).toEqual([
      ['old', strong],
      ['new-1', `${strong}==:/+`],
    ])
  })

  it.each([
    '',
    strong,
    `:${strong}`,
    `UP:${strong}`,
    `a:${strong},a:${strong}`,
    'a:short',
    `a:${'x'.repeat(40)}`,
    'a:super-secret-jwt-token-with-at-least-32-characters-long',
  ])('X-01 are refused as a text that could be guessed, and not repeated', (odd) => {
    const { faults } = readSharedSecrets(new Secret(odd))
    expect(faults).toHaveLength(1)
    expect(faults.join()).not.toMatch(/aB3d|super-secret|xxx/u)
  })
})
