/** Owns the failures of the data folder and of the database kept in it. Refuses any text taken from a row, a statement or a secret. */
import { SallyportError } from '@sallyport/core'

/**
 * - `data_dir_in_use`: another gateway holds the folder.
 * - `data_dir_unwritable`: the folder cannot be made or written, or its disk is full.
 * - `data_dir_corrupt`: what lies there is not a whole cluster; nothing was changed.
 * - `data_dir_version`: the cluster belongs to another major version of PostgreSQL.
 * - `postgres_unavailable`: this machine cannot run the bundled PostgreSQL at all.
 * - `postgres_start_failed`: it ran and gave up; the message carries its last log lines.
 */
export type DataDirErrorCode =
  | 'data_dir_in_use'
  | 'data_dir_unwritable'
  | 'data_dir_corrupt'
  | 'data_dir_version'
  | 'postgres_unavailable'
  | 'postgres_start_failed'

/** Its message says in one sentence what is wrong and in the next what to do. Meant for the operator, never for a caller of the API. */
export class DataDirError extends SallyportError<DataDirErrorCode> {}

/** The `code` of a Node system error (`EACCES`, `ENOENT`, ...), or undefined when `error` is none. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
