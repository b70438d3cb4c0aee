/**
 * Owns how a record says against what it was held: which pages, specifications and programs of the vendor's own were read, and what each shows.
 * Refuses a page that is named without what it shows.
 */
import { z } from 'zod'

/** The form of `held` in records whose facts these are, each with the words that documentation has for it. */
export function heldForm<F extends string>(facts: Readonly<Record<F, string>>) {
  const page = z.strictObject({
    page: z.url({ protocol: /^https$/u }),
    /** Of the copy that was read, where it says one: of its last change. */
    dated: z.iso.date().optional(),
    shows: z.array(z.enum(Object.keys(facts) as [F, ...F[]])).min(1),
  })
  return z.strictObject({ on: z.iso.date(), pages: z.array(page).min(1) })
}

/** What a record was held against. */
export interface Held<F extends string> {
  readonly on: string
  readonly pages: readonly { readonly page: string; readonly dated?: string | undefined; readonly shows: readonly F[] }[]
}

/** What is stated and shown by none of the pages, in the order of `stated`. */
export function unshownOf<F extends string>(stated: readonly F[], held: Held<F> | undefined): readonly F[] {
  const shown = new Set(held?.pages.flatMap(({ shows }) => shows))
  return stated.filter((fact) => !shown.has(fact))
}

/** In words for the documentation: what was read and what it shows, then what of `stated` nothing shows. */
export function heldInWords<F extends string>(
  held: Held<F> | undefined,
  stated: readonly F[],
  facts: Readonly<Record<F, string>>,
): readonly string[] {
  if (held === undefined) return ['Not yet held against what the provider publishes.']
  const pages = held.pages.map(({ page, dated, shows }) => {
    const date = dated === undefined ? '' : ` (${dated})`
    return `\n  - <${page}>${date}: ${shows.map((fact) => facts[fact]).join(', ')}.`
  })
  const unshown = unshownOf(stated, held).map((fact) => facts[fact])
  return [
    `Held on ${held.on} against what the provider publishes:${pages.join('')}`,
    unshown.length === 0 ? 'All that is said here is shown there.' : `Not shown by what was read: ${unshown.join(', ')}.`,
  ]
}
