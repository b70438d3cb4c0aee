/**
 * Owns how much structure the JSON of a model call may have. Its bytes are gone over once, before anything is built of them: what a parser makes of ten megabytes
 * of names or brackets is a second of everybody's time. Refuses to judge whether the text is JSON at all, which is the parser's to say.
 */

/** Objects and lists inside one another: schemas of tools go deep, and whoever writes them again must get to their end. */
export const MOST_DEPTH = 200
/** Objects, lists and names together: each is made anew. A conversation of a thousand messages with a hundred tools has a tenth of it. */
export const MOST_MADE = 100_000
/** What stands between commas, numbers too. A call for embeddings may bring 300,000 tokens as numbers. */
export const MOST_VALUES = 1_000_000

/** What is too much of a text, in words for its sender. */
export type Excess = `is nested deeper than ${number}` | `holds more than ${number} ${'objects, lists and names' | 'values'}`

/** Undefined for what a parser may be given. Of what is no JSON it says anything. */
export function excessOf(body: Buffer): Excess | undefined {
  let [depth, made, values] = [0, 0, 0]
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!
    if (byte === QUOTE) at = afterString(body, at)
    else if (byte === OBJECT || byte === LIST) {
      if (++depth > MOST_DEPTH) return `is nested deeper than ${MOST_DEPTH}`
      made += 1
    } else if (byte === OBJECT_END || byte === LIST_END) depth -= 1
    else if (byte === COLON) made += 1
    else if (byte === COMMA && ++values > MOST_VALUES) return `holds more than ${MOST_VALUES} values`
    if (made > MOST_MADE) return `holds more than ${MOST_MADE} objects, lists and names`
  }
  return undefined
}

/** So much of a string is walked byte by byte before the rest of it is searched: most strings are short, and a prompt may be one of megabytes. */
const STRIDE = 64

/** Where the quote is that ends the string which begins at `start`; the length where none does. */
function afterString(body: Buffer, start: number): number {
  for (let at = start + 1; at < body.length;) {
    for (const end = Math.min(at + STRIDE, body.length); at < end; at++) {
      if (body[at] === QUOTE) return at
      if (body[at] === BACKSLASH) at += 1
    }
    const quote = body.indexOf(QUOTE, at)
    if (quote < 0) return body.length
    let slashes = 0
    while (quote - 1 - slashes >= at && body[quote - 1 - slashes] === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) return quote
    at = quote + 1
  }
  return body.length
}

const [QUOTE, BACKSLASH, OBJECT, OBJECT_END, LIST, LIST_END, COLON, COMMA] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x3a, 0x2c] as const
