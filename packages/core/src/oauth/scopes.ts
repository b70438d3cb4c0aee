/**
 * Owns the reading and comparing of scopes. Refuses case folding and prefixes: what a scope contains is said by the provider's record; and
 * lists that no provider means: what is granted is stored and shown, so its size and its characters are not the provider's to choose.
 */
import { oauthFailure } from './errors.ts'

/** Scopes of one grant. */
const MAX_SCOPES = 200

/** One scope-token (RFC 6749 section 3.3) of at most 256 characters. */
const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/u

/** For each granted scope, the others it contains or is another name for. */
export type ScopeContents = Readonly<Record<string, readonly string[]>>

/**
 * A scope list as providers write it (spaces, commas, or both), without doubles, in the order given.
 * @throws OAuthError `connect_exchange_failed` for more than 200 scopes, and for one that is no scope-token or is over 256 characters.
 */
export function parseScopes(text: string): readonly string[] {
  const scopes = [...new Set(text.split(/[\s,]+/u).filter((scope) => scope !== ''))]
  if (scopes.length > MAX_SCOPES || !scopes.every((scope) => SCOPE.test(scope)))
    throw oauthFailure('connect_exchange_failed', 'the provider names scopes that are too many, too long or no scope-tokens')
  return scopes
}

/** The required scopes that were not granted, neither themselves nor within a granted one, however deep (battery O-21). */
export function missingScopes(required: readonly string[], granted: readonly string[], contents: ScopeContents): readonly string[] {
  const held = new Set<string>()
  const pending = [...granted]
  for (let scope = pending.pop(); scope !== undefined; scope = pending.pop()) {
    if (held.has(scope)) continue
    held.add(scope)
    if (Object.hasOwn(contents, scope)) pending.push(...contents[scope]!)
  }
  return required.filter((scope) => !held.has(scope))
}
