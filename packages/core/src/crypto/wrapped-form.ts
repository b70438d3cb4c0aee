/**
 * Owns the stored form of what a key service wrapped: its answer, behind the id of the root key that must be asked to unwrap it. Refuses to
 * look into that answer. What a root key of this process wraps is an envelope (envelope.ts); both forms name their key at the same place.
 *
 *   offset        bytes  field
 *   0             3      magic, ASCII "SPW"
 *   3             1      version, 0x01
 *   4             1      k, length of the key id, 1 to 64
 *   5             k      key id, ASCII [0-9A-Za-z][0-9A-Za-z._-]*
 *   5+k           n      the service's ciphertext, 1 or more
 */
import { envelopeKeyId } from './envelope.ts'
import { CryptoError } from './errors.ts'
import { isKeyId } from './sealing-key.ts'

const MAGIC = Buffer.from('SPW', 'latin1')
const VERSION = 1
const KEY_ID_AT = 5

/** What a key wrapped another, with the id of the one that did. */
export interface WrappedForm {
  readonly keyId: string
  /** A view of the bytes it was parsed from. */
  readonly ciphertext: Uint8Array
}

/** @throws TypeError for an id outside the grammar or an empty ciphertext. */
export function serialiseWrapped({ keyId, ciphertext }: WrappedForm): Buffer {
  if (!isKeyId(keyId)) throw new TypeError('not a key id')
  if (ciphertext.length === 0) throw new TypeError('an empty ciphertext')
  return Buffer.concat([MAGIC, Buffer.from([VERSION, keyId.length]), Buffer.from(keyId, 'latin1'), ciphertext])
}

/** The inverse of `serialiseWrapped`. @throws CryptoError `envelope_malformed` or `envelope_version_unknown`. */
export function parseWrapped(wrapped: Uint8Array): WrappedForm {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength)
  if (bytes.length < KEY_ID_AT || !isWrappedForm(bytes)) throw malformed()
  if (bytes[3] !== VERSION) throw new CryptoError('envelope_version_unknown', `wrapped form version ${bytes[3]} is not known`)
  const end = KEY_ID_AT + bytes[4]!
  const keyId = bytes.toString('latin1', KEY_ID_AT, end)
  if (bytes.length <= end || !isKeyId(keyId)) throw malformed()
  return { keyId, ciphertext: bytes.subarray(end) }
}

/**
 * The id of the root key that wrapped these bytes, whoever holds it; read without unwrapping, so not authenticated.
 * @throws CryptoError `envelope_malformed` or `envelope_version_unknown`.
 */
export function wrappingKeyId(wrapped: Uint8Array): string {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength)
  return isWrappedForm(bytes) ? parseWrapped(bytes).keyId : envelopeKeyId(bytes)
}

function isWrappedForm(bytes: Buffer): boolean {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC)
}

function malformed(): CryptoError {
  return new CryptoError('envelope_malformed', 'not a wrapped key')
}
