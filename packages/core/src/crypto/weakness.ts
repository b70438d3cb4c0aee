/** Owns the list of key bytes that are never a key. Refuses to judge entropy: it knows only what can't have been random. */

/** The key that documentation and examples show, in hex. Every place that takes keys refuses it. */
export const EXAMPLE_KEY_HEX = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'

/** Why these bytes can't be a key, as the end of a sentence, or undefined. Never quotes them. */
export function keyWeakness(bytes: Uint8Array): string | undefined {
  const [first] = bytes
  if (bytes.every((byte) => byte === 0)) return 'is all zero'
  if (bytes.every((byte) => byte === first)) return 'repeats one byte'
  if (Buffer.from(bytes).toString('hex') === EXAMPLE_KEY_HEX) return 'is the published example key'
  return undefined
}
