/** Owns the two message codes of OAuth 1.0a. SHA-1 stands here alone: as an HMAC it is unbroken, and providers offer nothing else. */
import { createHmac } from 'node:crypto'
import type { Secret } from '../kernel/index.ts'

/** `HMAC-SHA1`: RFC 5849 section 3.4.2. `HMAC-SHA256`: the same with SHA-256, which several providers take beside it. */
export type OAuth1SignatureMethod = 'HMAC-SHA1' | 'HMAC-SHA256'

const HASH: Readonly<Record<OAuth1SignatureMethod, string>> = { 'HMAC-SHA1': 'sha1', 'HMAC-SHA256': 'sha256' }

/** The code of `text` in Base64. `key` is the two encoded secrets joined by `&` (RFC 5849 section 3.4.2). */
export function oauth1Mac(method: OAuth1SignatureMethod, key: Secret, text: string): string {
  return createHmac(HASH[method], key.reveal()).update(text, 'utf8').digest('base64')
}
