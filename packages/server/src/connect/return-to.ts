/**
 * Owns the judgement of where a browser may be sent back to (battery O-19). Refuses everything but an absolute URL, spelled as its parser
 * spells it, on an origin the project registered: a spelling that two parsers could read differently is not repaired.
 */
import { ConnectError } from './errors.ts'

const MAX_LENGTH = 2048

/**
 * The address as given, once it is judged. `origins` are the project's, each `scheme://host[:port]` as `URL.origin` spells it.
 * @throws ConnectError `return_to_refused`
 */
export function judgeReturnTo(returnTo: string, origins: readonly string[]): string {
  // Spaces, controls, non-ASCII and backslashes are what parsers disagree about; none is needed in a URL.
  if (returnTo.length > MAX_LENGTH || !/^[\u0021-\u005b\u005d-\u007e]+$/u.test(returnTo) || !URL.canParse(returnTo)) throw refused()
  const url = new URL(returnTo)
  const web = url.protocol === 'https:' || url.protocol === 'http:'
  const exact = returnTo.toLowerCase().startsWith(`${url.origin}/`) || returnTo === url.origin || returnTo.startsWith(`${url.origin}?`)
  if (!web || !exact || url.username !== '' || url.password !== '' || returnTo.includes('#') || !origins.includes(url.origin))
    throw refused()
  return returnTo
}

/** The address with parameters of ours added; any of the same names that were there are replaced. */
export function returnAddress(returnTo: string, parameters: Readonly<Record<string, string>>): string {
  const url = new URL(returnTo)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}

function refused(): ConnectError {
  return new ConnectError('return_to_refused', 'return_to is not an address the project registered')
}
