/**
 * Owns the port of places that root keys are read from, and the reading again of all of them. Refuses to judge what was read: its text goes
 * to RootKeyring.parse, its keys to the vault's proof.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Secret } from '../kernel/index.ts'

export interface SourceListener {
  /** The text is another than before. A rejection is a failure: the next reading offers it again. */
  changed(keys: Secret): Promise<void>
  /** It could not be read, or `changed` did not take it. What was in use stays in use. */
  failed(error: unknown): void
}

export interface RootKeySource {
  /** For messages: what kind of place, without an address. */
  readonly name: string
  /** `id:64-hex[,id:64-hex...]`. Many at once read once. @throws KeySourceError */
  load(): Promise<Secret>
  /** Reads again and again. Gives the way to stop; nothing is said after that. */
  watch(listener: SourceListener): () => void
}

/** A source from a way of reading. `everyMs`: the pause between two readings of a watch. */
export function sourceOf(name: string, everyMs: number, read: () => Promise<Secret>): RootKeySource {
  let loading: Promise<Secret> | undefined
  let last: Secret | undefined

  const load = async (): Promise<Secret> => {
    loading ??= read().finally(() => (loading = undefined))
    return loading
  }
  const turn = async (listener: SourceListener, signal: AbortSignal): Promise<void> => {
    try {
      const keys = await load()
      if (signal.aborted || last?.reveal() === keys.reveal()) return
      await listener.changed(keys)
      last = keys
    } catch (error) {
      if (!signal.aborted) listener.failed(error)
    }
  }
  return {
    name,
    async load() {
      last = await load()
      return last
    },
    watch(listener) {
      const stopped = new AbortController()
      void repeat(everyMs, stopped.signal, () => turn(listener, stopped.signal))
      return () => stopped.abort()
    },
  }
}

async function repeat(everyMs: number, signal: AbortSignal, turn: () => Promise<void>): Promise<void> {
  while (await paused(everyMs, signal)) await turn()
}

/** False when stopped meanwhile. Doesn't keep the process alive. */
function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  return pause(ms, true, { signal, ref: false }).catch(() => false)
}
