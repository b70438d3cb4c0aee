/**
 * Owns the sign-ins under way that every kind of records becomes: named by a hash of their state, sealed to that name. Refuses plaintext in
 * any store, and the state itself.
 */
import { open, seal, sha256 } from '../crypto/index.ts'
import type { RootKeyring, SealPlace } from '../crypto/index.ts'
import type { Secret } from '../kernel/index.ts'
import type { ConnectStates, TakenState } from '../tokens/index.ts'

export type TakenRecord = Exclude<TakenState, { kind: 'taken' }> | { readonly kind: 'taken'; readonly sealed: Uint8Array }

/** Where the sealed texts lie. Each step is atomic, over all processes. */
export interface StateRecords {
  put(name: string, sealed: Uint8Array, lifeMs: number): Promise<void>
  take(name: string): Promise<TakenRecord>
  /** The same, leaving it there. */
  read(name: string): Promise<TakenRecord>
  close(): Promise<void>
}

export function createSealedStates(records: StateRecords, keys: RootKeyring): ConnectStates {
  async function opened(state: Secret, find: (name: string) => Promise<TakenRecord>): Promise<TakenState> {
    const name = nameOf(state)
    const found = await find(name)
    if (found.kind !== 'taken') return found
    return { kind: 'taken', text: open((id) => keys.get(id), placeOf(name), found.sealed) }
  }
  return {
    async put(state, text, lifeMs) {
      const name = nameOf(state)
      await records.put(name, seal(keys.primary, placeOf(name), text), lifeMs)
    },
    take: (state) => opened(state, (name) => records.take(name)),
    read: (state) => opened(state, (name) => records.read(name)),
    close: () => records.close(),
  }
}

function nameOf(state: Secret): string {
  return sha256(state).toString('base64url')
}

function placeOf(name: string): SealPlace {
  return { purpose: 'connect-state', org: '', table: 'connect_state', column: 'sealed', record: name, seq: 0n }
}
