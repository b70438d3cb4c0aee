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
  readonly rows: (page: Page<Key>) => Promise<readonly Row[]>
  readonly keyOf: (row: Row) => Key
  /** Back from a cursor's text, which only we can have made. */
  readonly readKey: (text: string) => Key
  readonly present: (row: Row) => Item
  /** Filters in force, each as `name=value`. */
  readonly filters?: readonly string[]
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
  const rows = await listing.rows({ after: position === undefined ? undefined : listing.readKey(position), limit: limit + 1 })
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const more = rows.length > limit && last !== undefined
  return { data: shown.map(listing.present), next_cursor: more ? call.deps.cursors.issue(binding, String(listing.keyOf(last))) : null }
}
