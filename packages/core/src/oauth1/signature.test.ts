import { describe, expect, it } from 'vitest'
import { ManualClock, Secret } from '../kernel/index.ts'
import { formParameters, percentEncoded } from './encoding.ts'
import { oauth1Authorization, oauth1Moment, signatureBase } from './signature.ts'
import type { OAuth1Extra, OAuth1Moment, OAuth1Request } from './signature.ts'

/** The published example of RFC 5849 section 1.2. */
const printer = {
  client: { consumerKey: 'dpf43f3p2l4k3l03', consumerSecret: new Secret('kd94hf93k423kf44'), signatureMethod: 'HMAC-SHA1' },
} as const

function credential(token: string, tokenSecret: string) {
  return { token: new Secret(token), tokenSecret: new Secret(tokenSecret) }
}

function signatureOf(header: Secret): string {
  return decodeURIComponent(/oauth_signature="([^"]+)"/u.exec(header.reveal())![1]!)
}

interface Vector {
  readonly name: string
  readonly request: OAuth1Request
  readonly given: ReturnType<typeof credential> | null
  readonly extra: OAuth1Extra
  readonly moment: OAuth1Moment
  readonly signature: string
}

const vectors: readonly Vector[] = [
  {
    name: 'temporary credentials',
    request: { method: 'POST', url: 'https://photos.example.net/initiate' },
    given: null,
    extra: { oauth_callback: 'http://printer.example.com/ready' },
    moment: { timestamp: 137131200, nonce: 'wIjqoS' },
    signature: '74KNZJeDHnMBp0EMJ9ZHt/XKycU=',
  },
  {
    name: 'token credentials',
    request: { method: 'POST', url: 'https://photos.example.net/token' },
    given: credential('hh5s93j4hdidpola', 'hdhd0244k9j7ao03'),
    extra: { oauth_verifier: 'hfdp7dh39dks9884' },
    moment: { timestamp: 137131201, nonce: 'walatlh' },
    signature: 'gKgrFCywp7rO0OXSjdot/IHF7IU=',
  },
  {
    name: 'a protected resource',
    request: { method: 'GET', url: 'http://photos.example.net/photos?file=vacation.jpg&size=original' },
    given: credential('nnch734d00sl2jdk', 'pfkkdhi9sl3r4s00'),
    extra: {},
    moment: { timestamp: 137131202, nonce: 'chapoH' },
    signature: 'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
  },
]

describe('an OAuth 1.0a signature', () => {
  it.each(vectors)('is that of RFC 5849 section 1.2 for $name', ({ request, given, extra, moment, signature }) => {
    expect(signatureOf(oauth1Authorization(request, { ...printer, credential: given, extra, moment }))).toBe(signature)
  })

  it('is the one that X publishes for a status update', () => {
    const header = oauth1Authorization(
      {
        method: 'post',
        url: 'https://api.twitter.com/1.1/statuses/update.json?include_entities=true',
        form: 'status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21',
      },
      {
        client: {
          consumerKey: 'xvz1evFS4wEEPTGEFPHBog',
          consumerSecret: new Secret('kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw'),
          signatureMethod: 'HMAC-SHA1',
        },
        credential: credential('370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb', 'LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE'),
        extra: { oauth_version: '1.0' },
        moment: { timestamp: 1318622958, nonce: 'kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg' },
      },
    )
    expect(signatureOf(header)).toBe('hCtSmYh+iHYCEqBWrE7C7hYmtUk=')
  })

  it('is made of the base string of RFC 5849 section 3.4.1.1, repeated and empty parameters included', () => {
    const base = signatureBase(
      { method: 'POST', url: 'http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b', form: 'c2&a3=2+q' },
      [
        ['oauth_consumer_key', '9djdj82h48djs9d2'],
        ['oauth_token', 'kkk9d7dh3k39sjv7'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131201'],
        ['oauth_nonce', '7d8f3e4a'],
      ],
    )
    expect(base).toBe(
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_' +
        'key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    )
  })

  it('sorts by name before value, so that a name that begins another comes first', () => {
    expect(signatureBase({ method: 'GET', url: 'https://x.example/?a-b=1&a=2&a=1' }, [])).toBe(
      'GET&https%3A%2F%2Fx.example%2F&a%3D1%26a%3D2%26a-b%3D1',
    )
  })

  it('keeps a port that is not the scheme’s own, and signs no fragment', () => {
    expect(signatureBase({ method: 'GET', url: 'https://x.example:8443/p#part' }, [])).toBe('GET&https%3A%2F%2Fx.example%3A8443%2Fp&')
  })

  it('differs with HMAC-SHA256, with the secret, the method and each parameter', () => {
    const request = { method: 'GET', url: 'https://x.example/p?a=1' }
    const sign = (change: Partial<OAuth1Request>, client: object = {}) =>
      signatureOf(
        oauth1Authorization(
          { ...request, ...change },
          { client: { ...printer.client, ...client }, credential: null, moment: { timestamp: 1, nonce: 'n' } },
        ),
      )
    const all = [
      sign({}),
      sign({}, { signatureMethod: 'HMAC-SHA256' }),
      sign({}, { consumerSecret: new Secret('another') }),
      sign({ method: 'PUT' }),
      sign({ url: 'https://x.example/p?a=2' }),
      sign({ form: 'b=1' }),
    ]
    expect(new Set(all).size).toBe(all.length)
    expect(Buffer.from(all[1]!, 'base64')).toHaveLength(32)
  })

  it('never shows a token or secret when the header is logged', () => {
    const header = oauth1Authorization(vectors[2]!.request, { ...printer, credential: vectors[2]!.given, moment: vectors[2]!.moment })
    expect(String(header) + JSON.stringify({ header })).not.toContain('nnch734d00sl2jdk')
  })

  it('takes seconds and a nonce of its own each time', () => {
    const clock = new ManualClock(1_700_000_000_999)
    const [one, other] = [oauth1Moment(clock), oauth1Moment(clock)]
    expect(one.timestamp).toBe(1_700_000_000)
    expect(one.nonce).not.toBe(other.nonce)
  })
})

describe('the encoding of RFC 5849 section 3.6', () => {
  it('leaves letters, digits and four marks, and spells the rest in upper-case hexadecimal bytes', () => {
    expect(percentEncoded("Az09-._~ !*'()/é€")).toBe('Az09-._~%20%21%2A%27%28%29%2F%C3%A9%E2%82%AC')
  })

  it('reads a form into bytes, also such as are no UTF-8', () => {
    expect(formParameters('a+b=%FF&&c').map((pair) => pair.map((bytes) => [...bytes]))).toEqual([
      [[97, 32, 98], [255]],
      [[99], []],
    ])
  })

  it.each(['a=%', 'a=%4', 'a=%zz', '%'])('refuses %j, which servers read in different ways', (form) => {
    expect(() => signatureBase({ method: 'POST', url: 'https://x.example/', form }, [])).toThrow(
      expect.objectContaining({ code: 'request_unsignable' }) as Error,
    )
  })
})
