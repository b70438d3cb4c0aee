/**
 * Owns the stored form of everything sealed, and the one way in and out of it. Refuses to guess: the envelope names its
 * format and its key, the caller names its place, and nothing is tried in turn.
 *
 *   offset        bytes  field
 *   0             3      magic, ASCII "SPE"
 *   3             1      version, 0x01
 *   4             1      k, length of the key id, 1 to 64
 *   5             k      key id, ASCII [0-9A-Za-z][0-9A-Za-z._-]*
 *   5+k           24     salt
 *   29+k          12     nonce
 *   41+k          n      ciphertext, as long as the plaintext, 0 or more
 *   41+k+n        16     tag
 *
 * Key: HKDF-SHA256 (RFC 5869) with the named key as input, the salt, and the purpose as info, 32 bytes.
 * Cipher: AES-256-GCM (NIST SP 800-38D), 96-bit nonce, 128-bit tag.
 * Associated data: frame(["sallyport/1", purpose, org, table, column, record, seq in decimal, key id]), where a frame is each
 * part's byte length (32 bits, big-endian) and its UTF-8.
 *
 * The form has no optional part and no padding, so every accepted byte string is the only spelling of what it says.
 */
import { isUtf8 } from 'node:buffer'
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { Secret } from '../kernel/index.ts'
import { frame } from './digest.ts'
import { CryptoError } from './errors.ts'
import { isKeyId, KEY_BYTES } from './sealing-key.ts'
import type { SealingKey } from './sealing-key.ts'

const MAGIC = Buffer.from('SPE', 'latin1')
const VERSION = 1
const KEY_ID_AT = 5
export const SALT_BYTES = 24
export const NONCE_BYTES = 12
export const TAG_BYTES = 16
const GCM_OPTIONS = { authTagLength: TAG_BYTES } as const
const LAST_SEQ = (1n << 64n) - 1n

/** The key with an id, or undefined: the envelope names it, and no other is asked for. */
export type FindKey = (id: string) => SealingKey | undefined

/**
 * Where a sealed value lives. All of it is bound to the ciphertext: moved to another organization, table, column, record or
 * sequence number, or used for another purpose, it doesn't open. Nothing of it is stored in the envelope.
 */
export interface SealPlace {
  /** What the value is for. Also separates the derived keys. Not empty. */
  readonly purpose: string
  /** The organization's id; '' outside a tenant. */
  readonly org: string
  readonly table: string
  readonly column: string
  /** The record's id. Not empty. */
  readonly record: string
  /** The record's version, 0 to 2^64 - 1; 0n where a record has none. */
  readonly seq: bigint
}

/** An envelope taken apart. The parts are views of the bytes it was parsed from. */
export interface EnvelopeParts {
  readonly keyId: string
  readonly salt: Uint8Array
  readonly nonce: Uint8Array
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

/** The two values that must never repeat under one key. Only `seal` draws them. */
export interface EnvelopeRandomness {
  readonly salt: Uint8Array
  readonly nonce: Uint8Array
}

/**
 * Seals a secret (as UTF-8) or bytes to a place. Draws a fresh salt and nonce each time: sealing twice gives two envelopes.
 * @throws TypeError for a place with an empty part, a sequence out of range, or text that is not well-formed Unicode.
 */
export function seal(key: SealingKey, place: SealPlace, plaintext: Secret | Uint8Array): Buffer {
  // Drawn at once: asking the system's generator costs more than what it gives.
  const random = randomBytes(SALT_BYTES + NONCE_BYTES)
  return sealWith({ salt: random.subarray(0, SALT_BYTES), nonce: random.subarray(SALT_BYTES) }, key, place, plaintext)
}

/**
 * The sealed text. `keys` is asked once, for the id that the envelope names.
 * @throws CryptoError `envelope_malformed`, `envelope_version_unknown`, `key_unknown`, or `decrypt_failed` (also when what
 * was sealed is not UTF-8: such values are read with `openBytes`).
 */
export function open(keys: FindKey, place: SealPlace, envelope: Uint8Array): Secret {
  const parts = parseEnvelope(envelope)
  return asText(openParts(parts, place, derive(known(keys, parts).key, place.purpose, parts.salt)))
}

/**
 * As `open`, for an envelope that is held in memory and opened call after call, and undefined where `keys` has none of that id. The
 * envelope's own key stays in memory as long as both `envelope`, this very object, and the key it was derived from do; the plaintext doesn't.
 */
export function openHeld(keys: FindKey, place: SealPlace, envelope: Uint8Array): Secret | undefined {
  const parts = parseEnvelope(envelope)
  const key = keys(parts.keyId)
  if (key === undefined) return undefined
  const held = heldRecord(key.key, place.purpose, parts.salt, envelope)
  return asText(openFramed(parts, heldFrame(held, place, parts.keyId), held.key))
}

/** The sealed bytes, in memory of their own; wiping them is the caller's. Throws as `open` does. */
export function openBytes(keys: FindKey, place: SealPlace, envelope: Uint8Array): Buffer {
  const parts = parseEnvelope(envelope)
  return openParts(parts, place, derive(known(keys, parts).key, place.purpose, parts.salt))
}

function known(keys: FindKey, { keyId }: EnvelopeParts): SealingKey {
  const key = keys(keyId)
  if (key === undefined) throw new CryptoError('key_unknown', `no key with id ${keyId}`)
  return key
}

/** Wipes the bytes. */
function asText(bytes: Buffer): Secret {
  try {
    if (!isUtf8(bytes)) throw decryptFailed()
    return new Secret(bytes.toString('utf8'))
  } finally {
    bytes.fill(0)
  }
}

function openParts(parts: EnvelopeParts, place: SealPlace, recordKey: KeyObject): Buffer {
  return openFramed(parts, placeFrame(place, parts.keyId), recordKey)
}

function openFramed(parts: EnvelopeParts, boundTo: Uint8Array, recordKey: KeyObject): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', recordKey, parts.nonce, GCM_OPTIONS)
  decipher.setAAD(boundTo)
  decipher.setAuthTag(parts.tag)
  const plaintext = decipher.update(parts.ciphertext)
  try {
    decipher.final()
  } catch {
    // GCM has already produced bytes nobody vouches for. The cipher's own error is dropped: it tells nothing that may be told.
    plaintext.fill(0)
    throw decryptFailed()
  }
  return plaintext
}

