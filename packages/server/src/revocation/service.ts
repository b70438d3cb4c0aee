/** Owns the face of revocation that the rest of the server sees: ending one connection, many, or everything of an end user. */
import type { ConnectionId, OrgId } from '@sallyport/core'
import { connectionFind, revocationFindLatest } from '../db/index.ts'
import type { Connection, Database, Place } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { createBulkRevocations } from './bulk.ts'
import type { BulkRevocations } from './bulk.ts'
import { endConnections } from './ending.ts'
import { eraseEndUser } from './erasure.ts'
import type { Erasure } from './erasure.ts'
import { createRevocationQueue } from './queue.ts'
import type { RevocationOutcome, RevocationQueue, RevocationQueueOptions } from './queue.ts'

export interface RevocationServiceOptions extends RevocationQueueOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly vault: Pick<Vault, 'seal' | 'open' | 'openIn'>
  /** How long a caller who disconnects waits for the provider; 3 seconds when absent. */
  readonly patienceMs?: number
}

/** What the provider knows of it. `none`: there was nothing to tell. */
export type ProviderRevocation = RevocationOutcome | { readonly state: 'none' }

export interface Disconnected {
  readonly connection: Connection
  readonly provider: ProviderRevocation
}

export interface RevocationService {
  /**
   * Ends a connection here at once, and tells its provider: tried for a moment, then queued. Repeating it changes nothing and answers how it stands.
   * Undefined when there is none in this place.
   */
  disconnect(org: OrgId, at: Place, id: ConnectionId, actor: string): Promise<Disconnected | undefined>
  eraseEndUser(org: OrgId, at: Place, endUserId: string, actor: string): Promise<Erasure>
  readonly bulk: Pick<BulkRevocations, 'preview' | 'begin' | 'beginOnce' | 'endRest' | 'find' | 'work'>
  readonly queue: Pick<RevocationQueue, 'poke' | 'orphan' | 'orphanIn' | 'work'>
  /** Begins to work on what is queued, on this node and every other. */
  start(): void
  close(): Promise<void>
}

const PATIENCE_MS = 3_000
/** And how long the queue leaves a fresh one to whoever made it. */
const LEFT_TO_MAKER_S = 10

export function createRevocationService(options: RevocationServiceOptions): RevocationService {
  const { database, vault, logger, patienceMs = PATIENCE_MS } = options
  const queue = createRevocationQueue(options)
  const bulk = createBulkRevocations({ database, vault, logger, onPage: () => queue.poke() })
  return {
    bulk,
    queue,
    async disconnect(org, at, id, actor) {
      const ending = { actor, cause: 'disconnected', tellProvider: true, delaySeconds: LEFT_TO_MAKER_S } as const
      const done = await database.withTenant(org, async (tx) => {
        if ((await connectionFind(tx, at, id)) === undefined) return undefined
        const [ended] = await endConnections(tx, vault, [id], ending)
        const connection = await connectionFind(tx, at, id)
        return connection && { connection, ended, latest: ended === undefined ? await revocationFindLatest(tx, id) : undefined }
      })
      if (done === undefined) return undefined
      const { connection, ended, latest } = done
      if (ended === undefined) return { connection, provider: standing(latest) }
      if (ended.revocation === null) return { connection, provider: { state: 'none' } }
      return { connection, provider: await queue.attempt(org, ended.revocation, patienceMs) }
    },
    async eraseEndUser(org, at, endUserId, actor) {
      const erased = await eraseEndUser({ database, vault }, org, at, endUserId, actor)
      queue.poke()
      return erased
    },
    start() {
      queue.start()
      bulk.start()
    },
    async close() {
      await bulk.close()
      await queue.close()
    },
  }
}

function standing(latest: Awaited<ReturnType<typeof revocationFindLatest>>): ProviderRevocation {
  if (latest === undefined) return { state: 'none' }
  if (latest.state === 'given_up') return { state: 'impossible', reason: latest.reason ?? 'refused' }
  return { state: latest.state === 'done' ? 'done' : 'queued' }
}
