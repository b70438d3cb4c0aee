/** Owns the search for many needles in a large text at once: by a rolling checksum (Rabin and Karp), so that its length alone decides the time. */

/** Bytes of a needle that are looked for; shorter ones are refused. */
const WINDOW = 16
const BASE = 257
/** BASE to the power of WINDOW - 1, in 32 bits. */
const LEAVING = Array.from({ length: WINDOW - 1 }).reduce<number>((power) => Math.imul(power, BASE), 1)
const BITS = 20

/** Those needles whose first 16 bytes stand in the text. @throws RangeError for a needle of fewer. */
export function needlesIn(text: Uint8Array, needles: readonly string[]): string[] {
  const beginnings = new Map<number, { readonly needle: string; readonly bytes: Buffer }[]>()
  const maybe = new Uint8Array(1 << BITS)
  for (const needle of needles) {
    const bytes = Buffer.from(needle, 'utf8').subarray(0, WINDOW)
    if (bytes.length < WINDOW) throw new RangeError('a needle must have 16 bytes')
    const sum = bytes.reduce((before, byte) => Math.imul(before, BASE) + byte, 0) | 0
    beginnings.set(sum, [...(beginnings.get(sum) ?? []), { needle, bytes }])
    maybe[sum >>> (32 - BITS)] = 1
  }
  const found = new Set<string>()
  let sum = 0
  for (let at = 0; at < text.length; at++) {
    if (at >= WINDOW) sum = (sum - Math.imul(text[at - WINDOW]!, LEAVING)) | 0
    sum = (Math.imul(sum, BASE) + text[at]!) | 0
    if (at < WINDOW - 1 || maybe[sum >>> (32 - BITS)] === 0) continue
    const window = text.subarray(at - WINDOW + 1, at + 1)
    for (const { needle, bytes } of beginnings.get(sum) ?? []) if (bytes.equals(window)) found.add(needle)
  }
  return [...found]
}
