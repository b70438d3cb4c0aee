/**
 * Owns finding a few members in JSON that passes by (RFC 8259), in the memory of one member: what nobody asked for is stepped over, however large it
 * is. Refuses to judge: what is no JSON gives nothing, and throws nothing.
 */

/** What is done with the values that stand at one place. */
export type Taking = 'figure' | 'text' | 'weight'

/**
 * Places that are looked at: members by their names from the root, as `usage.input_tokens`; arrays stand for each of their elements. Each under the name
 * by which it is asked for. Several may share one.
 */
export type Places = Readonly<Record<string, readonly [Taking, ...string[]]>>

interface Node {
  readonly members: Map<string, Node>
  takes: { readonly as: Taking; readonly name: string } | undefined
}

/** Places made ready, once for all scans. */
export type Compiled = Node

interface Frame {
  readonly node: Node
  readonly isArray: boolean
}

const MAX_KEY = 64
const MAX_TEXT = 200
const MAX_NUMBER = 32
/** More than one call can use; larger ones would not add up. */
const MAX_FIGURE = 1e9

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COLON, COMMA] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x3a, 0x2c]

export function compile(places: Places): Compiled {
  const root: Node = { members: new Map(), takes: undefined }
  for (const [name, [as, ...paths]] of Object.entries(places)) {
    for (const path of paths) place(root, path.split('.')).takes = { as, name }
  }
  return root
}

function place(root: Node, path: readonly string[]): Node {
  let node = root
  for (const name of path) {
    const known = node.members.get(name)
    const next: Node = known ?? { members: new Map(), takes: undefined }
    if (known === undefined) node.members.set(name, next)
    node = next
  }
  return node
}

/** One scan, over as many documents as come one after another. Of values at one place the last is kept; weights are added up. */
export class JsonScan {
  /** Numbers that are 0 or more, by the name of their place. */
  readonly figures = new Map<string, number>()
  /** Texts of at most 200 bytes. */
  readonly texts = new Map<string, string>()
  /** Bytes of text, as it was written. */
  readonly weights = new Map<string, number>()

  readonly #root: Node
  #frames: Frame[] = []
  /** Where the next value stands; undefined: nobody asked for it. */
  #at: Node | undefined
  #wantsKey = false
  /** Brackets that are open inside a value that nobody asked for. */
  #skipped = 0
  #in: 'nothing' | 'key' | 'string' | 'number' = 'nothing'
  #escaped = false
  /** Of a key, a text or a number: what of it has come, byte for byte. */
  #held = ''
  #bound = 0
  #tooLong = false

  constructor(root: Compiled) {
    this.#root = root
    this.#at = root
  }

