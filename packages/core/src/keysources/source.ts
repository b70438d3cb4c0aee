/**
 * Owns the port of places that root keys are read from, and the reading again of all of them. Refuses to judge what was read: its text goes
 * to RootKeyring.parse, its keys to the vault's proof.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Secret } from '../kernel/index.ts'

/** Who is told of what a watch reads. */
export interface SourceListener {
  /** The text is another than before. A rejection is a failure: the next reading offers it again. */
  changed(keys: Secret): Promise<void>
  /** It could not be read, or `changed` did not take it. What was in use stays in use. */
  failed(error: unknown): void
}

/** A place that root keys are read from, at the start and again while the gateway runs. */
export interface RootKeySource {
  /** For messages: what kind of place, without an address. */
  readonly name: string
  /** `id:64-hex[,id:64-hex...]`. Many at once read once. @throws KeySourceError */
  load(): Promise<Secret>
  /** Reads again and again. */
  watch(listener: SourceListener): Watch
}

/** A source that is read again and again, until it is stopped. */
export interface Watch {
  /** Reads once more, now; many who ask at once wait for one reading. Resolves when the listener is done with it, whatever came of it. */
  look(): Promise<void>
  /** Nothing is said after that. */
  stop(): void
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
      let turning: Promise<void> | undefined
      const look = (): Promise<void> => (turning ??= turn(listener, stopped.signal).finally(() => (turning = undefined)))
      void repeat(everyMs, stopped.signal, look)
      return { look, stop: () => stopped.abort() }
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
