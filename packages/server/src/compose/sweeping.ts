/** Owns clearing what expired until none of it is left. Refuses to begin again before the last round is over, and to go on after the end. */

/** Removes at most `most`; how many. */
export type Sweep = (most: number) => Promise<number>

export interface Sweeping {
  /** One round. A failure ends its own sweep alone, and is told. Does nothing while the last is at it. */
  round(): Promise<void>
  /** Ends the round that is under way after the statements that it is at. */
  stop(): void
}

/** @param sweeps each with how many it removes in one statement: what comes between two rounds may be more */
export function createSweeping(sweeps: readonly (readonly [Sweep, number])[], failed: (error: unknown) => void): Sweeping {
  const ending = new AbortController()
  let isAtIt = false
  const emptied = async (sweep: Sweep, most: number): Promise<void> => {
    while (!ending.signal.aborted && (await sweep(most)) >= most);
  }
  return {
    async round() {
      if (isAtIt) return
      isAtIt = true
      await Promise.all(sweeps.map(([sweep, most]) => emptied(sweep, most).catch(failed)))
      isAtIt = false
    },
    stop: () => ending.abort(),
  }
}
