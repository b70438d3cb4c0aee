/**
 * Owns the root keys whose bytes are in this process: their text, and the wrapping under them. Refuses passphrases, defaults, weak or
 * doubled keys, and an empty ring: there is no mode without encryption.
 */
import type { Secret } from '../kernel/index.ts'
import { openBytes, seal } from './envelope.ts'
import type { SealPlace } from './envelope.ts'
import { CryptoError } from './errors.ts'
import type { KeyWrapper, RootKeys } from './root-keys.ts'
import { isKeyId, sealingKey } from './sealing-key.ts'
import type { SealingKey } from './sealing-key.ts'
import { keyWeakness } from './weakness.ts'

const HEX_KEY = /^[0-9A-Fa-f]{64}$/
/** Ids are stored in the clear, so text that is more likely half of a key than a name is refused as one. */
const KEY_LIKE = /^[0-9A-Fa-f]{32,}$/

/** A root key whose bytes are here: what it wraps is an envelope. */
export interface RootKey extends SealingKey, KeyWrapper {}

/** Root keys from configuration: wraps under the first, opens by the id that the ciphertext names, and tries nothing in turn. */
export class RootKeyring implements RootKeys {
  /** The key that new data keys are wrapped under: the first of the text. */
  readonly primary: RootKey
  readonly #keys: ReadonlyMap<string, RootKey>

  private constructor(keys: readonly [RootKey, ...RootKey[]]) {
    this.primary = keys[0]
    this.#keys = new Map(keys.map((key) => [key.id, key]))
  }

  /**
   * Reads `id:64-hex[,id:64-hex...]`; the first is primary. White space around the whole text is ignored (a file's last
   * newline), none is allowed inside. Upper and lower case hex are the same key.
   * @throws CryptoError `key_invalid` with every fault found. Faults name positions, never what stood there: an operator who
   * swapped id and key would otherwise find the key in a log.
   */
  static parse(text: Secret): RootKeyring {
    const entries = text.reveal().trim().split(',').map(readEntry)
    const faults = [...entries.flatMap((entry) => entry.faults), ...doubled(entries)]
    const [first, ...rest] = entries
    if (faults.length > 0 || first === undefined) {
      throw new CryptoError('key_invalid', `root keys refused: ${faults.join('; ')}`, faults)
    }
    return new RootKeyring([asKey(first), ...rest.map(asKey)])
  }

  /** Every id, primary first. */
  get ids(): readonly string[] {
    return [...this.#keys.keys()]
  }

  /** The key with this id. A lambda over it is what `open` takes: `(id) => ring.get(id)`. */
  get(id: string): RootKey | undefined {
    return this.#keys.get(id)
  }
}

interface Entry {
  readonly position: number
  readonly id: string
  /** Lower-case hex, or undefined where it was none. */
  readonly hex: string | undefined
  readonly faults: readonly string[]
}

function readEntry(text: string, index: number): Entry {
  const position = index + 1
  const colon = text.indexOf(':')
  const id = colon < 0 ? '' : text.slice(0, colon)
  const value = text.slice(colon + 1)
  const found = text === '' ? ['is empty'] : [...idFaults(id, colon), ...valueFaults(value)]
  const faults = found.map((fault) => `key ${position} ${fault}`)
  return { position, id, hex: HEX_KEY.test(value) ? value.toLowerCase() : undefined, faults }
}

function idFaults(id: string, colon: number): readonly string[] {
  if (colon < 0) return ['has no id (write id:64-hex)']
  if (!isKeyId(id)) return ['has an id that is not 1 to 64 letters, digits, ".", "_" or "-"']
  return KEY_LIKE.test(id) ? ['has an id that looks like key material'] : []
}

function valueFaults(value: string): readonly string[] {
  if (/^[0-9A-Fa-f]*$/.test(value) && !HEX_KEY.test(value)) return ['is not 32 bytes (64 hex digits)']
  if (!HEX_KEY.test(value)) return ['is not 64 hex digits; a passphrase is not a key: generate one']
  const weakness = keyWeakness(Buffer.from(value, 'hex'))
  return weakness === undefined ? [] : [weakness]
}

function doubled(entries: readonly Entry[]): readonly string[] {
  return entries.flatMap((entry, index) => {
    const earlier = entries.slice(0, index)
    const sameId = earlier.find((other) => entry.id !== '' && other.id === entry.id)
    const sameKey = earlier.find((other) => entry.hex !== undefined && other.hex === entry.hex)
    return [
      ...(sameId === undefined ? [] : [`key ${entry.position} has the id of key ${sameId.position}`]),
      ...(sameKey === undefined ? [] : [`key ${entry.position} has the bytes of key ${sameKey.position}`]),
    ]
  })
}

function asKey(entry: Entry): RootKey {
  const bytes = Buffer.from(entry.hex ?? '', 'hex')
  try {
    return rootKey(sealingKey(entry.id, bytes))
  } finally {
    bytes.fill(0)
  }
}

function rootKey(key: SealingKey): RootKey {
  return Object.freeze({
    ...key,
    wrap: async (bytes: Uint8Array, place: SealPlace) => seal(key, place, bytes),
    unwrap: async (wrapped: Uint8Array, place: SealPlace) => openBytes((id) => (id === key.id ? key : undefined), place, wrapped),
  })
}
