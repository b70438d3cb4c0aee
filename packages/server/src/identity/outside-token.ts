/**
 * Owns what a token of an outside issuer says of the person who brings it, once it is verified. Refuses whatever is not a person's own token for this
 * gateway: another service's, an ID token or a logout token in an access token's place, an anonymous or a service role. Of how the person signed in
 * it believes this token alone, never what the account could have used.
 */
import { claimedIssuer, frame, hasCode, JwtError, sha256, verifyJwt } from '@sallyport/core'
import type { Secret, VerifiedJwt } from '@sallyport/core'
import { schemas } from '@sallyport/contract'
import type { SignIn } from '../db/index.ts'
import { emailAddress, emailDomain } from './email-address.ts'
import type { OutsideIssuer, OutsideIssuers } from './outside-issuers.ts'

export interface OutsideSignIn {
  readonly subject: string
  readonly name: string
  /** In lower case; null: none that is believed. */
  readonly email: string | null
  readonly issuedAt: Date
  readonly expiresAt: Date
  /** Life of a console session that it may open, in seconds. */
  readonly sessionS: number
  readonly signIn: SignIn
}

type Claims = VerifiedJwt['claims']

/**
 * Judges a token by what is configured for the issuer that it claims.
 * @param now wall time in milliseconds
 * @throws JwtError; `jwt_keys_unavailable` when the issuer's keys can't be had, which says nothing of the token.
 */
export async function judgeOutsideToken(token: Secret, issuers: OutsideIssuers, now: number): Promise<OutsideSignIn> {
  const claimed = claimedIssuer(token)
  const candidates = claimed === undefined ? [] : issuers.of(claimed)
  let refused: unknown = new JwtError('jwt_issuer', 'of no issuer that is configured')
  for (const candidate of candidates) {
    try {
      return signInOf(candidate, await verifyJwt(token, candidate.policy, now))
    } catch (error) {
      // An issuer that moves from a secret to keys has two ways; one that has nothing to do with this token says so by the algorithm.
      if (candidates.length === 1 || !hasCode(error, 'jwt_algorithm')) throw error
      refused = error
    }
  }
  throw refused
}

function signInOf(by: OutsideIssuer, jwt: VerifiedJwt): OutsideSignIn {
  const { claims, audience, subject, issuedAt, expiresAt } = jwt
  // Every audience is ours: a token that is for another service too could be brought here by that one.
  if (!audience.every((one) => by.policy.audiences.includes(one))) throw new JwtError('jwt_audience', 'also for another audience')
  refuseOtherTokens(by, claims)
  if (subject === undefined || !isSubject(subject)) throw refusedClaims('no usable subject')
  const { authenticatedS, ...facts } = by.kind === 'supabase' ? supabaseFacts(claims) : oidcFacts(by, claims)
  return {
    subject,
    name: nameOf(claims, subject),
    email: believedEmail(by, claims),
    issuedAt: new Date(issuedAt! * 1000),
    expiresAt: new Date(expiresAt! * 1000),
    sessionS: by.sessionS,
    signIn: {
      issuer: by.issuer,
      ...facts,
      issuerSession: issuerSession(by, claims),
      // Nobody signed in after the token was made.
      authenticatedAt: new Date(Math.min(authenticatedS ?? issuedAt!, issuedAt!) * 1000),
    },
  }
}

/** Marks that only other kinds of tokens carry (OpenID Connect Core section 2, Back-Channel Logout section 2.4). */
function refuseOtherTokens(by: OutsideIssuer, claims: Claims): void {
  const marks = by.idTokens ? ['events'] : ['events', 'nonce', 'at_hash', 'c_hash']
  if (marks.some((mark) => claims[mark] !== undefined)) throw new JwtError('jwt_type', 'another type of token')
}

interface Facts extends Pick<SignIn, 'methods' | 'assurance' | 'provider'> {
  /** When the person signed in, in seconds since 1970; undefined: the issuer does not say. */
  readonly authenticatedS: number | undefined
}

const MAX_METHODS = 20
/** What Supabase lists in `amr` beside the way in: second factors, and the renewal of a token. */
const NO_FIRST_FACTOR = /^(?:totp|mfa\/[a-z_]+|token_refresh)$/u

/**
 * Supabase's own: `aal`, and `amr` with the methods of this session. `app_metadata.provider` says with what the account was made, so by itself it
 * proves nothing: the sign-in went through a provider when `amr` says so, with no other way in beside it.
 */
function supabaseFacts(claims: Claims): Facts {
  if (claims['role'] !== 'authenticated' || claims['is_anonymous'] === true) throw refusedClaims("not a person's token")
  const entries = entriesOf(claims['amr'])
  const methods = entries.map(({ method }) => method)
  const assurance = claims['aal'] === 'aal2' ? 'aal2' : 'aal1'
  return { methods, assurance, provider: ssoProvider(claims['app_metadata'], entries), authenticatedS: lastProof(entries, assurance) }
}

