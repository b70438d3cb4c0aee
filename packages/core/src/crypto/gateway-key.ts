/**
 * Owns the text of gateway keys. Refuses everything but the one spelling, before any I/O and in time linear in 81 characters.
 *
 *   sp_live_<22 digits>_<43 digits>_<6 digits>
 *      |     |            |            CRC-32 (ISO-HDLC) of all that stands before its underscore
 *      |     |            256 random bits
 *      |     the key's id, the digits of `key_...`
 *      live or test
 *
 * Digits are base62. The checksum keeps typing errors and random text away from the database and lets a secret scanner be
 * sure; it protects nothing, because anyone can compute it.
 */
import { crc32 } from 'node:zlib'
import { base62EncodeNumber, formatId, parseId, Secret } from '../kernel/index.ts'
import type { Environment, KeyId } from '../kernel/index.ts'
import { randomBase62 } from './random.ts'

const SECRET_DIGITS = 43
const CHECKSUM_DIGITS = 6
const LENGTH = 81
const SHAPE = /^sp_(live|test)_([0-9A-Za-z]{22})_([0-9A-Za-z]{43})_[0-9A-Za-z]{6}$/

/** The published rule for secret scanners: a gateway key anywhere in a text. Confirm a hit with `parseGatewayKey`. */
export const GATEWAY_KEY_PATTERN = /\bsp_(?:live|test)_[0-9A-Za-z]{22}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\b/

/** A gateway key that was read and whose checksum holds. Whether there is such a key is not known yet. */
export interface GatewayKeyParts {
  readonly environment: Environment
  readonly keyId: KeyId
  /** The 43 digits alone: what is hashed and compared. */
  readonly secret: Secret
}

/** A new key text for `keyId`, and its secret part, whose hashes are what is stored. The text is shown once and kept nowhere. */
export function mintGatewayKey(environment: Environment, keyId: KeyId): { readonly text: Secret; readonly secret: Secret } {
  const secret = randomBase62(SECRET_DIGITS)
  const body = `sp_${environment}_${formatId('key', keyId).slice('key_'.length)}_${secret}`
  return { text: new Secret(`${body}_${checksum(body)}`), secret: new Secret(secret) }
}

/** The parts of a well-formed key, or undefined. Says nothing about whether the key exists. Does no I/O. */
export function parseGatewayKey(text: string): GatewayKeyParts | undefined {
  if (text.length !== LENGTH) return undefined
  const [, environment, id, secret] = SHAPE.exec(text) ?? []
  if (environment === undefined || id === undefined || secret === undefined) return undefined
  const bodyEnd = LENGTH - CHECKSUM_DIGITS - 1
  if (text.slice(bodyEnd + 1) !== checksum(text.slice(0, bodyEnd))) return undefined
  const keyId = parseId('key', `key_${id}`)
  return keyId === undefined ? undefined : { environment: environment as Environment, keyId, secret: new Secret(secret) }
}

function checksum(body: string): string {
  return base62EncodeNumber(crc32(body), CHECKSUM_DIGITS)
}
