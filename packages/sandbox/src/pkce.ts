/** PKCE, S256 only (RFC 7636). `plain` is not a weaker form of it here; it is refused. */
import { createHash, timingSafeEqual } from 'node:crypto'

/** A SHA-256 in base64url without padding (RFC 7636 section 4.2). */
export function isS256Challenge(challenge: string | null, method: string | null): challenge is string {
  return method === 'S256' && challenge !== null && /^[A-Za-z0-9_-]{43}$/.test(challenge)
}

/** True when `verifier` is well formed (RFC 7636 section 4.1) and hashes to `challenge`. */
export function verifierMatches(verifier: string | null, challenge: string): boolean {
  if (verifier === null || !/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return false
  const computed = createHash('sha256').update(verifier).digest('base64url')
  return timingSafeEqual(Buffer.from(computed), Buffer.from(challenge))
}