/**
 * When the second factor was given, or without one the first. Its tokens always say, and are renewed every hour without asking anybody anything: of one
 * that does not say nothing is believed to be recent.
 */
function lastProof(entries: readonly MethodEntry[], assurance: Facts['assurance']): number {
  const proofs = entries.filter(({ method }) => (assurance === 'aal2' ? SECOND_FACTOR : FIRST_FACTOR).test(method))
  return Math.max(0, ...proofs.map(({ atS }) => atS ?? 0))
}

const SECOND_FACTOR = /^(?:totp|mfa\/[a-z_]+)$/u
const FIRST_FACTOR = /^(?!token_refresh$)/u

interface MethodEntry {
  readonly method: string
  readonly atS: number | undefined
  readonly provider: string | undefined
}

function ssoProvider(appMetadata: unknown, entries: readonly MethodEntry[]): string | null {
  const ways = entries.filter(({ method }) => !NO_FIRST_FACTOR.test(method))
  const named = isObject(appMetadata) ? appMetadata['provider'] : undefined
  if (typeof named !== 'string' || !/^sso:[\w-]{1,64}$/u.test(named)) return null
  const through =
    ways.length > 0 &&
    ways.every(({ method, provider }) => method === 'sso/saml' && (provider === undefined || `sso:${provider}` === named))
  return through ? named : null
}

/** `amr` of RFC 8176 is a list of names, Supabase's one of objects. What can't be read leaves nothing believed. */
function entriesOf(amr: unknown): MethodEntry[] {
  if (amr === undefined || amr === null) return []
  if (!Array.isArray(amr) || amr.length > MAX_METHODS) throw refusedClaims('amr is no short list')
  return amr.map((entry: unknown) => {
    const method = isObject(entry) ? entry['method'] : entry
    const provider = isObject(entry) ? entry['provider'] : undefined
    if (typeof method !== 'string' || !/^[\w./-]{1,64}$/u.test(method)) throw refusedClaims('amr does not read')
    const at = isObject(entry) ? entry['timestamp'] : undefined
    return { method, provider: typeof provider === 'string' ? provider : undefined, atS: isMoment(at) ? at : undefined }
  })
}

/** `auth_time`: OpenID Connect Core section 2, RFC 9068 section 2.2.1. RFC 8176: `mfa` means more than one factor. What else means one is the operator's to say, by the issuer's `acr`. */
function oidcFacts({ secondFactors }: OutsideIssuer, claims: Claims): Facts {
  const methods = entriesOf(claims['amr']).map(({ method }) => method)
  const acr = claims['acr']
  const second = methods.includes('mfa') || (typeof acr === 'string' && secondFactors.has(acr))
  const time = claims['auth_time']
  if (time !== undefined && !isMoment(time)) throw refusedClaims('auth_time does not read')
  return { methods, assurance: second ? 'aal2' : 'aal1', provider: null, authenticatedS: time }
}

function isMoment(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * Supabase gives a session only once the address is confirmed, unless it was told not to ask; that it was not is what listing a domain says.
 * `user_metadata` is the person's own to write.
 */
function believedEmail(by: OutsideIssuer, claims: Claims): string | null {
  const address = emailAddress(claims['email'])
  if (address === undefined || !by.believesEmailOf(emailDomain(address))) return null
  return by.kind === 'supabase' || claims['email_verified'] === true ? address : null
}

/** For showing alone, so the first that can be shown. */
function nameOf(claims: Claims, subject: string): string {
  const own = isObject(claims['user_metadata']) ? claims['user_metadata'] : {}
  const candidates = [claims['name'], own['full_name'], own['name'], claims['preferred_username'], claims['email']]
  for (const candidate of candidates) {
    const shown = schemas.name.safeParse(candidate)
    if (shown.success) return shown.data
  }
  return subject.slice(0, 120)
}

/** Visible ASCII, as OpenID Connect Core section 2 has it. */
export function isSubject(subject: string): boolean {
  return /^[\u0021-\u007e]{1,255}$/u.test(subject)
}

/** Hashed with its issuer: the session's name is nothing that anybody needs to read here. */
export function issuerSessionHash(issuer: string, session: string): Buffer {
  return sha256(frame(['sallyport/issuer-session/1', issuer, session]))
}

function issuerSession({ issuer, kind }: OutsideIssuer, claims: Claims): Buffer | null {
  const session = claims[kind === 'supabase' ? 'session_id' : 'sid']
  if (session === undefined) return null
  if (typeof session !== 'string' || session === '' || session.length > 255) throw refusedClaims('no usable session')
  return issuerSessionHash(issuer, session)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refusedClaims(why: string): JwtError {
  return new JwtError('jwt_claims', why)
}
