/**
 * Owns handing log lines to the application. Refuses to let its function break a call or a refresh, which may be in the middle of saving what
 * there is once: a line that it does not take goes to the standard error stream.
 */
import { writeLine } from '../observability/index.ts'

/** Calls `write`; also where it is asynchronous, what it fails with stays here. */
export function guardedLines(write: (line: string) => unknown): (line: string) => void {
  const keep = (line: string): void => writeLine(line, 'stderr')
  return (line) => {
    try {
      const taken = write(line)
      if (taken instanceof Promise) taken.catch(() => keep(line))
    } catch {
      // What it threw may hold anything, the line among it; the line itself is clean.
      keep(line)
    }
  }
}