/**
 * What `envelope` holds, sealed anew under `key` at the same place. The bytes in between are wiped.
 * @throws CryptoError as `open` does, for text and bytes alike.
 */
export function reseal(keys: FindKey, place: SealPlace, envelope: Uint8Array, key: SealingKey): Buffer {
  const bytes = openBytes(keys, place, envelope)
  try {
    return seal(key, place, bytes)
  } finally {
    bytes.fill(0)
  }
}

/**
 * The id of the key that seals `envelope`, read without opening it, so not authenticated: for counting and choosing keys.
 * @throws CryptoError `envelope_malformed` or `envelope_version_unknown`.
 */
export function envelopeKeyId(envelope: Uint8Array): string {
  return parseEnvelope(envelope).keyId
}

/** Takes an envelope apart. @throws CryptoError `envelope_malformed` or `envelope_version_unknown`. */
export function parseEnvelope(envelope: Uint8Array): EnvelopeParts {
  const bytes = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.byteLength)
  if (bytes.length < KEY_ID_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw malformed()
  if (bytes[3] !== VERSION) throw new CryptoError('envelope_version_unknown', `envelope format version ${bytes[3]} is not known`)
  const saltAt = KEY_ID_AT + bytes[4]!
  const nonceAt = saltAt + SALT_BYTES
  const ciphertextAt = nonceAt + NONCE_BYTES
  const tagAt = bytes.length - TAG_BYTES
  if (tagAt < ciphertextAt) throw malformed()
  const keyId = bytes.toString('latin1', KEY_ID_AT, saltAt)
  if (!isKeyId(keyId)) throw malformed()
  return {
    keyId,
    salt: bytes.subarray(saltAt, nonceAt),
    nonce: bytes.subarray(nonceAt, ciphertextAt),
    ciphertext: bytes.subarray(ciphertextAt, tagAt),
    tag: bytes.subarray(tagAt),
  }
}

/** Puts an envelope together: the inverse of `parseEnvelope`. @throws TypeError for parts of the wrong size. */
export function serialiseEnvelope(parts: EnvelopeParts): Buffer {
  if (!isKeyId(parts.keyId)) throw new TypeError('not a key id')
  if (parts.salt.length !== SALT_BYTES || parts.nonce.length !== NONCE_BYTES || parts.tag.length !== TAG_BYTES) {
    throw new TypeError('salt, nonce or tag has the wrong length')
  }
  const { keyId, salt, nonce, ciphertext, tag } = parts
  // Written into one piece: joining pieces costs as much again as the cipher's own work on a token.
  const saltAt = KEY_ID_AT + keyId.length
  const ciphertextAt = saltAt + SALT_BYTES + NONCE_BYTES
  const envelope = Buffer.allocUnsafe(ciphertextAt + ciphertext.length + TAG_BYTES)
  envelope.set(MAGIC, 0)
  envelope[3] = VERSION
  envelope[4] = keyId.length
  envelope.write(keyId, KEY_ID_AT, 'latin1')
  envelope.set(salt, saltAt)
  envelope.set(nonce, saltAt + SALT_BYTES)
  envelope.set(ciphertext, ciphertextAt)
  envelope.set(tag, ciphertextAt + ciphertext.length)
  return envelope
}

