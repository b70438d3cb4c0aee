/** Owns cutting a list into pages. Refuses a cursor that was made for another tenant, list or filter. */
import type { OperationName } from '@sallyport/contract'
import type { Page } from '../db/index.ts'
import type { Cursors, PathIds } from '../http/index.ts'

interface ListCall {
  readonly name: OperationName
  readonly ids: Partial<Pick<PathIds, 'org' | 'project' | 'environment'>>
  readonly query: { readonly limit: number; readonly cursor?: string | undefined }
  readonly deps: { readonly cursors: Cursors }
}

/** How one kind of row is listed. `Key` is what the rows are ordered by. */
export interface Listing<Row, Key, Item> {
  readonly rows: (page: Page<Key>) => Promise<readonly Row[] | Looked<Row, Key>>
  readonly keyOf: (row: Row) => Key
  /** Back from a cursor's text, which only we can have made. */
  readonly readKey: (text: string) => Key
  readonly present: (row: Row) => Item
  /** Filters in force, each as `name=value`. */
  readonly filters?: readonly string[]
}

/** Rows that were looked for among others, up to a bound. */
export interface Looked<Row, Key> {
  readonly rows: readonly Row[]
  /** Where looking ended before the page was full; undefined: there is nothing beyond. */
  readonly lookedTo: Key | undefined
}

/** One page, and the cursor of the next while there is one. */
export async function listPage<Row, Key, Item>(
  call: ListCall,
  listing: Listing<Row, Key, Item>,
): Promise<{ data: Item[]; next_cursor: string | null }> {
  const { limit, cursor } = call.query
  const { org = '', project = '', environment = '' } = call.ids
  const binding = [call.name, org, project, environment, ...(listing.filters ?? [])]
  const position = call.deps.cursors.read(binding, cursor)
  const found = await listing.rows({ after: position === undefined ? undefined : listing.readKey(position), limit: limit + 1 })
  const { rows, lookedTo } = 'rows' in found ? found : { rows: found, lookedTo: undefined }
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const next = rows.length > limit && last !== undefined ? listing.keyOf(last) : lookedTo
  return { data: shown.map(listing.present), next_cursor: next === undefined ? null : call.deps.cursors.issue(binding, String(next)) }
}
