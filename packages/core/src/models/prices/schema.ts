/**
 * Owns the form of a price book: what models cost, since when that is known and from where. Refuses money as a floating number, a currency but US dollars,
 * and two prices for one thing.
 */
import { z } from 'zod'

/** US dollars for a million tokens: digits, and at most six places. */
const price = z.string().regex(/^\d{1,5}(?:\.\d{1,6})?$/u, 'must be US dollars for a million tokens, as "2.50"')

export const priceSchema = z.strictObject({
  provider: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/u, 'must be the id of a model provider'),
  /**
   * As the provider names it in its answers: that name, with or without a date or a version at its end (`-2025-04-14`, `-20250514`, `-001`, `@20250514`),
   * and nothing else. With `*` at its end: whatever begins so.
   */
  model: z.string().regex(/^[0-9A-Za-z@][0-9A-Za-z._:/@+-]{0,159}\*?$/u, 'must be the name of a model, and may end in *'),
  /** Only of calls with more input tokens than this. */
  above: z.int().min(1).optional(),
  /** Only of calls with no more input tokens than this. */
  upto: z.int().min(1).optional(),
  /**
   * Only of calls at this of the provider's service levels; absent: at its standard. Anthropic's speed and place count as such: `fast`, `us`, and `fast_us`
   * for both.
   */
  tier: z
    .string()
    .regex(/^[a-zA-Z_]{1,40}$/u)
    .optional(),
  /** The first day that it holds, in UTC; absent: every day before `until`. */
  from: z.iso.date().optional(),
  /** The last day that it holds, in UTC; absent: until further notice. */
  until: z.iso.date().optional(),
  input: price,
  /** Read from a cache. Absent: a call that did so has no known cost. Likewise below. */
  cached: price.optional(),
  /** Written to a cache. */
  written: price.optional(),
  /** Written to a cache for an hour. */
  written_long: price.optional(),
  /** Absent for models that write nothing. */
  output: price.optional(),
})

export const priceBookSchema = z
  .strictObject({
    currency: z.literal('USD'),
    /** What the prices were taken from, and when. */
    held: z.array(z.strictObject({ provider: z.string(), on: z.iso.date(), pages: z.array(z.url()).min(1) })).default([]),
    prices: z.array(priceSchema),
  })
  .superRefine(({ prices }, context) => {
    const seen = new Map<string, number>()
    for (const [at, one] of prices.entries()) {
      const name = [one.provider, one.model, one.above ?? 0, one.tier ?? '', one.from ?? ''].join(' ')
      const before = seen.get(name)
      if (before !== undefined) context.addIssue({ code: 'custom', path: ['prices', at], message: `stands at prices/${before} already` })
      seen.set(name, at)
      if (one.from !== undefined && one.until !== undefined && one.until < one.from)
        context.addIssue({ code: 'custom', path: ['prices', at, 'until'], message: 'must not lie before from' })
    }
  })

export type PriceInput = z.input<typeof priceSchema>
/** A book as it is written. */
export type PriceBookInput = z.input<typeof priceBookSchema>
