/**
 * Owns what a logout token says once it is verified (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6). Refuses every other token of the same
 * issuer: what only a logout token says must be there, and what an ID token says must not.
 */
import { claimedIssuer, frame, JwtError, sha256, verifyJwt } from '@sallyport/core'
import type { JwtPolicy, Secret, VerifiedJwt } from '@sallyport/core'
import { issuerSessionHash, isSubject } from '../identity/index.ts'
import type { OutsideIssuers } from '../identity/index.ts'

export interface LogoutToken {
  readonly issuer: string
  /** Hashed with its issuer; null: all sessions of the subject. */
  readonly issuerSession: Buffer | null
  /** Null: the session alone is named. */
  readonly subject: string | null
  /** Over the issuer and the token's id: what was carried out once is not carried out again. */
  readonly tokenHash: Buffer
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** @param now wall time in milliseconds. @throws JwtError */
export async function judgeLogoutToken(token: Secret, issuers: Pick<OutsideIssuers, 'of'>, now: number): Promise<LogoutToken> {
  const claimed = claimedIssuer(token)
  const policies = claimed === undefined ? [] : issuers.of(claimed).flatMap(({ logout }) => logout)
  let refused: unknown = new JwtError('jwt_issuer', 'of no issuer whose logout tokens are taken')
  for (const policy of policies) {
    try {
      return logoutOf(policy, await verifyJwt(token, policy, now))
    } catch (error) {
      // An issuer has a policy for each type, and for each way in which it signs: the others say nothing of this token.
      if (!(error instanceof JwtError) || (error.code !== 'jwt_type' && error.code !== 'jwt_algorithm')) throw error
      refused = error
    }
  }
  throw refused
}

function logoutOf(policy: JwtPolicy, { issuer, audience, subject, id, claims }: VerifiedJwt): LogoutToken {
  if (!audience.every((one) => policy.audiences.includes(one))) throw new JwtError('jwt_audience', 'also for another audience')
  if (claims['nonce'] !== undefined || !isLogoutEvent(claims['events'])) throw new JwtError('jwt_claims', 'no logout token')
  const session = claims['sid']
  if (session !== undefined && (typeof session !== 'string' || session === '' || session.length > 255)) {
    throw new JwtError('jwt_claims', 'no usable session')
  }
  if (subject !== undefined && !isSubject(subject)) throw new JwtError('jwt_claims', 'no usable subject')
  if (session === undefined && subject === undefined) throw new JwtError('jwt_claims', 'names neither a session nor a subject')
  if (id === undefined || id === '') throw new JwtError('jwt_claims', 'no usable id')
  return {
    issuer,
    issuerSession: session === undefined ? null : issuerSessionHash(issuer, session),
    subject: subject ?? null,
    tokenHash: sha256(frame(['sallyport/logout-token/1', issuer, id])),
  }
}

function isLogoutEvent(events: unknown): boolean {
  return isObject(events) && isObject(events[EVENT])
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
