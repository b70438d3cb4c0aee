/**
 * Owns what a call costs. Money is whole nano-dollars, reckoned from whole pico-dollars a token, so that no sum depends on its order. Refuses to guess: a
 * call of which one part has no known price has no known cost.
 */
import type { z } from 'zod'
import { systemClock } from '../../kernel/index.ts'
import type { Clock } from '../../kernel/index.ts'
import type { Usage } from '../usage/index.ts'
import { priceBookSchema } from './schema.ts'
import type { PriceBookInput, priceSchema } from './schema.ts'

/** Nano-dollars: a billion are one US dollar. */
export type Nano = number

/** What of a call decides its price. */
export interface PricedCall {
  readonly provider: string
  readonly model: string
  /** The provider's service level; undefined: its standard. */
  readonly tier: string | undefined
}

/** What of the use of a call has a price. */
export type Tokens = Pick<Usage, 'input' | 'cached' | 'written' | 'writtenLong' | 'output'>

/** What models cost. */
export interface PriceBook {
  /** Rounded up; undefined when it isn't known. */
  cost(call: PricedCall, tokens: Tokens): Nano | undefined
  /** The entry that a model falls under, as the book names it; undefined when it has none. */
  family(provider: string, model: string): string | undefined
}

type Entry = z.output<typeof priceSchema>

/** Pico-dollars a token: what a million cost in millionths of a dollar. */
interface Rates {
  readonly input: bigint
  readonly cached: bigint | undefined
  readonly written: bigint | undefined
  readonly writtenLong: bigint | undefined
  readonly output: bigint | undefined
}

interface Held {
  readonly entry: Entry
  readonly rates: Rates
}

const PICO_PER_NANO = 1_000n
const PLACES = 6
/** A date or a version, as providers write them behind a model's name. */
const DATED = /^(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{3,4}|latest))(?:-v\d+(?::\d+)?)?$/u

/** @throws ZodError for a book that has not the form; the paths in it say where. */
export function readPriceBook(book: unknown): z.output<typeof priceBookSchema> {
  return priceBookSchema.parse(book)
}

/**
 * One book of several: what a later one says of a provider and model stands for what earlier ones say of them. Prices are those of the clock's day: a
 * price that ended, or is not there yet, is none.
 */
export function createPriceBook(books: readonly PriceBookInput[], clock: Pick<Clock, 'now'> = systemClock): PriceBook {
  const byProvider = new Map<string, Map<string, Held[]>>()
  for (const { prices } of books.map(readPriceBook)) {
    for (const [of, entries] of Map.groupBy(prices, ({ provider, model }) => `${provider} ${model}`)) {
      const [provider, model] = of.split(' ') as [string, string]
      const models = byProvider.get(provider) ?? new Map<string, Held[]>()
      byProvider.set(provider, models.set(model, entries.map(held)))
    }
  }
  return {
    family: (provider, model) => familyIn(byProvider.get(provider), model),
    cost({ provider, model, tier }, tokens) {
      const models = byProvider.get(provider)
      const family = familyIn(models, model)
      const rates =
        family === undefined ? undefined : ratesFor(models!.get(family)!, { tier, input: tokens.input ?? 0, day: dayOf(clock.now()) })
      return rates === undefined ? undefined : costAt(rates, tokens)
    },
  }
}

/** The longest of the names that fit: the one that says most of the model. */
function familyIn(models: ReadonlyMap<string, readonly Held[]> | undefined, model: string): string | undefined {
  if (models === undefined) return undefined
  if (models.has(model)) return model
  let longest: string | undefined
  for (const name of models.keys()) if (name.length > (longest?.length ?? 0) && fits(name, model)) longest = name
  return longest
}

function fits(name: string, model: string): boolean {
  if (name.endsWith('*')) return model.startsWith(name.slice(0, -1))
  return model.startsWith(name) && DATED.test(model.slice(name.length))
}

interface Wanted {
  readonly tier: string | undefined
  readonly input: number
  /** As `2026-01-31`, UTC. */
  readonly day: string
}

/** Of those that hold, the one for the most input, and of these the latest. */
function ratesFor(entries: readonly Held[], wanted: Wanted): Rates | undefined {
  const holding = entries.filter(({ entry }) => holds(entry, wanted))
  return holding
    .toSorted((a, b) => (a.entry.above ?? 0) - (b.entry.above ?? 0) || (a.entry.from ?? '').localeCompare(b.entry.from ?? ''))
    .at(-1)?.rates
}

function holds({ tier, above = 0, upto = Infinity, from, until }: Entry, wanted: Wanted): boolean {
  if (tier !== wanted.tier || (from ?? wanted.day) > wanted.day || (until ?? wanted.day) < wanted.day) return false
  return (above === 0 || wanted.input > above) && wanted.input <= upto
}

const DAY = 10

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, DAY)
}

function costAt(rates: Rates, { input, cached, written, writtenLong, output }: Tokens): Nano | undefined {
  if (input === null || output === null) return undefined
  const parts: readonly (readonly [number, bigint | undefined])[] = [
    [Math.max(0, input - cached - written), rates.input],
    [cached, rates.cached],
    [Math.max(0, written - writtenLong), rates.written],
    [writtenLong, rates.writtenLong],
    [output, rates.output],
  ]
  let pico = 0n
  for (const [tokens, rate] of parts) {
    if (tokens === 0) continue
    if (rate === undefined) return undefined
    pico += BigInt(tokens) * rate
  }
  const nano = (pico + PICO_PER_NANO - 1n) / PICO_PER_NANO
  return nano > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(nano)
}

function held(entry: Entry): Held {
  const { input, cached, written, written_long: long, output } = entry
  const maybe = (price: string | undefined) => (price === undefined ? undefined : pico(price))
  return {
    entry,
    rates: { input: pico(input), cached: maybe(cached), written: maybe(written), writtenLong: maybe(long), output: maybe(output) },
  }
}

function pico(price: string): bigint {
  const [whole, places = ''] = price.split('.')
  return BigInt(whole! + places.padEnd(PLACES, '0'))
}
