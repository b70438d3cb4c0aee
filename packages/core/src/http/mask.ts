/**
 * Owns hiding of secrets that a provider echoes. Every byte that belongs to an occurrence of a secret becomes `*`, so lengths stay
 * true. Sees exact bytes only: an answer that encodes the secret in some other way passes. Refuses to hide pieces of a secret: whoever
 * can have bytes of their choice sent back would learn it piece by piece from what is hidden. Answers in pieces are not asked for instead.
 */
import { isAscii } from 'node:buffer'
import type { Secret } from '../kernel/index.ts'

const STAR = 0x2a
/** Shorter values occur by chance in any answer; masking them would damage it and protect nothing. */
const SHORTEST = 8
const PROBE = 4
const EMPTY = Buffer.alloc(0)

type Emit = (piece: Buffer) => void

/**
 * Masks one stream, or any number of texts. Bytes go in with `write` and come out through `emit` as soon as it is sure that they
 * are no part of a secret; only the longest tail that could still become one is held back. `flush` gives that tail at the end.
 * A chunk without a match is passed on as it is, uncopied. Secrets under 8 bytes are ignored.
 */
export class SecretMask {
  readonly #needles: Buffer[] = []
  /** How each begins. */
  readonly #probes: Buffer[] = []
  /** The same, as Latin-1 text. */
  readonly #texts: string[] = []
  #held: Buffer = EMPTY
  /** How many leading bytes of the held tail belong to an occurrence that began before it. */
  #covered = 0

  constructor(secrets: readonly Secret[]) {
    for (const secret of secrets) {
      const text = secret.reveal()
      for (const needle of spellings(text)) {
        if (needle.length < SHORTEST) continue
        this.#needles.push(needle)
        this.#probes.push(needle.subarray(0, PROBE))
        // One byte a letter is ASCII, which Latin-1 spells as it stands.
        this.#texts.push(needle.length === text.length && isAscii(needle) ? text : needle.toString('latin1'))
      }
    }
  }

  /** True when there is nothing to look for. */
  get idle(): boolean {
    return this.#needles.length === 0
  }

  write(chunk: Buffer, emit: Emit): void {
    if (this.#held.length === 0 && this.#covered === 0 && this.#isClear(chunk)) return emit(chunk)
    const data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const spans = this.#find(data)
    const end = data.length - this.#tail(data)
    // Held raw, not starred: an overlapping occurrence must still be found when the next chunk completes it.
    this.#held = end === data.length ? EMPTY : data.subarray(end)
    const before = spans.filter(([from]) => from < end)
    if (this.#covered > 0) before.push([0, this.#covered])
    this.#covered = before.reduce((most, [, to]) => Math.max(most, to - end), 0)
    const shown = before.length === 0 ? data : starred(data, before)
    if (end > 0) emit(shown.subarray(0, end))
  }

  flush(emit: Emit): void {
    const data = this.#held
    if (data.length === 0) return
    const spans = this.#find(data)
    if (this.#covered > 0) spans.push([0, this.#covered])
    this.#held = EMPTY
    this.#covered = 0
    emit(spans.length === 0 ? data : starred(data, spans))
  }

  /** Masks a whole text of Latin-1 characters (a header's value), apart from the stream. */
  text(value: string): string {
    for (const text of this.#texts) {
      if (!value.includes(text)) continue
      const data = Buffer.from(value, 'latin1')
      return starred(data, this.#find(data)).toString('latin1')
    }
    return value
  }

  /** Nothing of a secret in it, and no beginning of one at its end: by far the most chunks. */
  #isClear(data: Buffer): boolean {
    for (let at = 0; at < this.#needles.length; at++) {
      const needle = this.#needles[at]!
      if (data.includes(needle) || tailOf(data, needle, this.#probes[at]!) > 0) return false
    }
    return data.length > 0
  }

  #find(data: Buffer): [from: number, to: number][] {
    const spans: [number, number][] = []
    for (const needle of this.#needles) {
      for (let at = data.indexOf(needle); at >= 0; at = data.indexOf(needle, at + 1)) spans.push([at, at + needle.length])
    }
    return spans
  }

  #tail(data: Buffer): number {
    let longest = 0
    for (let at = 0; at < this.#needles.length; at++) longest = Math.max(longest, tailOf(data, this.#needles[at]!, this.#probes[at]!))
    return longest
  }
}

/** The bytes of a text as an echo may show them: UTF-8, and Latin-1, in which a header is sent, where the two differ. */
function spellings(text: string): Buffer[] {
  const utf8 = Buffer.from(text)
  if (utf8.length === text.length) return [utf8]
  const latin1 = Buffer.from(text, 'latin1')
  // Letters past Latin-1 are lost in it; a text that has some can't be a header's.
  return latin1.toString('latin1') === text ? [utf8, latin1] : [utf8]
}

/** Length of the longest proper prefix of `needle` that `data` ends with. Native search finds candidates by their first bytes. */
function tailOf(data: Buffer, needle: Buffer, probe: Buffer): number {
  const from = Math.max(0, data.length - needle.length + 1)
  for (let at = data.indexOf(probe, from); at >= 0; at = data.indexOf(probe, at + 1)) {
    if (needle.compare(data, at, data.length, 0, data.length - at) === 0) return data.length - at
  }
  for (let length = Math.min(PROBE - 1, data.length); length > 0; length--) if (endsSo(data, needle, length)) return length
  return 0
}

/** Whether `data` ends with so many of the needle's first bytes; for few of them, where a native call costs more. */
function endsSo(data: Buffer, needle: Buffer, length: number): boolean {
  for (let at = 0; at < length; at++) if (data[data.length - length + at] !== needle[at]) return false
  return true
}

function starred(data: Buffer, spans: readonly (readonly [number, number])[]): Buffer {
  const copy = Buffer.from(data)
  for (const [from, to] of spans) copy.fill(STAR, from, to)
  return copy
}
