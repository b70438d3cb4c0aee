/** Owns how callers and what they use are named outside, spelled once for as long as a cache holds them. */
import { formatId } from '@sallyport/core'
import type { IdPrefix, Uuid } from '@sallyport/core'

const names = new WeakMap<object, string>()

/** @param owner of one id alone, which is always given with it */
export function nameOf<Kind extends IdPrefix>(owner: object, kind: Kind, id: Uuid<Kind>): string {
  const known = names.get(owner)
  if (known !== undefined) return known
  const name = formatId(kind, id)
  names.set(owner, name)
  return name
}
