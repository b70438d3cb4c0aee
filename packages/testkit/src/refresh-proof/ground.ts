/** Owns what a proof stands on: a store of its own on the given server, keys, spill folders and the hostile issuer. Gives it all back. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CredentialStore } from '@sallyport/core'
import { createDatabase, dropDatabase } from '../servers/database.ts'
import { startTestRedis } from '../servers/redis.ts'
import type { FleetSettings } from './fleet.ts'
import type { IssuerControl } from './hostile-issuer.ts'
import { startIssuerProcess } from './hostile-issuer-process.ts'
import { REQUEST_LIFETIME_MS } from './proof.ts'
import { openStore } from './stores.ts'
import type { StoreChoice } from './worker-messages.ts'

/** The administrative URL of a Postgres, on which a database is made; a Redis is started for the occasion. */
export type StoreServer = { readonly kind: 'postgres'; readonly url: string } | { readonly kind: 'redis' }

export interface Ground {
  readonly issuer: IssuerControl
  /** The name of the one client at the issuer. */
  readonly client: string
  /** The same store as the workers', past their wires. */
  readonly store: CredentialStore
  readonly fleet: Omit<FleetSettings, 'rotation'>
  close(): Promise<void>
}

export async function openGround(server: StoreServer, seed: string): Promise<Ground> {
  const cleanups: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  }
  try {
    const place = await makePlace(server, cleanups)
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-proof-'))
    cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))
    const encryptionKey = randomBytes(32).toString('hex')
    const { store, close: closeStore } = openStore(place, encryptionKey)
    cleanups.push(closeStore)
    const issuer = await startIssuerProcess(seed)
    cleanups.push(() => issuer.close())
    const client = 'proof'
    const fleet = {
      store: place,
      encryptionKey,
      issuerOrigin: issuer.origin,
      client,
      requestLifetimeMs: REQUEST_LIFETIME_MS,
      bufferMs: 1_000,
      folder,
    }
    return { issuer, client, store, fleet, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function makePlace(server: StoreServer, cleanups: (() => Promise<unknown>)[]): Promise<StoreChoice> {
  if (server.kind === 'redis') {
    const redis = await startTestRedis()
    cleanups.push(() => redis.stop())
    return { kind: 'redis', url: redis.url }
  }
  const database = await createDatabase(server.url)
  cleanups.push(() => dropDatabase(server.url, database.name))
  return { kind: 'postgres', url: database.url }
}
