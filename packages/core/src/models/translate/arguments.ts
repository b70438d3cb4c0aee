/** Owns reading the arguments of a call that a caller hands back. Refuses what is no JSON object: other vendors have no other arguments. */
import { isObject, parsed } from './json.ts'
import type { Json } from './json.ts'
import { invalid } from './translation-error.ts'

/** An empty text is an empty object. @throws TranslationError for the field at `where`. */
export function argumentsOf(json: string, where: string): Json {
  const value = json.trim() === '' ? {} : parsed(json)
  if (!isObject(value)) throw invalid(where, 'The arguments of a call must be a JSON object.')
  return value
}
