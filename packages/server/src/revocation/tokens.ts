/**
 * Owns the sealed text of tokens that are to be taken back:
 *   { "v": 1, "refresh": ["..."], "access": ["..."] }      each newest first
 * Refuses to keep more of them than a provider may be asked about in one go.
 */
import { hasCode, Secret, TokenError } from '@sallyport/core'
import type { TokenSet } from '@sallyport/core'
import { isLost } from '../vault/index.ts'

export interface TokensToRevoke {
  readonly refresh: readonly Secret[]
  readonly access: readonly Secret[]
}

/** Of each kind. A grant has one refresh token that lives, and one beside it after an interrupted refresh; more are leftovers. */
const MOST = 6

/**
 * Every refresh token once, and every access token that still lives, newest first; the newest access token also when it is over, because some
 * providers know a grant by nothing else. Undefined when there is none of either.
 */
export function tokensToRevoke(versions: readonly { readonly tokens: TokenSet; readonly lives: boolean }[]): TokensToRevoke | undefined {
  const refresh = distinct(versions.flatMap(({ tokens }) => (tokens.refreshToken === null ? [] : [tokens.refreshToken])))
  const access = distinct(versions.filter(({ lives }, i) => lives || i === 0).map(({ tokens }) => tokens.accessToken))
  return refresh.length + access.length === 0 ? undefined : { refresh, access }
}

export function writeTokensToRevoke({ refresh, access }: TokensToRevoke): Secret {
  const revealed = (tokens: readonly Secret[]): string[] => tokens.map((token) => token.reveal())
  return new Secret(JSON.stringify({ v: 1, refresh: revealed(refresh), access: revealed(access) }))
}

/** @throws TokenError `credential_malformed` */
export function readTokensToRevoke(text: Secret): TokensToRevoke {
  const form = parsed(text) as { readonly v?: unknown; readonly refresh?: unknown; readonly access?: unknown } | null | undefined
  if (form?.v !== 1 || !areTexts(form.refresh) || !areTexts(form.access)) {
    throw new TokenError('credential_malformed', 'the sealed tokens of a revocation are not of the known form')
  }
  const secrets = (tokens: readonly string[]): Secret[] => tokens.map((token) => new Secret(token))
  return { refresh: secrets(form.refresh), access: secrets(form.access) }
}

/** Whether sealed tokens can't be had because of what they are: waiting helps none of them. */
export function isUnreadable(error: unknown): boolean {
  return isLost(error) || hasCode(error, 'credential_malformed')
}

function distinct(tokens: readonly Secret[]): readonly Secret[] {
  return [...new Map(tokens.map((token) => [token.reveal(), token])).values()].slice(0, MOST)
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** The parser's own error quotes what it read: the form check reports the failure. */
function parsed(text: Secret): unknown {
  try {
    return JSON.parse(text.reveal())
  } catch {
    return undefined
  }
}
