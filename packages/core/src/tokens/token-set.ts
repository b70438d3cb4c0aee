/**
 * Owns the shape of an OAuth 2 credential and the text of it that is sealed. Refuses to guess: a sealed text that is not exactly of this
 * form is an error, not an empty credential.
 *
 * Sealed text, JSON, members always in this order:
 *   { "v": 1, "access_token": "...", "refresh_token": "..." | null, "token_type": "bearer", "expires_at": ms | null,
 *     "scopes": ["..."], "extra": { ... } }
 * `extra` is what else the provider said about the token and may be needed later (a workspace id, an instance URL), at most 8 KiB of it.
 */
import { z } from 'zod'
import { Secret } from '../kernel/index.ts'
import { TokenError } from './errors.ts'

export interface TokenSet {
  readonly accessToken: Secret
  /** Null when the provider gave none: the access token can't be renewed without the person. */
  readonly refreshToken: Secret | null
  readonly tokenType: 'bearer'
  /** Milliseconds since the epoch; null when the provider named no lifetime. */
  readonly expiresAt: number | null
  /** What was granted, in the provider's own words; what was asked for when the answer named none (RFC 6749 section 5.1). */
  readonly scopes: readonly string[]
  /** JSON text of an object, as a secret because providers put tokens anywhere. `{}` when there was nothing else. */
  readonly extra: Secret
}

const sealedForm = z.strictObject({
  v: z.literal(1),
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).nullable(),
  token_type: z.literal('bearer'),
  expires_at: z.int().nullable(),
  scopes: z.array(z.string()),
  extra: z.record(z.string(), z.unknown()),
})

/** The text to seal. */
export function writeTokenSet(tokens: TokenSet): Secret {
  return new Secret(
    JSON.stringify({
      v: 1,
      access_token: tokens.accessToken.reveal(),
      refresh_token: tokens.refreshToken?.reveal() ?? null,
      token_type: tokens.tokenType,
      expires_at: tokens.expiresAt,
      scopes: tokens.scopes,
      extra: JSON.parse(tokens.extra.reveal()) as unknown,
    }),
  )
}

/** The credential behind an opened text. @throws TokenError `credential_malformed`, saying nothing of what stood there. */
export function readTokenSet(text: Secret): TokenSet {
  const form = sealedForm.safeParse(parsed(text))
  if (!form.success) throw new TokenError('credential_malformed', 'a sealed credential is not of the known form')
  const { access_token, refresh_token, token_type, expires_at, scopes, extra } = form.data
  return {
    accessToken: new Secret(access_token),
    refreshToken: refresh_token === null ? null : new Secret(refresh_token),
    tokenType: token_type,
    expiresAt: expires_at,
    scopes,
    extra: new Secret(JSON.stringify(extra)),
  }
}

/** The parser's own error quotes what it read, so it is dropped: the form check reports the failure. */
function parsed(text: Secret): unknown {
  try {
    return JSON.parse(text.reveal())
  } catch {
    return undefined
  }
}
