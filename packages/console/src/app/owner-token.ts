/**
 * Owns taking a one-time owner token out of the address, `/console/#owner=<token>`. It travels in the fragment, which no server log and no
 * Referer sees; here it leaves the address bar and the history before anything else runs.
 */

/** The token of the address, once: afterwards the address is clean. Undefined when it holds none; an empty one counts. */
export function takeOwnerToken(
  location: Pick<Location, 'hash' | 'pathname' | 'search'>,
  history: Pick<History, 'replaceState'>,
): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('owner')
  if (token === null) return undefined
  history.replaceState(null, '', location.pathname + location.search)
  return token
}
