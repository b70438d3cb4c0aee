/**
 * Owns the one form that items of every provider take. Refuses to judge them: a field that is missing or of another form is null and named in
 * `faults`, and the item as the provider sent it stays at hand in `raw`. Texts are the provider's: whoever shows them escapes them.
 */
import { z } from 'zod'

const ITEM_KINDS = ['entry', 'event', 'issue', 'message', 'notification', 'post', 'repository'] as const

/** UTF-16 units of a text; what is longer is cut, and a fault. */
export const MAX_TEXT = 65_536
const text = z.string().max(MAX_TEXT).nullable()
/** ISO 8601 in UTC with milliseconds. */
const moment = z.iso.datetime({ precision: 3 }).nullable()

/** The one form of items of every provider. `faults` names the fields that could not be read; `raw` is the item as it came. */
export const itemSchema = z.strictObject({
  kind: z.enum(ITEM_KINDS),
  /** Stable at the provider. */
  id: text,
  title: text,
  /** Body or summary, in whatever form the provider has it: text, HTML, Markdown. */
  text,
  /** http or https. */
  url: text,
  author: text,
  createdAt: moment,
  updatedAt: moment,
  /** Of an event alone; a whole day begins at midnight in UTC. */
  startsAt: moment,
  endsAt: moment,
  /** Fields that were there in a form that can't be meant, or not there although every item has them. */
  faults: z.array(z.string()).readonly(),
  raw: z.unknown(),
})

/** A mail, event, repository, post or entry, as `itemSchema` has it. */
export type Item = Readonly<z.infer<typeof itemSchema>>
/** Of what kind an item is. */
export type ItemKind = Item['kind']
type Field = Exclude<keyof Item, 'kind' | 'faults' | 'raw'>

/** Where a field stands: member names from the item's root, or a value that was found already. */
export type Place = readonly string[] | { readonly value: unknown }
export type Places = Partial<Record<Field, Place>>

const EVERY_FIELD = ['id', 'title', 'text', 'url', 'author', 'createdAt', 'updatedAt', 'startsAt', 'endsAt'] as const
const MOMENTS: ReadonlySet<Field> = new Set(['createdAt', 'updatedAt', 'startsAt', 'endsAt'])

/** The item with its fields read from where they stand. Never throws; whatever `raw` is, it becomes an item. */
export function itemOf(kind: ItemKind, raw: unknown, places: Places): Item {
  const faults: string[] = []
  const fields = Object.fromEntries(EVERY_FIELD.map((field) => [field, read(field, raw, places[field], faults)])) as Record<
    Field,
    string | null
  >
  return { kind, ...fields, faults, raw }
}

function read(field: Field, raw: unknown, place: Place | undefined, faults: string[]): string | null {
  const value = place === undefined ? null : 'value' in place ? place.value : at(raw, place)
  if (value === null || value === undefined || value === '') {
    if (field === 'id') faults.push(field)
    return null
  }
  const form = MOMENTS.has(field) ? momentOf(value) : field === 'url' ? urlOf(value) : field === 'id' ? idOf(value) : textOf(value)
  if (form === null || form !== form.slice(0, MAX_TEXT)) faults.push(field)
  return form?.slice(0, MAX_TEXT) ?? null
}

/** The value behind member names, own members only; undefined when one is missing. */
export function at(value: unknown, path: readonly string[]): unknown {
  let here = value
  for (const name of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined
    here = (here as Record<string, unknown>)[name]
  }
  return here
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** A number beyond what is exact may be another item's id by now. */
function idOf(value: unknown): string | null {
  return Number.isSafeInteger(value) ? String(value) : textOf(value)
}

/** Nothing that a page would run when it is followed. */
function urlOf(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > MAX_TEXT || !URL.canParse(value)) return null
  const { protocol, href } = new URL(value)
  return protocol === 'https:' || protocol === 'http:' ? href : null
}

/** A date as text, or seconds or milliseconds since 1970 as a number or as digits. What is larger than 10^11 are milliseconds. */
function momentOf(value: unknown): string | null {
  if (typeof value === 'string' && value.length > 64) return null
  const number = typeof value === 'number' ? value : typeof value === 'string' && /^\d+(?:\.\d+)?$/u.test(value) ? Number(value) : null
  const ms = number === null ? (typeof value === 'string' ? Date.parse(value) : Number.NaN) : number > 1e11 ? number : number * 1000
  // Years of more than four digits have another form.
  return Number.isFinite(ms) && ms >= Date.UTC(0) && ms < Date.UTC(10_000) ? new Date(ms).toISOString() : null
}
