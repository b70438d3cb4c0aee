/**
 * Owns what a connector is and the walk over pages. Refuses to know tokens, hosts and retries: a connector is handed one function that sends an
 * authorized call to a path under the provider's API, and gives items. Refuses to go round in circles: a page that was seen ends the walk.
 */
import { sha256 } from '../crypto/index.ts'
import { ConnectorError } from './errors.ts'
import type { Item } from './item.ts'

/** A call as a connector makes it: a path under the API, never an address. */
export interface ConnectorCall {
  readonly method: 'GET' | 'POST'
  /** A POST that changes nothing: it may be sent again like a GET. */
  readonly reads?: true
  /** Under the provider's API base, with a leading slash. Empty: the base itself. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An answer as a connector gets it: the whole of it, or nothing. */
export interface ConnectorAnswer {
  readonly status: number
  readonly headers: Pick<Headers, 'get'>
  /** The body as UTF-8. Read at most once. */
  text(): Promise<string>
}

/** Sends one call with the account's credential. Rejects with the sender's own errors. */
export type ConnectorRequest = (call: ConnectorCall) => Promise<ConnectorAnswer>

/** How much of a collection is wanted, and of what kind. */
export interface CollectionOptions {
  /** Items at most. Absent: 1000; never more than 100,000. */
  readonly limit?: number
  /** What the collection takes: see each. Absent members have a default, or are missing. */
  readonly input?: Readonly<Record<string, string>>
}

/** Items, fetched page by page as they are asked for. Throws `ConnectorError` and what the request rejects with. */
export type Collection = (request: ConnectorRequest, options?: CollectionOptions) => AsyncIterable<Item>

/** Does one thing at the provider, once: it is not repeated here. Gives what came of it. */
export type Action = (request: ConnectorRequest, input: Readonly<Record<string, string>>) => Promise<Item>

/** What reads and writes a provider's things in one form. */
export interface Connector {
  /** The provider's id in the catalog, or `feed`. */
  readonly id: string
  readonly collections: Readonly<Record<string, Collection>>
  readonly actions?: Readonly<Record<string, Action>>
}

const DEFAULT_LIMIT = 1000
const MAX_LIMIT = 100_000
const MAX_PAGES = 10_000
/** Pages in a row that hold nothing and lead on. Some providers give a few, where a filter leaves little. */
const MAX_EMPTY = 100
/** UTF-16 units of the query that leads to a page. */
const MAX_NEXT = 32_768
/** UTF-16 units of one page. */
const MAX_PAGE = 32 * 1024 * 1024

export interface Page {
  readonly items: readonly Item[]
  /** What to add to the query for the next page. Absent: this was the last. */
  readonly next?: Readonly<Record<string, string>> | undefined
}

/** How many items are wanted. @throws ConnectorError `collection_input_invalid`. */
export function limitOf({ limit = DEFAULT_LIMIT }: CollectionOptions): number {
  if (!Number.isSafeInteger(limit) || limit < 0 || limit > MAX_LIMIT)
    throw new ConnectorError('collection_input_invalid', `limit must be a whole number up to ${MAX_LIMIT}`)
  return limit
}

/** A member of the input that must be there. @throws ConnectorError `collection_input_invalid`. */
export function required(input: CollectionOptions['input'], name: string, form: RegExp): string {
  const value = input?.[name]
  if (value === undefined || !form.test(value)) throw new ConnectorError('collection_input_invalid', `${name} is missing or malformed`)
  return value
}

/** Walks the pages from the first call on, and stops asking when enough items were taken. */
export async function* walk(
  request: ConnectorRequest,
  first: ConnectorCall,
  options: CollectionOptions,
  read: (answer: ConnectorAnswer) => Promise<Page>,
): AsyncGenerator<Item, void, void> {
  let left = limitOf(options)
  const seen = new Set<string>()
  let empty = 0
  let call = first
  while (left > 0) {
    const { items, next } = await read(await request(call))
    for (const item of items.slice(0, left)) yield item
    left -= Math.min(left, items.length)
    if (next === undefined) return
    empty = items.length === 0 ? empty + 1 : 0
    const mark = markOf(next)
    if (seen.has(mark) || seen.size >= MAX_PAGES || empty >= MAX_EMPTY)
      throw new ConnectorError('collection_endless', 'the pages do not come to an end')
    seen.add(mark)
    call = { ...first, query: { ...first.query, ...next } }
  }
}

/** The same for the same parameters in any order; of one length, however long they are, as there may be one for each page. @throws ConnectorError */
function markOf(next: Readonly<Record<string, string>>): string {
  const parameters = new URLSearchParams(next)
  parameters.sort()
  const text = parameters.toString()
  if (text.length > MAX_NEXT) throw new ConnectorError('collection_unreadable', 'what leads to the next page is too long')
  return sha256(text).toString('base64url')
}

/** The body of a success. @throws ConnectorError `collection_refused` for any other status, `collection_unreadable` for a huge one. */
export async function bodyOf(answer: ConnectorAnswer): Promise<string> {
  if (answer.status < 200 || answer.status > 299)
    throw new ConnectorError('collection_refused', `the provider answered with status ${answer.status}`, { status: answer.status })
  const text = await answer.text()
  if (text.length > MAX_PAGE) throw new ConnectorError('collection_unreadable', 'the page is too large', { status: answer.status })
  return text
}

/** The same as JSON. Nothing of a body is in any error. */
export async function jsonOf(answer: ConnectorAnswer): Promise<unknown> {
  const text = await bodyOf(answer)
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's message quotes the body.
    throw new ConnectorError('collection_unreadable', 'the answer is no JSON', { status: answer.status })
  }
}

/** The list that a page is. @throws ConnectorError `collection_unreadable` when it is none. */
export function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new ConnectorError('collection_unreadable', 'the page holds no list')
}

/** A cursor as providers give them; anything else ends the walk. */
export function cursor(name: string, value: unknown): Page['next'] {
  return typeof value === 'string' && value !== '' && value.length <= 8192 ? { [name]: value } : undefined
}
