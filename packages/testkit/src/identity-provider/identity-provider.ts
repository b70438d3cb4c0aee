/**
 * Owns an identity provider on loopback that signs whatever a test asks it to, in the shape of Supabase or of OpenID Connect, and publishes its keys.
 * It can turn its keys over, go away, answer nonsense, and counts how often its keys were asked for. Refuses nothing: that is the gateway's to do.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWK } from 'jose'

export type Claims = Readonly<Record<string, unknown>>

export interface Signing {
  readonly claims?: Claims
  readonly header?: Readonly<Record<string, unknown>>
  /** Signs with this key and not with the current one. */
  readonly key?: CryptoKey | Uint8Array
}

export interface IdentityProvider {
  readonly issuer: string
  readonly origin: string
  readonly keysUri: string
  /** How often its keys were asked for. */
  readonly asked: number
  /** The current key: to sign by hand, to publish elsewhere, and in the spellings that confuse a verifier. */
  readonly current: { readonly privateKey: CryptoKey; readonly jwk: JWK; readonly pem: string }
  /** The secret of its old days, for HS256. Made for this run. */
  readonly sharedSecret: string
  /** A token of a person who signed in with a password, in Supabase's shape. `claims` replace what it says; undefined leaves one out. */
  supabaseToken(subject: string, signing?: Signing): Promise<string>
  /** The same under the shared secret. */
  legacyToken(subject: string, claims?: Claims): Promise<string>
  /** An access token of RFC 9068. */
  accessToken(subject: string, signing?: Signing): Promise<string>
  /** A logout token of OpenID Connect Back-Channel Logout 1.0, for the client `console`; it names what `claims` say. */
  logoutToken(signing?: Signing): Promise<string>
  /** Anything at all, signed by `key` over exactly this header and these claims, whatever they are. */
  signRaw(header: string, payload: string, key: Uint8Array): string
  /** Makes a new key, published beside the old ones or in their place. */
  rotate(options?: { readonly keepOld?: boolean }): Promise<void>
  /** From now on: answers as it should, 503, no JSON, or an endless wait. */
  behave(how: 'well' | 'down' | 'nonsense' | 'silent'): void
  close(): Promise<void>
}

const HOUR_S = 3600

export interface IdentityProviderOptions {
  /** Default: ES256, as Supabase's. */
  readonly algorithm?: 'ES256' | 'RS256'
  /** The path of the issuer behind its origin. */
  readonly path?: string
  /** Of its keys: to have two issuers use one name. */
  readonly keyId?: string
}

export async function startIdentityProvider(options: IdentityProviderOptions = {}): Promise<IdentityProvider> {
  const { algorithm = 'ES256', path = '/auth/v1' } = options
  const sharedSecret = randomBytes(40).toString('base64')
  let manners: Parameters<IdentityProvider['behave']>[0] = 'well'
  let asked = 0
  let current = await makeKey(algorithm, options.keyId ?? randomUUID())
  let published = [current.jwk]
  const server = createServer((request, response) => {
    if (request.url !== `${path}/.well-known/jwks.json`) {
      response.writeHead(404).end()
      return
    }
    asked += 1
    if (manners === 'silent') return
    response.writeHead(manners === 'down' ? 503 : 200, { 'content-type': 'application/json' })
    response.end(manners === 'well' ? JSON.stringify({ keys: published }) : '<html>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${origin}${path}`
  const sign = (usual: Claims, type: string | undefined, { claims = {}, header = {}, key }: Signing): Promise<string> => {
    const all = Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined)
    const protectedHeader = { alg: algorithm, kid: current.jwk.kid, typ: type, ...header }
    const named = Object.entries(protectedHeader).filter(([, value]) => value !== undefined)
    return new SignJWT(Object.fromEntries(all))
      .setProtectedHeader(Object.fromEntries(named) as { alg: string })
      .sign(key ?? current.privateKey, { crit: { ours: true } })
  }
  return {
    issuer,
    origin,
    keysUri: `${issuer}/.well-known/jwks.json`,
    sharedSecret,
    get asked() {
      return asked
    },
    get current() {
      return current
    },
    supabaseToken: (subject, signing = {}) => sign(supabaseClaims(issuer, subject), 'JWT', signing),
    legacyToken: (subject, claims = {}) =>
      sign(supabaseClaims(issuer, subject), 'JWT', { claims, header: { alg: 'HS256', kid: undefined }, key: Buffer.from(sharedSecret) }),
    accessToken: (subject, signing = {}) => sign(accessClaims(issuer, subject), 'at+jwt', signing),
    logoutToken: (signing = {}) => sign(logoutClaims(issuer), 'logout+jwt', signing),
    signRaw(header, payload, key) {
      const signed = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.')
      return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
    },
    async rotate({ keepOld = false } = {}) {
      current = await makeKey(algorithm, randomUUID())
      published = keepOld ? [current.jwk, ...published] : [current.jwk]
    },
    behave: (how) => void (manners = how),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}

/** The claims of an access token of Supabase Auth, for somebody who came by a password. */
function supabaseClaims(issuer: string, subject: string): Claims {
  return {
    iss: issuer,
    sub: subject,
    aud: 'authenticated',
    role: 'authenticated',
    iat: now(),
    exp: now() + HOUR_S,
    email: `${subject}@corp.test`,
    phone: '',
    app_metadata: { provider: 'email', providers: ['email'] },
    user_metadata: { email: `${subject}@corp.test`, email_verified: true, full_name: `Person ${subject}` },
    aal: 'aal1',
    amr: [{ method: 'password', timestamp: now() }],
    session_id: randomUUID(),
    is_anonymous: false,
  }
}

/** RFC 9068 section 2.2. */
function accessClaims(issuer: string, subject: string): Claims {
  return {
    iss: issuer,
    sub: subject,
    aud: 'https://gateway.test',
    iat: now(),
    exp: now() + HOUR_S,
    jti: randomUUID(),
    client_id: 'console',
  }
}

/** Back-Channel Logout 1.0 section 2.4. */
function logoutClaims(issuer: string): Claims {
  return {
    iss: issuer,
    aud: 'console',
    iat: now(),
    exp: now() + 120,
    jti: randomUUID(),
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  }
}

async function makeKey(algorithm: 'ES256' | 'RS256', kid: string): Promise<{ privateKey: CryptoKey; jwk: JWK; pem: string }> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' }, pem: await exportSPKI(publicKey) }
}