/**
 * `seal` with given randomness, for the published vectors alone. Not exported from the folder: a caller who chose a nonce
 * twice would give away both plaintexts and the authentication key.
 */
export function sealWith(random: EnvelopeRandomness, key: SealingKey, place: SealPlace, plaintext: Secret | Uint8Array): Buffer {
  const bytes = plaintext instanceof Secret ? utf8(plaintext) : plaintext
  const cipher = createCipheriv('aes-256-gcm', derive(key.key, place.purpose, random.salt), random.nonce, GCM_OPTIONS)
  cipher.setAAD(placeFrame(place, key.id))
  const ciphertext = cipher.update(bytes)
  // Counter mode keeps nothing back: what ends it gives the tag and no byte.
  cipher.final()
  // A copy made here is wiped here; bytes that were handed in stay the caller's.
  if (plaintext instanceof Secret) bytes.fill(0)
  return serialiseEnvelope({ keyId: key.id, salt: random.salt, nonce: random.nonce, ciphertext, tag: cipher.getAuthTag() })
}

interface HeldRecord {
  readonly purpose: string
  readonly salt: Buffer
  readonly key: KeyObject
  /** The place that it was opened at last, as the bytes that it is bound to. */
  framed: { readonly place: SealPlace; readonly keyId: string; readonly frame: Buffer } | undefined
}

/** The keys behind `openHeld`. An entry goes with the key it was derived from, and with the envelope's own bytes. */
const heldRecords = new WeakMap<KeyObject, WeakMap<Uint8Array, HeldRecord>>()

/**
 * `derive`, once for as long as the caller holds the same object: deriving is more than half of opening. The object names the entry and
 * proves nothing, so all that the key is derived from is compared each time.
 */
function heldRecord(key: KeyObject, purpose: string, salt: Uint8Array, envelope: Uint8Array): HeldRecord {
  let ofKey = heldRecords.get(key)
  const held = ofKey?.get(envelope)
  if (held !== undefined && held.purpose === purpose && held.salt.equals(salt)) return held
  if (ofKey === undefined) heldRecords.set(key, (ofKey = new WeakMap()))
  const derived = { purpose, salt: Buffer.from(salt), key: derive(key, purpose, salt), framed: undefined }
  ofKey.set(envelope, derived)
  return derived
}

/** `placeFrame`, spelled once for as long as it is the same place, which is compared whole each time. */
function heldFrame(held: HeldRecord, place: SealPlace, keyId: string): Buffer {
  const { framed } = held
  if (framed !== undefined && framed.keyId === keyId && isSamePlace(framed.place, place)) return framed.frame
  const frame = placeFrame(place, keyId)
  held.framed = { place: { ...place }, keyId, frame }
  return frame
}

function isSamePlace(one: SealPlace, other: SealPlace): boolean {
  return (
    one.record === other.record &&
    one.seq === other.seq &&
    one.org === other.org &&
    one.purpose === other.purpose &&
    one.table === other.table &&
    one.column === other.column
  )
}

/** One key per envelope. Taking a KeyObject keeps the long-lived bytes out of the heap, and is the faster form here. */
function derive(key: KeyObject, purpose: string, salt: Uint8Array): KeyObject {
  const bytes = Buffer.from(hkdfSync('sha256', key, salt, purpose, KEY_BYTES))
  try {
    return createSecretKey(bytes)
  } finally {
    bytes.fill(0)
  }
}

/** The place and the key's name as the bytes that everything sealed is bound to. @throws TypeError as `seal` does. */
export function placeFrame(place: SealPlace, keyId: string): Buffer {
  const { purpose, org, table, column, record, seq } = place
  if (purpose === '' || table === '' || column === '' || record === '')
    throw new TypeError('a place needs purpose, table, column and record')
  if (seq < 0n || seq > LAST_SEQ) throw new TypeError('seq must fit 64 bits')
  return frame(['sallyport/1', purpose, org, table, column, record, seq.toString(), keyId])
}

function utf8(secret: Secret): Buffer {
  const text = secret.reveal()
  if (!text.isWellFormed()) throw new TypeError('a sealed text must be well-formed Unicode')
  return Buffer.from(text, 'utf8')
}

function malformed(): CryptoError {
  return new CryptoError('envelope_malformed', 'not an envelope')
}

function decryptFailed(): CryptoError {
  return new CryptoError('decrypt_failed', 'the envelope does not open here')
}
