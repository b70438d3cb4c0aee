/**
 * Owns identifiers: UUIDv7 in storage (RFC 9562 section 5.7), `prefix_` plus 22 base62 digits outside. Refuses any text
 * that is not the one canonical spelling of an id, so that an id compares equal exactly when its text does.
 */
import { randomFillSync } from 'node:crypto'

/** What an id in text begins with: it says of what kind its bearer is. */
export type IdPrefix =
  | 'org'
  | 'proj'
  | 'key'
  | 'int'
  | 'conn'
  | 'cs'
  | 'user'
  | 'req'
  | 'evt'
  | 'dk'
  | 'pkey'
  | 'mroute'
  | 'whk'
  | 'rev'
  | 'bulk'
  | 'esrc'
  | 'inv'
  | 'use'
  | 'bud'

/** A UUID as stored: 36 lower-case characters. Branded so that one kind never stands where another is expected. */
export type Uuid<Kind extends string = string> = string & { readonly __kind: Kind }

/** Of an organization. */
export type OrgId = Uuid<'org'>
/** Of a project. */
export type ProjectId = Uuid<'proj'>
/** Of a gateway key. */
export type KeyId = Uuid<'key'>
/** Of an integration: a provider with the client that an organization registered there. */
export type IntegrationId = Uuid<'int'>
/** Of a connection: one account, connected. */
export type ConnectionId = Uuid<'conn'>
/** Of a connect session: one link, from its making to its end. */
export type ConnectSessionId = Uuid<'cs'>
/** Of a person of the console. */
export type UserId = Uuid<'user'>
/** Of a request, as answers, logs and problems name it. */
export type RequestId = Uuid<'req'>
/** Of an organization's data key. */
export type DataKeyId = Uuid<'dk'>
/** Of a revocation that is owed to a provider. */
export type RevocationId = Uuid<'rev'>
/** Of a revocation of many connections at once. */
export type BulkRevocationId = Uuid<'bulk'>
/** Of where a provider sends its security events from. */
export type EventSourceId = Uuid<'esrc'>
/** Of an invitation into an organization. */
export type InvitationId = Uuid<'inv'>
/** Of a key of a model provider's that an organization keeps here. */
export type ProviderKeyId = Uuid<'pkey'>
/** Of a named route of model calls. */
export type ModelRouteId = Uuid<'mroute'>

/** Of the record of what one model call used. */
export type UsageId = Uuid<'use'>
/** Of a budget. */
export type BudgetId = Uuid<'bud'>

/** Which of the two halves of a project: what belongs to one never meets the other. */
export type Environment = 'live' | 'test'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_DIGITS = 22
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const LAST_MOMENT = 2 ** 48 - 1

/**
 * A fresh UUIDv7: 48 bits of milliseconds, 74 random bits. Made here because the lowest supported Postgres has none. Random bytes are drawn from the
 * system by the block: asking for ten costs as much as asking for a thousand. No id is a secret.
 * @throws RangeError for a moment that 48 bits can't hold.
 */
export function newId<Kind extends IdPrefix>(_kind: Kind, now: number = Date.now()): Uuid<Kind> {
  if (!(now >= 0 && now <= LAST_MOMENT)) throw new RangeError('an id needs milliseconds since 1970 in 48 bits')
  const moment = Math.floor(now)
  const high = Math.floor(moment / 0x10000)
  putLimb(0, high >>> 16)
  putLimb(1, high & 0xffff)
  putLimb(2, moment % 0x10000)
  putLimb(3, 0x7000 | (randomLimb() & 0x0fff))
  putLimb(4, 0x8000 | (randomLimb() & 0x3fff))
  for (let i = 5; i < LIMBS; i++) putLimb(i, randomLimb())
  return spelled.toString('latin1') as Uuid<Kind>
}

function randomLimb(): number {
  if (drawn === random.length) {
    randomFillSync(random)
    drawn = 0
  }
  return random[drawn++]!
}

/** True for a stored spelling (lower-case, hyphenated). */
export function isUuid(text: unknown): text is Uuid {
  return typeof text === 'string' && UUID.test(text)
}

/** `conn` + uuid -> `conn_` + 22 base62 digits. @throws TypeError when `uuid` isn't one (a programming error). */
export function formatId<Kind extends IdPrefix>(prefix: Kind, uuid: Uuid<Kind>): string {
  if (!isUuid(uuid)) throw new TypeError('formatId needs a UUID')
  return `${prefix}_${digitsOf(uuid)}`
}

/** The stored id behind the outside spelling, or undefined for anything but the canonical text of this prefix. */
export function parseId<Kind extends IdPrefix>(prefix: Kind, text: string): Uuid<Kind> | undefined {
  if (text.length !== prefix.length + 1 + ID_DIGITS || !text.startsWith(`${prefix}_`)) return undefined
  return uuidOf(text, prefix.length + 1) as Uuid<Kind> | undefined
}

