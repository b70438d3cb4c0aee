/** Owns the rows of the installation itself: its sealed secrets and the check values of its root keys. Refuses to change one once stored. */
import type { Pool } from 'pg'
import { DatabaseError, translated } from './errors.ts'

export interface SystemStore {
  secretGet(name: string): Promise<Buffer | undefined>
  /** Stores `sealed` unless `name` exists; gives what is stored afterwards, so that of several makers all use one. */
  secretPutIfAbsent(name: string, sealed: Uint8Array): Promise<Buffer>
  /** The check value per root key id. */
  rootKeys(): Promise<ReadonlyMap<string, Buffer>>
  /** Stores a check value unless the id is known; gives what is stored afterwards. */
  rootKeyAdd(id: string, check: Uint8Array): Promise<Buffer>
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
    async rootKeyAdd(id, check) {
      const put =
        'insert into sallyport.root_key (id, check_value) values ($1, $2) on conflict (id) do nothing returning check_value as bytes'
      const get = 'select check_value as bytes from sallyport.root_key where id = $1'
      return (await bytes(put, [id, check])) ?? (await bytes(get, [id])) ?? vanished()
    },
  }
}

/** The gateway's role can't delete these rows: whoever did stands above it. */
function vanished(): never {
  throw new DatabaseError('database_query_failed', 'a row of the installation was removed while it was read')
}
