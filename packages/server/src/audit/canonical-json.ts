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

/**
 * The canonical text: members ordered by the UTF-16 code units of their names, numbers and strings as ECMAScript writes them, no space.
 * @throws TypeError for undefined, functions, symbols, bigints, NaN and infinities, text with a lone surrogate or NUL, objects that are
 * not plain, cycles and nesting over 64. The message names the path, never the value.
 */
export function canonicalJson(value: JsonValue): string {
  return write(value, '$', 0)
}

function write(value: unknown, path: string, depth: number): string {
  if (depth > MAX_DEPTH) throw new TypeError(`${path.slice(0, 80)} is nested too deep`)
  switch (typeof value) {
    case 'boolean':
      return String(value)
    case 'number':
      return writeNumber(value, path)
    case 'string':
      return writeString(value, path)
    case 'object':
      return value === null ? 'null' : writeObject(value, path, depth)
    default:
      throw new TypeError(`${path} is ${typeof value}, which JSON can't hold`)
  }
}

/** RFC 8785 section 3.2.2.3: ECMAScript's own form, which also writes -0 as 0. */
function writeNumber(value: number, path: string): string {
  if (!Number.isFinite(value)) throw new TypeError(`${path} is no finite number`)
  return JSON.stringify(value)
}

/** RFC 8785 section 3.2.2.2: ECMAScript's own form, once the text is well formed. NUL is valid JSON, but no text in PostgreSQL. */
function writeString(value: string, path: string): string {
  if (!value.isWellFormed()) throw new TypeError(`${path} holds a lone surrogate`)
  if (value.includes('\0')) throw new TypeError(`${path} holds NUL`)
  return JSON.stringify(value)
}

function writeObject(value: object, path: string, depth: number): string {
  if (Array.isArray(value)) {
    // By index: a hole is undefined, and refused, where map would pass over it.
    return `[${Array.from(value, (item: unknown, index) => write(item, `${path}[${index}]`, depth + 1)).join(',')}]`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError(`${path} is no plain object`)
  // The default order of sort is by UTF-16 code units, as section 3.2.3 asks.
  const names = Object.keys(value).sort()
  const members = names.map((name) => `${writeString(name, path)}:${write((value as JsonObject)[name], `${path}.${name}`, depth + 1)}`)
  return `{${members.join(',')}}`
}
