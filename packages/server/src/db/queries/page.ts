/** Owns how lists are cut: by the key of the last row seen. Refuses offsets, which skip and repeat rows while others write. */
import type { Environment, ProjectId } from '@sallyport/core'

export interface Page<Key> {
  /** The key of the last row of the page before; absent: from the beginning. */
  readonly after?: Key | undefined
  /** Rows at most. A caller that asks for one more than it shows knows whether there is a next page. */
  readonly limit: number
}

/** Where in an organization: keys, integrations and connections of one place never meet those of another. */
export interface Place {
  readonly project: ProjectId
  readonly environment: Environment
}
