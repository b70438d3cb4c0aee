/** Owns the making of the assertions by which a service proves itself to a token endpoint (RFC 7523 section 3). Refuses a key that is none for RS256. */
import { importPKCS8, SignJWT } from 'jose'
import type { Secret } from '../kernel/index.ts'
import { JwtError } from './errors.ts'

/** What an assertion says. */
export interface Assertion {
  readonly issuer: string
  readonly audience: string
  /** Wall time in milliseconds. */
  readonly now: number
  readonly lifeS: number
  /** Beside the registered ones. */
  readonly claims: Readonly<Record<string, string>>
  readonly keyId: string | undefined
}

/** Signed with RS256. `privateKey`: PKCS #8, PEM. @throws JwtError `jwt_malformed` for a key that can't be read */
export async function signAssertion(privateKey: Secret, { issuer, audience, now, lifeS, claims, keyId }: Assertion): Promise<string> {
  const iat = Math.floor(now / 1000)
  const header = { alg: 'RS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) }
  try {
    const key = await importPKCS8(privateKey.reveal(), 'RS256')
    return await new SignJWT({ ...claims })
      .setProtectedHeader(header)
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt(iat)
      .setExpirationTime(iat + lifeS)
      .sign(key)
  } catch {
    // The library's own words may quote the key.
    throw new JwtError('jwt_malformed', 'a private key that does not sign')
  }
}
