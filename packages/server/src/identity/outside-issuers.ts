/**
 * Owns whose tokens sign people in: each issuer of the configuration with everything that is pinned for it. Refuses to fall back: what a token says
 * of its issuer finds the policies of exactly that text, or none.
 */
import { readSharedSecrets, sharedSecretKey } from '@sallyport/core'
import type { JwtPolicy, KeySets, Secret } from '@sallyport/core'
import type { Config } from '../config.ts'
import { isDomain } from './email-address.ts'

/** The built-in issuer: one-time links of this installation. No token can be of it, since no URL reads so. */
export const LOCAL_ISSUER = 'local'

export type IssuerSetting = Config['jwtIssuers'][number]

/** One way in which an issuer signs. */
export interface OutsideIssuer {
  readonly issuer: string
  readonly kind: 'oidc' | 'supabase'
  readonly policy: JwtPolicy
  /** How its logout tokens are judged, one or the other; empty: it sends none. */
  readonly logout: readonly JwtPolicy[]
  /** Takes ID tokens; others must not be. */
  readonly idTokens: boolean
  readonly believesEmailOf: (domain: string) => boolean
  /** Values of `acr` that mean a second factor. */
  readonly secondFactors: ReadonlySet<string>
  readonly sessionS: number
}

export interface OutsideIssuers {
  /** What may have signed a token that claims `issuer`, exactly so written; empty: nobody. */
  of(issuer: string): readonly OutsideIssuer[]
  readonly size: number
}

export interface OutsideIssuersOptions {
  readonly issuers: readonly IssuerSetting[]
  readonly secrets: Secret | undefined
  readonly keySets: KeySets
}

/** Of clocks: battery J-08. */
const TOLERANCE_S = 60
const REQUIRED = ['iss', 'sub', 'aud', 'exp', 'iat'] as const
/** OpenID Connect Back-Channel Logout 1.0 section 2.4. */
const LOGOUT_REQUIRED = ['iss', 'aud', 'iat', 'exp', 'jti', 'events'] as const
/** A logout token is sent when it is made. Seconds. */
const LOGOUT_MAX_AGE_S = 600

/** @throws TypeError for settings that the configuration would have refused. */
export function createOutsideIssuers({ issuers, secrets, keySets }: OutsideIssuersOptions): OutsideIssuers {
  const known = secrets === undefined ? new Map<string, Secret>() : readSharedSecrets(secrets).secrets
  const byText = new Map<string, OutsideIssuer[]>()
  for (const entry of issuers) byText.set(entry.issuer, [...(byText.get(entry.issuer) ?? []), outsideIssuer(entry, known, keySets)])
  return { of: (issuer) => byText.get(issuer) ?? [], size: byText.size }
}

function outsideIssuer(entry: IssuerSetting, secrets: ReadonlyMap<string, Secret>, keySets: KeySets): OutsideIssuer {
  const supabase = entry.kind === 'supabase'
  const type = entry.tokenType ?? (supabase ? 'jwt' : 'at+jwt')
  const signed = signedBy(entry, secrets, keySets)
  return {
    issuer: entry.issuer,
    kind: entry.kind,
    logout: logoutPolicies(entry, signed),
    policy: {
      issuers: [entry.issuer],
      audiences: entry.audiences ?? (supabase ? ['authenticated'] : []),
      ...signed,
      type: type === 'at+jwt' ? { name: 'at+jwt', absent: 'refused' } : { name: 'jwt', absent: 'taken' },
      required: REQUIRED,
      maxAgeS: entry.maxTokenAgeS,
      toleranceS: TOLERANCE_S,
    },
    idTokens: type === 'id',
    believesEmailOf: believing(entry.emailDomains),
    secondFactors: new Set(entry.secondFactors),
    sessionS: entry.sessionS,
  }
}

/** Not every issuer names the type `logout+jwt`. What a logout token must say no other token may, so the plain type is one as good. */
function logoutPolicies({ issuer, tokenType, audiences, logoutAudiences }: IssuerSetting, signed: Signed): readonly JwtPolicy[] {
  const own = logoutAudiences ?? (tokenType === 'id' ? audiences : undefined)
  if (own === undefined) return []
  const common = {
    issuers: [issuer],
    audiences: own,
    ...signed,
    required: LOGOUT_REQUIRED,
    maxAgeS: LOGOUT_MAX_AGE_S,
    toleranceS: TOLERANCE_S,
  }
  return [
    { ...common, type: { name: 'logout+jwt', absent: 'taken' } },
    { ...common, type: { name: 'jwt', absent: 'refused' } },
  ]
}

type Signed = Pick<JwtPolicy, 'algorithms' | 'keys'>

/** The configuration keeps the two kinds of algorithms apart. */
function signedBy(
  { issuer, kind, algorithms, keysUri, secret }: IssuerSetting,
  secrets: ReadonlyMap<string, Secret>,
  keySets: KeySets,
): Signed {
  if (secret !== undefined) {
    const shared = secrets.get(secret)
    if (shared === undefined) throw new TypeError('an issuer names a secret that is not there')
    return { algorithms: (algorithms ?? ['HS256']) as JwtPolicy['algorithms'], keys: sharedSecretKey(shared) }
  }
  const url = keysUri ?? (kind === 'supabase' ? `${issuer}/.well-known/jwks.json` : undefined)
  if (url === undefined) throw new TypeError('an issuer names no keys')
  const usual = kind === 'supabase' ? ['ES256'] : ['RS256']
  return { algorithms: (algorithms ?? usual) as JwtPolicy['algorithms'], keys: keySets.at(url) }
}

function believing(domains: readonly string[]): (domain: string) => boolean {
  const any = domains.includes('*')
  const known = new Set(domains)
  return (domain) => isDomain(domain) && (any || known.has(domain))
}