/*
 * Ids are spelled and read several times a call, so their 128 bits are worked on as eight limbs of 16 bits, in memory that stays: big
 * integers cost four times as much and leave garbage. A step takes four digits: 62^4 times 2^16 is below 2^40, exact in a double.
 */
const LIMBS = 8
const STEP = 62 ** 4
const PAIR = 62 ** 2
/** Where each limb's four hexadecimal digits begin in a UUID's text. */
const LIMB_AT = [0, 4, 9, 14, 19, 24, 28, 32] as const
const UUID_LENGTH = 36
const NO_DIGIT = 255
const HEX_CODES = Buffer.from('0123456789abcdef', 'latin1')
const HEX_VALUES = valuesOf('0123456789abcdef')
const DIGIT_VALUES = valuesOf(DIGITS)
/** Both characters of every number below 62 * 62. */
const PAIR_CODES = Uint8Array.from({ length: 2 * PAIR }, (_, at) =>
  DIGITS.charCodeAt(at % 2 === 0 ? Math.floor(at / 2 / 62) : ((at - 1) / 2) % 62),
)
const limbs = new Float64Array(LIMBS)
const digits = Buffer.alloc(ID_DIGITS)
const spelled = Buffer.alloc(UUID_LENGTH, '-')
const random = new Uint16Array(1_000)
/** How many of them were given out. */
let drawn = random.length

/** The 22 digits of what `isUuid` took: divided by 62^4 five times, which leaves less than 62^2. */
function digitsOf(uuid: string): string {
  for (let i = 0; i < LIMBS; i++) {
    const at = LIMB_AT[i]!
    limbs[i] = (hexAt(uuid, at) << 12) | (hexAt(uuid, at + 1) << 8) | (hexAt(uuid, at + 2) << 4) | hexAt(uuid, at + 3)
  }
  for (let at = ID_DIGITS - 4; at > 0; at -= 4) {
    const rest = divideByStep()
    const high = Math.floor(rest / PAIR)
    putPair(high, at)
    putPair(rest - high * PAIR, at + 2)
  }
  putPair(limbs[LIMBS - 1]!, 0)
  return digits.toString('latin1')
}

/** Divides the limbs by 62^4 in place. Gives the remainder. */
function divideByStep(): number {
  let rest = 0
  for (let i = 0; i < LIMBS; i++) {
    const part = rest * 0x10000 + limbs[i]!
    const quotient = Math.floor(part / STEP)
    limbs[i] = quotient
    rest = part - quotient * STEP
  }
  return rest
}

/** The UUID behind the 22 characters from `from` on, or undefined when one is no digit or 128 bits don't hold them. */
function uuidOf(text: string, from: number): string | undefined {
  limbs.fill(0)
  for (let at = from; at < from + ID_DIGITS;) {
    // Two digits, then four at a time.
    const width = at === from ? 2 : 4
    let value = 0
    for (const end = at + width; at < end; at++) {
      const digit = DIGIT_VALUES[text.charCodeAt(at)] ?? NO_DIGIT
      if (digit === NO_DIGIT) return undefined
      value = value * 62 + digit
    }
    if (!multiplyByStep(value)) return undefined
  }
  for (let i = 0; i < LIMBS; i++) putLimb(i, limbs[i]!)
  return spelled.toString('latin1')
}

function putLimb(i: number, limb: number): void {
  const at = LIMB_AT[i]!
  spelled[at] = HEX_CODES[limb >> 12]!
  spelled[at + 1] = HEX_CODES[(limb >> 8) & 15]!
  spelled[at + 2] = HEX_CODES[(limb >> 4) & 15]!
  spelled[at + 3] = HEX_CODES[limb & 15]!
}

/** Multiplies the limbs by 62^4 in place and adds `value`. False when the result has more than 128 bits. */
function multiplyByStep(value: number): boolean {
  let carry = value
  for (let i = LIMBS - 1; i >= 0; i--) {
    const part = limbs[i]! * STEP + carry
    carry = Math.floor(part / 0x10000)
    limbs[i] = part - carry * 0x10000
  }
  return carry === 0
}

function putPair(value: number, at: number): void {
  digits[at] = PAIR_CODES[2 * value]!
  digits[at + 1] = PAIR_CODES[2 * value + 1]!
}

function hexAt(text: string, at: number): number {
  return HEX_VALUES[text.charCodeAt(at)]!
}

/** What each ASCII character is worth in an alphabet. */
function valuesOf(alphabet: string): Uint8Array {
  const values = new Uint8Array(128).fill(NO_DIGIT)
  for (let value = 0; value < alphabet.length; value++) values[alphabet.charCodeAt(value)] = value
  return values
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

/** The same of a whole number that a double holds exactly, in a fraction of the time. */
export function base62EncodeNumber(value: number, width: number): string {
  let rest = value
  let text = ''
  for (let i = 0; i < width; i++) {
    text = DIGITS[rest % 62]! + text
    rest = Math.floor(rest / 62)
  }
  if (rest !== 0) throw new RangeError('value does not fit the width')
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
