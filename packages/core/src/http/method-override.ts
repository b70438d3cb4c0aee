/**
 * Owns recognising a query that would have its server see another method, or other headers, than the request has: what judges methods, counts calls or keeps answers
 * by the one on the wire is passed by then. Headers that do the same never go on, see `cleanRequestHeaders`.
 */

/** `$httpMethod` and `$httpHeaders` are Google's system parameters; the others are read by frameworks in front of many an API. */
const NAMED = /[?&;](?:\$?\.?http_?(?:method|headers)|_{1,2}method|_http_method|x-(?:http-)?method(?:-override)?)(?:[=&;[]|$)/iu
/** Names many other things as well, so that it counts by what it says. */
const SAID = /[?&;](?:http_?)?method(?:\[\])?=(?:get|head|post|put|patch|delete|options)(?:[&;]|$)/iu
const ESCAPE = /%([0-9A-Fa-f]{2})/gu

/** @param path with its query, as it goes out; a path without one overrides nothing. */
export function overridesMethod(path: string): boolean {
  const mark = path.indexOf('?')
  if (mark < 0) return false
  const query = path.slice(mark).replace(ESCAPE, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return NAMED.test(query) || SAID.test(query)
}
