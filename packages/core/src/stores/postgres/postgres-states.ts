/** Owns sign-ins under way in PostgreSQL. Refuses to keep them: each new one takes those along that ended long ago. */
import { STATE_MEMORY_MS } from '../../tokens/index.ts'
import type { ConnectStates } from '../../tokens/index.ts'
import { readEncryption } from '../encryption.ts'
import { createSealedStates } from '../sealed-states.ts'
import { postgresConfig } from './connection.ts'
import { openPostgres } from './database.ts'
import type { PostgresStoreOptions } from './postgres-store.ts'
import { HOW_STATE_STANDS, PUT_STATE, READ_STATE, TAKE_STATE } from './statements.ts'

/** @throws TokenError `store_misconfigured`, CryptoError `key_invalid` */
export function createPostgresStates({ encryption, url, ca, insecurePlaintext, ...options }: PostgresStoreOptions): ConnectStates {
  const keys = readEncryption(encryption)
  const config = postgresConfig({
    url,
    ...(ca === undefined ? {} : { ca }),
    ...(insecurePlaintext === undefined ? {} : { insecurePlaintext }),
  })
  const database = openPostgres(config, { poolSize: 2, ...options })
  return createSealedStates(
    {
      async put(name, sealed, lifeMs) {
        await database.query(PUT_STATE, [name, sealed, lifeMs, STATE_MEMORY_MS])
      },
      async take(name) {
        const [taken] = await database.query<{ sealed: Buffer }>(TAKE_STATE, [name])
        if (taken !== undefined) return { kind: 'taken', sealed: taken.sealed }
        const [standing] = await database.query<{ used: boolean }>(HOW_STATE_STANDS, [name])
        if (standing === undefined) return { kind: 'unknown' }
        return { kind: standing.used ? 'used' : 'expired' }
      },
      async read(name) {
        const [standing] = await database.query<{ sealed: Buffer | null; ended: boolean }>(READ_STATE, [name])
        if (standing === undefined) return { kind: 'unknown' }
        if (standing.sealed === null) return { kind: 'used' }
        return standing.ended ? { kind: 'expired' } : { kind: 'taken', sealed: standing.sealed }
      },
      close: () => database.close(),
    },
    keys,
  )
}
