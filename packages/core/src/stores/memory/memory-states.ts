/** Owns sign-ins under way in this process's memory. For development: a callback that another process receives finds nothing. */
import { systemClock } from '../../kernel/index.ts'
import type { Clock } from '../../kernel/index.ts'
import { STATE_MEMORY_MS } from '../../tokens/index.ts'
import type { ConnectStates } from '../../tokens/index.ts'
import { ephemeralKeys, readEncryption } from '../encryption.ts'
import type { EncryptionConfig } from '../encryption.ts'
import { createSealedStates } from '../sealed-states.ts'
import type { TakenRecord } from '../sealed-states.ts'

interface MemoryState {
  sealed: Uint8Array | undefined
  readonly endsAt: number
}

/** What several of one process share that stand for several processes. */
export type StateMemory = Map<string, MemoryState>

/** States whose sign-ins end with the process. */
export interface MemoryStatesOptions {
  /** A random key that ends with the process, as the states do, when left out. */
  readonly encryption?: EncryptionConfig
  readonly memory?: StateMemory
  readonly clock?: Clock
}

/** @throws CryptoError `key_invalid` */
export function createMemoryStates({ encryption, memory = new Map(), clock = systemClock }: MemoryStatesOptions = {}): ConnectStates {
  const keys = encryption === undefined ? ephemeralKeys() : readEncryption(encryption)
  const standing = (name: string): TakenRecord => {
    const state = memory.get(name)
    if (state === undefined) return { kind: 'unknown' }
    if (state.sealed === undefined) return { kind: 'used' }
    return state.endsAt <= clock.now() ? { kind: 'expired' } : { kind: 'taken', sealed: state.sealed }
  }
  return createSealedStates(
    {
      async put(name, sealed, lifeMs) {
        const now = clock.now()
        for (const [old, { endsAt }] of memory) if (endsAt + STATE_MEMORY_MS <= now) memory.delete(old)
        memory.set(name, { sealed, endsAt: now + lifeMs })
      },
      async take(name) {
        const found = standing(name)
        if (found.kind === 'taken') memory.get(name)!.sealed = undefined
        return found
      },
      read: async (name) => standing(name),
      close: async () => undefined,
    },
    keys,
  )
}
