/** Owns the order in which things end. */

export interface Closing {
  close(): Promise<void>
}

/** Runs every step, each after the one before it, whatever fails. @throws the first failure, after the last step. */
export async function inTurn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) await step().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

/** Waits for all of them, whatever fails. @throws the first failure, after the last end. */
export async function allOf(ends: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
