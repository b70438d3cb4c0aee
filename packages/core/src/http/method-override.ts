/**
 * Owns recognising a query that would have its server see another method, or other headers, than the request has: what judges methods, counts calls or keeps answers
 * by the one on the wire is passed by then. Headers that do the same never go on, see `cleanRequestHeaders`.
 */
import { queryParameters } from './query-parameters.ts'

/** `$httpMethod` and `$httpHeaders` are Google's system parameters; the others are read by frameworks in front of many an API. */
const NAMED = /^(?:\$?\.?http_?(?:method|headers)|_{1,2}method|_http_method|x-(?:http-)?method(?:-override)?)(?:\[|$)/iu
/** Names many other things as well, so that it counts by what it says. */
const OFTEN = /^method(?:\[|$)/iu
const METHOD = /^(?:get|head|post|put|patch|delete|options)$/iu

/** @param path with its query, as it goes out; a path without one overrides nothing. */
export function overridesMethod(path: string): boolean {
  return queryParameters(path).some(
    ({ name, value }) => NAMED.test(name) || (value !== undefined && OFTEN.test(name) && METHOD.test(value)),
  )
}
