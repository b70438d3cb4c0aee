/**
 * Owns identifiers: UUIDv7 in storage (RFC 9562 section 5.7), `prefix_` plus 22 base62 digits outside. Refuses any text
 * that is not the one canonical spelling of an id, so that an id compares equal exactly when its text does.
 */
import { randomBytes } from 'node:crypto'

export type IdPrefix = 'org' | 'proj' | 'key' | 'int' | 'conn' | 'cs' | 'user' | 'req' | 'evt' | 'dk' | 'pkey' | 'whk'

/** A UUID as stored: 36 lower-case characters. Branded so that one kind never stands where another is expected. */
export type Uuid<Kind extends string = string> = string & { readonly __kind: Kind }

export type OrgId = Uuid<'org'>
export type ProjectId = Uuid<'proj'>
export type KeyId = Uuid<'key'>
export type IntegrationId = Uuid<'int'>
export type ConnectionId = Uuid<'conn'>
export type ConnectSessionId = Uuid<'cs'>
export type UserId = Uuid<'user'>
export type RequestId = Uuid<'req'>
export type DataKeyId = Uuid<'dk'>

export type Environment = 'live' | 'test'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_DIGITS = 22
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const LARGEST = (1n << 128n) - 1n

/** A fresh UUIDv7: 48 bits of milliseconds, 74 random bits. Made here because the lowest supported Postgres has none. */
export function newId<Kind extends IdPrefix>(_kind: Kind, now: number = Date.now()): Uuid<Kind> {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = 0x70 | (bytes[6]! & 0x0f)
  bytes[8] = 0x80 | (bytes[8]! & 0x3f)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid<Kind>
}

/** True for a stored spelling (lower-case, hyphenated). */
export function isUuid(text: unknown): text is Uuid {
  return typeof text === 'string' && UUID.test(text)
}

/** `conn` + uuid -> `conn_` + 22 base62 digits. @throws TypeError when `uuid` isn't one (a programming error). */
export function formatId<Kind extends IdPrefix>(prefix: Kind, uuid: Uuid<Kind>): string {
  if (!isUuid(uuid)) throw new TypeError('formatId needs a UUID')
  return `${prefix}_${base62Encode(BigInt(`0x${uuid.replaceAll('-', '')}`), ID_DIGITS)}`
}

/** The stored id behind the outside spelling, or undefined for anything but the canonical text of this prefix. */
export function parseId<Kind extends IdPrefix>(prefix: Kind, text: string): Uuid<Kind> | undefined {
  if (text.length !== prefix.length + 1 + ID_DIGITS || !text.startsWith(`${prefix}_`)) return undefined
  const value = base62Decode(text.slice(prefix.length + 1))
  if (value === undefined || value > LARGEST) return undefined
  const hex = value.toString(16).padStart(32, '0')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid<Kind>
}

/** Fixed-width base62, most significant digit first. */
export function base62Encode(value: bigint, width: number): string {
  let rest = value
  let text = ''
  for (let i = 0; i < width; i++) {
    text = DIGITS[Number(rest % 62n)]! + text
    rest /= 62n
  }
  if (rest !== 0n) throw new RangeError('value does not fit the width')
  return text
}

/** The number behind base62 text, or undefined when a character is outside the alphabet. */
export function base62Decode(text: string): bigint | undefined {
  let value = 0n
  for (const character of text) {
    const digit = DIGITS.indexOf(character)
    if (digit < 0) return undefined
    value = value * 62n + BigInt(digit)
  }
  return value
}