  /** Whatever comes next begins a document. */
  reset(): void {
    this.#frames = []
    this.#at = this.#root
    this.#wantsKey = false
    this.#skipped = 0
    this.#in = 'nothing'
    this.#escaped = false
  }

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let [quote, backslash] = [-1, -1]
    for (let at = 0; at < bytes.length;) {
      if (this.#in === 'key' || this.#in === 'string') {
        // Each is looked for once, not once a string or once an escape.
        if (quote < at) quote = positionOf(bytes, QUOTE, at)
        if (backslash < at) backslash = positionOf(bytes, BACKSLASH, at)
        at = this.#readString(bytes, at, { quote, backslash })
      } else {
        this.#step(bytes[at]!)
        at += 1
      }
    }
  }

  /** Gives where it goes on. */
  #readString(bytes: Buffer, from: number, { quote, backslash }: { readonly quote: number; readonly backslash: number }): number {
    if (this.#escaped) {
      this.#escaped = false
      this.#hold(bytes, from, from + 1)
      return from + 1
    }
    const end = Math.min(quote, backslash)
    this.#hold(bytes, from, end)
    if (end === bytes.length) return end
    if (end === backslash) {
      this.#hold(bytes, end, end + 1)
      this.#escaped = true
    } else {
      this.#endString()
    }
    return end + 1
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    const takes = this.#in === 'string' ? this.#at?.takes : undefined
    if (takes?.as === 'weight') this.weights.set(takes.name, (this.weights.get(takes.name) ?? 0) + to - from)
    if (this.#bound === 0 || this.#tooLong) return
    this.#tooLong = this.#held.length + to - from > this.#bound
    if (!this.#tooLong) this.#held += bytes.toString('latin1', from, to)
  }

  #endString(): void {
    const isKey = this.#in === 'key'
    this.#in = 'nothing'
    if (isKey) {
      const key = this.#tooLong ? undefined : textOf(this.#held)
      this.#at = key === undefined ? undefined : this.#frames.at(-1)!.node.members.get(key)
      return
    }
    const takes = this.#skipped > 0 ? undefined : this.#at?.takes
    if (takes?.as !== 'text' || this.#tooLong) return
    const text = textOf(this.#held)
    if (text !== undefined) this.texts.set(takes.name, text)
  }

  /** One byte outside of strings. */
  #step(byte: number): void {
    if (this.#in === 'number') {
      if (isOfNumber(byte)) {
        if (this.#held.length < MAX_NUMBER) this.#held += String.fromCodePoint(byte)
        return
      }
      this.#endNumber()
    }
    if (byte === QUOTE) this.#beginString()
    else if (this.#skipped > 0) this.#stepOver(byte)
    else if (byte === OPEN || byte === OPEN_LIST) this.#open(byte === OPEN_LIST)
    else if (byte === CLOSE || byte === CLOSE_LIST) this.#close()
    else if (byte === COMMA) this.#next()
    else if (byte === COLON) this.#wantsKey = false
    else if (this.#at?.takes?.as === 'figure' && isOfNumber(byte)) this.#beginNumber(byte)
  }

  #beginString(): void {
    this.#in = this.#wantsKey && this.#skipped === 0 ? 'key' : 'string'
    const isText = this.#in === 'string' && this.#skipped === 0 && this.#at?.takes?.as === 'text'
    this.#bound = this.#in === 'key' ? MAX_KEY : isText ? MAX_TEXT : 0
    // Inside what nobody asked for, no place is looked at.
    if (this.#skipped > 0) this.#at = undefined
    this.#held = ''
    this.#tooLong = false
  }

  #beginNumber(byte: number): void {
    this.#in = 'number'
    this.#held = String.fromCodePoint(byte)
  }

  #endNumber(): void {
    this.#in = 'nothing'
    const value = Number(this.#held)
    const name = this.#at?.takes?.name
    if (name !== undefined && value >= 0 && value <= MAX_FIGURE) this.figures.set(name, Math.round(value))
  }

  #stepOver(byte: number): void {
    if (byte === OPEN || byte === OPEN_LIST) this.#skipped += 1
    else if (byte === CLOSE || byte === CLOSE_LIST) this.#skipped -= 1
  }

  #open(isArray: boolean): void {
    const node = this.#at
    if (node === undefined || (isArray && this.#frames.length > MAX_FRAMES) || (node.members.size === 0 && !isArray)) {
      this.#skipped = 1
      return
    }
    this.#frames.push({ node, isArray })
    this.#wantsKey = !isArray
    if (!isArray) this.#at = undefined
  }

  #close(): void {
    this.#frames.pop()
    this.#at = this.#frames.length === 0 ? this.#root : undefined
    this.#wantsKey = false
  }

  #next(): void {
    const frame = this.#frames.at(-1)
    if (frame === undefined) return
    this.#wantsKey = !frame.isArray
    this.#at = frame.isArray ? frame.node : undefined
  }
}

/** Lists in lists stand for each of their elements too, but not without end. */
const MAX_FRAMES = 32

function positionOf(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from)
  return found === -1 ? bytes.length : found
}

/** Digits, sign, point and exponent. */
function isOfNumber(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e || byte === 0x65 || byte === 0x45
}

/** Stands for itself, as almost every name does: printable ASCII without an escape. */
const PLAIN = /^[ !#-[\]-~]*$/

/** What was written between quotes, as it is meant; undefined for what is no JSON string. */
function textOf(written: string): string | undefined {
  if (PLAIN.test(written)) return written
  const text = Buffer.from(written, 'latin1').toString('utf8')
  if (!text.includes('\\')) return text
  try {
    const meant: unknown = JSON.parse(`"${text}"`)
    return typeof meant === 'string' ? meant : undefined
  } catch {
    return undefined
  }
}
