/**
 * Owns the root keys of one installation and the wrapping of data keys under them. Refuses passphrases, defaults, weak or
 * doubled keys, and an empty ring: there is no mode without encryption.
 */
import type { DataKeyId, OrgId, Secret } from '../kernel/index.ts'
import { openBytes, seal } from './envelope.ts'
import type { SealPlace } from './envelope.ts'
import { CryptoError } from './errors.ts'
import { isKeyId, sealingKey } from './sealing-key.ts'
import type { SealingKey } from './sealing-key.ts'
import { keyWeakness } from './weakness.ts'

const HEX_KEY = /^[0-9A-Fa-f]{64}$/
/** Ids are stored in the clear, so text that is more likely half of a key than a name is refused as one. */
const KEY_LIKE = /^[0-9A-Fa-f]{32,}$/

/** Which data key, of whom. Bound to the wrapped bytes: in another organization's row they don't unwrap. */
export interface DataKeyPlace {
  readonly org: OrgId
  readonly dataKeyId: DataKeyId
}

export class RootKeyring {
  /** The key that new data keys are wrapped under: the first of the text. */
  readonly primary: SealingKey
  readonly #keys: ReadonlyMap<string, SealingKey>

  private constructor(keys: readonly [SealingKey, ...SealingKey[]]) {
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
  get(id: string): SealingKey | undefined {
    return this.#keys.get(id)
  }

  /**
   * An envelope of a data key's 32 bytes under the primary key. The bytes are left as they are; wiping them is the caller's.
   * @throws CryptoError `key_invalid` for bytes that `unwrapDataKey` would refuse, before they can be stored.
   */
  wrapDataKey(bytes: Uint8Array, place: DataKeyPlace): Buffer {
    sealingKey(place.dataKeyId, bytes)
    return seal(this.primary, wrapPlace(place), bytes)
  }

  /**
   * The data key, named by its id. Also unwraps under a key that is no longer primary.
   * @throws CryptoError as `open` does, and `key_invalid` when what was wrapped is no key.
   */
  unwrapDataKey(envelope: Uint8Array, place: DataKeyPlace): SealingKey {
    const bytes = openBytes((id) => this.get(id), wrapPlace(place), envelope)
    try {
      return sealingKey(place.dataKeyId, bytes)
    } finally {
      bytes.fill(0)
    }
  }
}

interface Entry {
  readonly position: number
  readonly id: string
  /** Lower-case hex, or undefined where it was none. */
  readonly hex: string | undefined
  readonly faults: readonly string[]
}

function wrapPlace({ org, dataKeyId }: DataKeyPlace): SealPlace {
  return { purpose: 'data-key', org, table: 'data_key', column: 'wrapped', record: dataKeyId, seq: 0n }
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

function asKey(entry: Entry): SealingKey {
  const bytes = Buffer.from(entry.hex ?? '', 'hex')
  try {
    return sealingKey(entry.id, bytes)
  } finally {
    bytes.fill(0)
  }
}
