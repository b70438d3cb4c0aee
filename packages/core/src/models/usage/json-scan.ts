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
  /** The same, by the bytes of their names. */
  readonly written: { readonly name: Uint8Array; readonly node: Node }[]
  takes: { readonly as: Taking; readonly name: string } | undefined
}

/** Places made ready, once for all scans. */
export type Compiled = Node

interface Frame {
  readonly node: Node
  readonly isArray: boolean
}

const MAX_KEY = 64
/** Strings up to this long, as nearly all are, are read byte by byte, which is cheaper than asking for their end; longer ones are searched natively. */
const SHORT = 64
const MAX_TEXT = 200
const MAX_NUMBER = 32
/** More than one call can use; larger ones would not add up. */
const MAX_FIGURE = 1e9

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COLON, COMMA] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x3a, 0x2c]

/** Outside of strings, where no figure is looked for: 1 for what is no part of the structure. */
const MEANS_NOTHING = new Uint8Array(256).fill(1)
for (const byte of [QUOTE, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COLON, COMMA]) MEANS_NOTHING[byte] = 0

export function compile(places: Places): Compiled {
  const root = bare()
  for (const [name, [as, ...paths]] of Object.entries(places)) {
    for (const path of paths) place(root, path.split('.')).takes = { as, name }
  }
  return root
}

function place(root: Node, path: readonly string[]): Node {
  let node = root
  for (const name of path) {
    node = node.members.get(name) ?? added(node, name)
  }
  return node
}

function bare(): Node {
  return { members: new Map(), written: [], takes: undefined }
}

function added(to: Node, name: string): Node {
  const node = bare()
  to.members.set(name, node)
  to.written.push({ name: Buffer.from(name), node })
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
  readonly #frames: Frame[] = []
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
  /** Of what is being written, up to its end: where the next of each stands, once it was asked for. */
  #searched: { readonly bytes: Buffer; quote: number; backslash: number } | undefined

  constructor(root: Compiled) {
    this.#root = root
    this.#at = root
  }

  /** Whatever comes next begins a document. */
  reset(): void {
    this.#frames.length = 0
    this.#at = this.#root
    this.#wantsKey = false
    this.#skipped = 0
    this.#in = 'nothing'
    this.#escaped = false
  }

  /** @param from of `bytes`, with `to`: what of them is part of the document; absent: all */
  write(bytes: Uint8Array, from = 0, to = bytes.length): void {
    for (let at = from; at < to;) {
      const byte = bytes[at]!
      if (this.#in === 'key' || this.#in === 'string') at = this.#readString(bytes, at, to)
      else if (this.#in === 'nothing' && byte === QUOTE) at = this.#shortString(bytes, at + 1, to)
      else if (this.#in === 'nothing' && MEANS_NOTHING[byte] === 1 && (this.#at === undefined || this.#skipped > 0)) at += 1
      else {
        this.#step(byte)
        at += 1
      }
    }
    // An open stream must not hold what came last.
    this.#searched = undefined
  }

  /** A string that is short, whole and without an escape, at once; any other is begun. Gives where it goes on. */
  #shortString(bytes: Uint8Array, from: number, to: number): number {
    const most = Math.min(to, from + SHORT)
    for (let at = from; at < most; at++) {
      const byte = bytes[at]!
      if (byte === BACKSLASH) break
      if (byte !== QUOTE) continue
      this.#takeShort(bytes, from, at)
      return at + 1
    }
    this.#beginString()
    return from
  }

  #takeShort(bytes: Uint8Array, from: number, to: number): void {
    if (this.#skipped > 0) {
      this.#at = undefined
      return
    }
    if (this.#wantsKey) {
      this.#at = memberOf(this.#frames.at(-1)!.node, bytes, from, to)
      return
    }
    const takes = this.#at?.takes
    if (takes?.as === 'weight') this.weights.set(takes.name, (this.weights.get(takes.name) ?? 0) + to - from)
    else if (takes?.as === 'text') this.#takeText(takes.name, bytes, from, to)
  }

  /** Events of a stream repeat theirs: what is known already is not made again. */
  #takeText(name: string, bytes: Uint8Array, from: number, to: number): void {
    const known = this.texts.get(name)
    if (known !== undefined && isWritten(known, bytes, from, to)) return
    const text = textOf(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1'))
    if (text !== undefined) this.texts.set(name, text)
  }

  /** Gives where it goes on. */
  #readString(given: Uint8Array, from: number, to: number): number {
    // Each is looked for once, not once a string or once an escape.
    const searched = (this.#searched ??= { bytes: Buffer.from(given.buffer, given.byteOffset, to), quote: -1, backslash: -1 })
    const { bytes } = searched
    if (searched.quote < from) searched.quote = positionOf(bytes, QUOTE, from)
    if (searched.backslash < from) searched.backslash = positionOf(bytes, BACKSLASH, from)
    const { quote, backslash } = searched
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

/** Names that are looked for are plain, so that what is written otherwise is none of them. */
function memberOf({ written }: Node, bytes: Uint8Array, from: number, to: number): Node | undefined {
  for (const { name, node } of written) if (name.length === to - from && isAt(name, bytes, from)) return node
  return undefined
}

function isAt(name: Uint8Array, bytes: Uint8Array, from: number): boolean {
  for (let at = 0; at < name.length; at++) if (name[at] !== bytes[from + at]) return false
  return true
}

/** Whether these bytes are the text's; of plain ASCII alone it is known. */
function isWritten(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false
  for (let at = 0; at < text.length; at++) {
    const byte = bytes[from + at]!
    if (byte > 0x7e || byte !== text.charCodeAt(at)) return false
  }
  return true
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
