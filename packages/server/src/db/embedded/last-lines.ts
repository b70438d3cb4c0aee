/** Owns the tail of a child process's output, for error messages. Refuses to grow: old lines go, long lines are cut. */

const LINES = 20
const LINE_LENGTH = 400

export class LastLines {
  readonly #lines: string[] = []
  #partial = ''

  /** Adds a chunk and returns the lines that it completed. */
  add(chunk: Buffer): string[] {
    const pieces = (this.#partial + chunk.toString('utf8')).split('\n')
    this.#partial = (pieces.pop() ?? '').slice(0, LINE_LENGTH)
    const complete = pieces.filter((line) => line !== '').map((line) => line.slice(0, LINE_LENGTH))
    this.#lines.push(...complete)
    this.#lines.splice(0, Math.max(0, this.#lines.length - LINES))
    return complete
  }

  /** The kept lines, indented; a stand-in sentence when there are none. */
  text(): string {
    const lines = this.#partial === '' ? this.#lines : [...this.#lines, this.#partial]
    return lines.length === 0 ? '  (it printed nothing)' : lines.map((line) => `  ${line}`).join('\n')
  }
}
