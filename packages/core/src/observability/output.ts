/** Owns the process's standard streams: the one place that writes to them. */

/**
 * Writes one line and its line break, as it is. For the logger's finished records, and for what a command is asked to print
 * (a key shown once, a link): nothing is redacted here.
 */
export function writeLine(line: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
  process[stream].write(`${line}\n`)
}
