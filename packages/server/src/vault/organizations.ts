/** Owns walking over organizations in the order of their ids. Refuses to hold more than a page of them. */
import type { OrgId } from '@sallyport/core'

const PAGE = 500

/** Before anything was made. */
export const BEGINNING = new Date(0)

/** Every organization that `page` gives, once each. What comes to be behind the walk is the next walk's. */
export async function* organizations(page: (after: OrgId | undefined, limit: number) => Promise<readonly OrgId[]>): AsyncIterable<OrgId> {
  let after: OrgId | undefined
  for (;;) {
    const found = await page(after, PAGE)
    yield* found
    if (found.length < PAGE) return
    after = found.at(-1)
  }
}
