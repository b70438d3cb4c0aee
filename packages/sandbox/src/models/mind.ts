/**
 * Owns what the sandbox's model says, which follows from what it was asked and from nothing else: it repeats, counts, says what pictures and tools
 * it was given. Refuses to think. One word is one token.
 */

export interface Turn {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly text: string
  /** Media types of pictures and documents in it. */
  readonly media: readonly string[]
}

export interface Tool {
  readonly name: string
  /** JSON Schema of its arguments, or nothing. */
  readonly parameters: unknown
}

export interface Question {
  readonly turns: readonly Turn[]
  readonly tools: readonly Tool[]
  /** Most tokens of the answer. */
  readonly most: number | undefined
}

export interface Reply {
  /** In order, each with the space before it; none when a tool is called. */
  readonly words: readonly string[]
  readonly call: { readonly name: string; readonly args: Readonly<Record<string, string>> } | undefined
  /** Whether `most` ended it. */
  readonly cut: boolean
  readonly tokens: { readonly input: number; readonly output: number }
}

/** A tool is called once, as soon as one is offered; its result is repeated. `count to 500` makes an answer as long as wanted. */
export function reply({ turns, tools, most = 100_000 }: Question): Reply {
  const last = turns.at(-1)
  const input = turns.reduce((sum, turn) => sum + wordsOf(turn.text).length + turn.media.length * 100, 0)
  const tool = last?.role === 'user' ? tools[0] : undefined
  if (tool !== undefined) {
    const args = argumentsFor(tool)
    return { words: [], call: { name: tool.name, args }, cut: false, tokens: { input, output: 1 + Object.keys(args).length } }
  }
  const said = wordsOf(sayTo(last))
  const words = said.slice(0, most).map((word, index) => (index === 0 ? word : ` ${word}`))
  return { words, call: undefined, cut: said.length > most, tokens: { input, output: words.length } }
}

/** As many numbers as the text has words, each from its letters alone. */
export function embedding(text: string, dimensions: number): readonly number[] {
  let state = 2_166_136_261
  for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0)!, 16_777_619) >>> 0
  return Array.from({ length: dimensions }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    // Halves of a power of two: the same number in 32 bits as in 64.
    return (state >>> 16) / 65_536 - 0.5
  })
}

export function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/u).filter((word) => word !== '')
}

function sayTo(turn: Turn | undefined): string {
  if (turn === undefined) return 'Nothing was said.'
  if (turn.role === 'tool') return `The tool said: ${turn.text}`
  const seen = turn.media.length === 0 ? '' : ` I was shown: ${turn.media.join(', ')}.`
  const count = /\bcount to (?<number>\d{1,5})\b/iu.exec(turn.text)?.groups?.['number']
  if (count !== undefined) return Array.from({ length: Number(count) }, (_none, index) => index + 1).join(' ')
  return `The sandbox heard: ${turn.text}${seen}`
}

/** What the tool's schema requires, every value the text `sandbox`. */
function argumentsFor({ parameters }: Tool): Readonly<Record<string, string>> {
  const required = (parameters as { required?: unknown } | undefined | null)?.required
  const names = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : []
  return Object.fromEntries(names.map((name) => [name, 'sandbox']))
}
