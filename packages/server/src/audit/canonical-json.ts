/**
 * Owns the one spelling of a JSON value (RFC 8785): what is hashed must read the same to every verifier. Refuses whatever JSON, I-JSON
 * (RFC 7493) or the database can't hold, instead of dropping or replacing it as JSON.stringify does.
 */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [name: string]: JsonValue
}

/** Deeper values are a mistake; the limit keeps the walk off the end of the stack. */
const MAX_DEPTH = 64
/** Printable ASCII that is written as it is. Most text is, and one look tells. */
const PLAIN = /^[ !#-[\]-~]*$/

/**
 * The canonical text: members ordered by the UTF-16 code units of their names, numbers and strings as ECMAScript writes them, no space.
 * @throws TypeError for undefined, functions, symbols, bigints, NaN and infinities, text with a lone surrogate or NUL, objects that are
 * not plain, cycles and nesting over 64. The message names the path, never the value.
 */
export function canonicalJson(value: JsonValue): string {
  return write(value, { outer: undefined, step: '$' }, 0)
}

/** Where a value stands. Spelled only for a refusal, because most values are none. */
interface Place {
  readonly outer: Place | undefined
  readonly step: string
}

function write(value: unknown, place: Place, depth: number): string {
  if (depth > MAX_DEPTH) throw refusal('is nested too deep', place)
  switch (typeof value) {
    case 'boolean':
      return String(value)
    case 'number':
      return writeNumber(value, place)
    case 'string':
      return writeString(value, place)
    case 'object':
      return value === null ? 'null' : writeObject(value, place, depth)
    default:
      throw refusal(`is ${typeof value}, which JSON can't hold`, place)
  }
}

/** RFC 8785 section 3.2.2.3: ECMAScript's own form, which also writes -0 as 0. */
function writeNumber(value: number, place: Place): string {
  if (!Number.isFinite(value)) throw refusal('is no finite number', place)
  return JSON.stringify(value)
}

/** RFC 8785 section 3.2.2.2: ECMAScript's own form, once the text is well formed. NUL is valid JSON, but no text in PostgreSQL. */
function writeString(value: string, place: Place): string {
  if (PLAIN.test(value)) return `"${value}"`
  if (!value.isWellFormed()) throw refusal('holds a lone surrogate', place)
  if (value.includes('\0')) throw refusal('holds NUL', place)
  return JSON.stringify(value)
}

function writeObject(value: object, place: Place, depth: number): string {
  if (Array.isArray(value)) {
    // By index: a hole is undefined, and refused, where map would pass over it.
    const items = Array.from(value, (item: unknown, index) => write(item, { outer: place, step: `[${index}]` }, depth + 1))
    return `[${items.join(',')}]`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw refusal('is no plain object', place)
  let text = ''
  // The default order of sort is by UTF-16 code units, as section 3.2.3 asks.
  for (const name of Object.keys(value).sort()) {
    const member = write((value as JsonObject)[name], { outer: place, step: name }, depth + 1)
    text += `${text === '' ? '{' : ','}${writeString(name, place)}:${member}`
  }
  return text === '' ? '{}' : `${text}}`
}

/** Names the path, cut to 80 characters, and never the value. */
function refusal(why: string, place: Place): TypeError {
  let path = ''
  for (let at: Place | undefined = place; at !== undefined; at = at.outer) {
    path = (at.outer === undefined || at.step.startsWith('[') ? at.step : `.${at.step}`) + path
  }
  return new TypeError(`${path.slice(0, 80)} ${why}`)
}
