/**
 * Owns the rows of the installation itself: its sealed secrets and the check values of its root keys. Refuses to change either: what
 * changes them shares a transaction with its audit event (queries/root-key.ts).
 */
import type { Pool } from 'pg'
import { DatabaseError, translated } from './errors.ts'

/** What the database knows of a root key: since when, and how much it still wraps. */
export interface RootKeyUse {
  readonly id: string
  readonly createdAt: Date
  readonly dataKeys: number
  readonly systemSecrets: number
}

export interface SystemStore {
  secretGet(name: string): Promise<Buffer | undefined>
  /** Stores `sealed` unless `name` exists; gives what is stored afterwards, so that of several makers all use one. */
  secretPutIfAbsent(name: string, sealed: Uint8Array): Promise<Buffer>
  /** The check value per root key id. */
  rootKeys(): Promise<ReadonlyMap<string, Buffer>>
  /** Every root key that was ever used here and not removed, the newest last. */
  rootKeyUse(): Promise<readonly RootKeyUse[]>
  /** Every sealed secret by its name. */
  secrets(): Promise<ReadonlyMap<string, Buffer>>
}

export function createSystemStore(pool: Pool): SystemStore {
  const bytes = async (text: string, values: readonly unknown[]): Promise<Buffer | undefined> =>
    (await translated(() => pool.query<{ bytes: Buffer }>(text, [...values]))).rows[0]?.bytes

  const secretGet = (name: string) => bytes('select sealed as bytes from sallyport.system_secret where name = $1', [name])

  return {
    secretGet,
    async secretPutIfAbsent(name, sealed) {
      const put =
        'insert into sallyport.system_secret (name, sealed) values ($1, $2) on conflict (name) do nothing returning sealed as bytes'
      return (await bytes(put, [name, sealed])) ?? (await secretGet(name)) ?? vanished()
    },
    async rootKeys() {
      const found = await translated(() =>
        pool.query<{ id: string; check_value: Buffer }>('select id, check_value from sallyport.root_key'),
      )
      return new Map(found.rows.map((row) => [row.id, row.check_value]))
    },
    async rootKeyUse() {
      const found = await translated(() =>
        pool.query<{ id: string; created_at: Date; data_keys: string; secrets: string }>(
          `select r.id, r.created_at, coalesce(u.data_keys, 0) as data_keys,
             (select count(*) from sallyport.system_secret s where s.sealed_under = r.id) as secrets
           from sallyport.root_key r left join sallyport.root_key_use() u on u.root_key_id = r.id order by r.created_at, r.id`,
        ),
      )
      return found.rows.map((row) => ({
        id: row.id,
        createdAt: row.created_at,
        dataKeys: Number(row.data_keys),
        systemSecrets: Number(row.secrets),
      }))
    },
    async secrets() {
      const found = await translated(() => pool.query<{ name: string; sealed: Buffer }>('select name, sealed from sallyport.system_secret'))
      return new Map(found.rows.map((row) => [row.name, row.sealed]))
    },
  }
}

/** Nothing of the gateway deletes these rows while they are used: whoever did stands above it. */
function vanished(): never {
  throw new DatabaseError('database_query_failed', 'a row of the installation was removed while it was read')
}
