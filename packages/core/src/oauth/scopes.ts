/** Owns the comparing of scopes. Refuses case folding and prefixes: what a scope contains is said by the provider's record. */

/** For each granted scope, the others it contains or is another name for. */
export type ScopeContents = Readonly<Record<string, readonly string[]>>

/** A scope list as providers write it (spaces, commas, or both), without doubles, in the order given. */
export function parseScopes(text: string): readonly string[] {
  return [...new Set(text.split(/[\s,]+/u).filter((scope) => scope !== ''))]
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
