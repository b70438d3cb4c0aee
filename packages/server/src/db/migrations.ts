/** Owns the list of schema changes of this build and its comparison with what a database has. Refuses changed files, two of one number and a newer schema. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ClientBase } from 'pg'
import { sha256 } from '@sallyport/core'
import { DatabaseError } from './errors.ts'

export interface Migration {
  /** The file's name without `.sql`: four digits, then words. The order is that of the names. */
  readonly name: string
  readonly sql: string
  /** SHA-256 of the file, in hex. */
  readonly checksum: string
}

export type Applied = Pick<Migration, 'name' | 'checksum'>

/** Every migration of this build, in order. Read from the folder beside this file. */
export function readMigrations(folder: string = fileURLToPath(new URL('migrations/', import.meta.url))): readonly Migration[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .toSorted()
  return files.map((file, index) => {
    // Numbers rise and may leave some out: what the order is, and that nothing comes to stand before what was applied, is all that counts.
    const number = /^\d{4}_/u.exec(file)?.[0]
    if (number === undefined || files[index - 1]?.startsWith(number)) throw new TypeError(`migration ${file} is out of order`)
    const sql = readFileSync(`${folder}/${file}`, 'utf8')
    return { name: file.slice(0, -'.sql'.length), sql, checksum: sha256(sql).toString('hex') }
  })
}

/** What roles and schema need before the first migration; safe to repeat. */
export function readBootstrap(): string {
  return readFileSync(new URL('bootstrap.sql', import.meta.url), 'utf8')
}

/** What the database has, in order; empty when it was never migrated. */
export async function appliedMigrations(client: ClientBase): Promise<readonly Applied[]> {
  const { rows: found } = await client.query<{ there: boolean }>(`select to_regclass('sallyport.migration') is not null as there`)
  if (found[0]?.there !== true) return []
  const { rows } = await client.query<Applied>('select name, checksum from sallyport.migration order by name')
  return rows
}

/**
 * The migrations still to run, in order.
 * @throws DatabaseError `database_migration_changed` or `database_migration_unknown`.
 */
export function pendingMigrations(known: readonly Migration[], applied: readonly Applied[]): readonly Migration[] {
  for (const [index, { name, checksum }] of applied.entries()) {
    const file = known[index]
    if (file === undefined || file.name > name) {
      throw new DatabaseError(
        'database_migration_unknown',
        `the database has migration ${name}, which this build doesn't know: it was used by a newer one. Run that, or restore a backup.`,
      )
    }
    if (file.name !== name || file.checksum !== checksum) {
      throw new DatabaseError(
        'database_migration_changed',
        `migration ${name} was applied in another form than this build has. Applied migrations are never edited: use the build that made the database.`,
      )
    }
  }
  return known.slice(applied.length)
}

/** For a start of the gateway, which doesn't migrate. @throws DatabaseError also `database_not_migrated`. */
export async function requireMigrated(client: ClientBase): Promise<void> {
  const pending = pendingMigrations(readMigrations(), await appliedMigrations(client))
  if (pending.length > 0) {
    throw new DatabaseError(
      'database_not_migrated',
      `the database lacks ${pending.length} migration(s), the first ${pending[0]?.name}: run the migration first`,
    )
  }
}
