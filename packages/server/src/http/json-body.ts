/**
 * Owns reading a JSON body. One parser decides: what two readers could understand differently (doubled names, broken Unicode)
 * is refused here, and so is what costs more than it says (depth, number of values). Refuses guessing at encodings.
 */
import { ProblemError } from './problem.ts'

/** Objects and arrays inside one another. The contract's bodies need 3. */
export const MAX_JSON_DEPTH = 32
/** Names and values together. The largest body of the contract has a few hundred. */
export const MAX_JSON_TOKENS = 10_000

/** Names that reach an object's prototype when a careless copy assigns them. */
const POISONOUS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of a JSON text (RFC 8259), or undefined for no bytes at all.
 * @throws ProblemError `bad_request` for anything but well-formed UTF-8 JSON of bounded size with unique names.
 */
export function parseJsonBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined
  const text = decoded(bytes)
  checkStructure(text)
  try {
    return JSON.parse(text)
  } catch {
    throw refusal('is not valid JSON')
  }
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw refusal('is not valid UTF-8')
  }
}

/**
 * Walks the text once, before anything is built from it. Sees only strings, brackets, colons and commas: whether the text is
 * JSON at all is left to JSON.parse, which reads the same text, so the two can't disagree on what a string is.
 */
function checkStructure(text: string): void {
  const open: (Set<string> | undefined)[] = []
  let tokens = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined)
      if (open.length > MAX_JSON_DEPTH) throw refusal(`is nested deeper than ${MAX_JSON_DEPTH}`)
    } else if (character === '}' || character === ']') {
      open.pop()
    } else if (character === '"') {
      const end = stringEnd(text, at)
      checkString(text, at, end, open.at(-1))
      at = end
    }
    if ('{["'.includes(character) || character === ',') tokens++
    if (tokens > MAX_JSON_TOKENS) throw refusal(`holds more than ${MAX_JSON_TOKENS} values`)
  }
}

/** Index of the closing quote. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  throw refusal('is not valid JSON')
}

function checkString(text: string, start: number, end: number, names: Set<string> | undefined): void {
  const value = stringValue(text.slice(start, end + 1))
  if (!value.isWellFormed() || value.includes('\0')) throw refusal('holds text that is not well-formed Unicode, or NUL')
  if (names === undefined || nextVisible(text, end + 1) !== ':') return
  if (POISONOUS.has(value)) throw refusal('holds a name that is never taken')
  if (names.has(value)) throw refusal('holds the same name twice in one object')
  names.add(value)
}

/** The first character from `at` on that is no JSON white space (RFC 8259 section 2). */
function nextVisible(text: string, at: number): string | undefined {
  let next = at
  while (text[next] === ' ' || text[next] === '\t' || text[next] === '\n' || text[next] === '\r') next++
  return text[next]
}

function stringValue(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return JSON.parse(literal) as string
  } catch {
    throw refusal('is not valid JSON')
  }
}

function refusal(what: string): ProblemError {
  return new ProblemError('bad_request', `The body ${what}.`)
}
