/**
 * Owns the form of what the gateway and the device process say to each other: one question, one answer, in turn. Refuses text forms: key bytes and
 * the PIN pass here, in buffers that are wiped behind them.
 *
 *   bytes  field
 *   4      length of all that follows, big-endian, at most 64 KiB
 *   1      kind, an index into KINDS
 *   then for each part: 4 bytes length, and the part
 */

const KINDS = [
  // Questions. Their parts: module, "label" or "serial", its value, PIN; key, place, plaintext; key, place, ciphertext; none.
  'open',
  'encrypt',
  'decrypt',
  'close',
  // Answers. `done` has the bytes that were asked for, or no part; the others a sentence of ours.
  'done',
  'unavailable',
  'refused',
  'pin_refused',
  'decrypt_failed',
] as const

export type FrameKind = (typeof KINDS)[number]

export interface Frame {
  readonly kind: FrameKind
  /** In memory of their own; wiping them is the reader's. */
  readonly parts: readonly Buffer[]
}

const MAX_BYTES = 65_536
const LENGTH_BYTES = 4

/** Copies the parts; wiping both is the caller's. @throws RangeError when they are too long. */
export function frameOf(kind: FrameKind, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((total, part) => total + LENGTH_BYTES + part.length, 1)
  if (length > MAX_BYTES) throw new RangeError('too long for one question to a device')
  const bytes = Buffer.allocUnsafeSlow(LENGTH_BYTES + length)
  bytes.writeUInt32BE(length, 0)
  bytes[LENGTH_BYTES] = KINDS.indexOf(kind)
  let at = LENGTH_BYTES + 1
  for (const part of parts) {
    at = bytes.writeUInt32BE(part.length, at)
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Puts frames together from what arrives. Wipes what it was given. */
export class FrameReader {
  #pending = Buffer.alloc(0)

  /** The frames that are whole now. @throws RangeError for bytes that are no frame; nothing after them can be read. */
  read(chunk: Buffer): Frame[] {
    const bytes = Buffer.concat([this.#pending, chunk])
    this.#pending.fill(0)
    chunk.fill(0)
    const frames: Frame[] = []
    let at = 0
    for (let end = endOf(bytes, at); end !== undefined; end = endOf(bytes, at)) {
      frames.push(parsed(bytes.subarray(at + LENGTH_BYTES, end)))
      at = end
    }
    this.#pending = Buffer.from(bytes.subarray(at))
    bytes.fill(0)
    return frames
  }
}

/** Where the frame at `at` ends; undefined while it is not whole. */
function endOf(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < LENGTH_BYTES) return undefined
  const length = bytes.readUInt32BE(at)
  if (length > MAX_BYTES) throw malformed()
  const end = at + LENGTH_BYTES + length
  return end <= bytes.length ? end : undefined
}

function parsed(bytes: Buffer): Frame {
  const kind = KINDS[bytes[0] ?? KINDS.length]
  if (kind === undefined) throw malformed()
  const parts: Buffer[] = []
  let at = 1
  while (at < bytes.length) {
    const from = at + LENGTH_BYTES
    const to = from <= bytes.length ? from + bytes.readUInt32BE(at) : Number.POSITIVE_INFINITY
    if (to > bytes.length) throw malformed()
    const part = Buffer.allocUnsafeSlow(to - from)
    bytes.copy(part, 0, from, to)
    parts.push(part)
    at = to
  }
  return { kind, parts }
}

function malformed(): RangeError {
  return new RangeError('the device process said what is no frame')
}
