/** Owns the opening of a proof's store, alike for workers and for the judge. */
import { createPostgresLeases, createPostgresStore, createRedisLeases, createRedisStore } from '@sallyport/core'
import type { Clock, CredentialStore, LeaseKeeper } from '@sallyport/core'
import type { StoreChoice } from './worker-messages.ts'

export interface OpenedStore {
  readonly store: CredentialStore
  readonly leases: LeaseKeeper
  readonly close: () => Promise<void>
}

/** A holder that is paused for longer than this loses its lease, so that the pauses of a proof do more than wait. On Redis leases end earlier. */
const STALLED_AFTER_MS = 1_500

export function openStore({ kind, url }: StoreChoice, encryptionKey: string, clock?: Clock): OpenedStore {
  const encryption = { key: encryptionKey }
  const timed = clock === undefined ? {} : { clock }
  const [store, leases] =
    kind === 'postgres'
      ? [createPostgresStore({ url, encryption }), createPostgresLeases({ url, stalledAfterMs: STALLED_AFTER_MS, ...timed })]
      : [createRedisStore({ url, encryption }), createRedisLeases({ url, ...timed })]
  return {
    store,
    leases,
    close: async () => void (await Promise.all([leases.close(), store.close()])),
  }
}
