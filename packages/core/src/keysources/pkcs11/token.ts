/**
 * Owns one token of a PKCS#11 module: finding it, logging in once, its AES keys, and AES-256-GCM with them (PKCS#11 v2.40, Current Mechanisms,
 * section 2.12.3). Refuses a key that the token would give out, and a PIN that might be its last.
 */
import { CryptoError, digestEquals, KeySourceError, randomBytes } from '../../crypto/index.ts'
import {
  AES,
  AES_GCM,
  ATTRIBUTE,
  MECHANISM_DECRYPT,
  MECHANISM_ENCRYPT,
  OS_LOCKING_OK,
  SECRET_KEY,
  SERIAL_SESSION,
  TOKEN_PIN_FINAL_TRY,
  TOKEN_PIN_LOCKED,
  TOKEN_PIN_TO_BE_CHANGED,
  USER,
} from './constants.ts'
import { wordOf } from './module.ts'
import type { Answer, FunctionName, Memory, Pkcs11Module, Room } from './module.ts'

/** The PIN was refused, or would have been risked. To be tried again by nobody: the next attempt might lock the token. */
export class PinRefused extends KeySourceError {}

export interface TokenName {
  readonly by: 'label' | 'serial'
  readonly value: string
}

/** What `encrypt` gives is `FORM | nonce | ciphertext | tag`. */
const FORM = 0x01
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32
const MOST_SLOTS = 256

/** CK_TOKEN_INFO: label and serial number are padded with blanks. */
const TOKEN_INFO = { size: 208, label: [0, 32], serial: [80, 96], flagsWord: 12 } as const

const PIN_FAULTS: ReadonlySet<Answer> = new Set(['PIN_INCORRECT', 'PIN_INVALID', 'PIN_LEN_RANGE', 'PIN_EXPIRED', 'PIN_LOCKED'])
/** About the key or the mechanism: asking again gives the same. */
const NEVERS: ReadonlySet<Answer> = new Set([
  'ARGUMENTS_BAD',
  'ATTRIBUTE_SENSITIVE',
  'ATTRIBUTE_TYPE_INVALID',
  'CANT_LOCK',
  'FUNCTION_NOT_SUPPORTED',
  'KEY_SIZE_RANGE',
  'KEY_TYPE_INCONSISTENT',
  'KEY_FUNCTION_NOT_PERMITTED',
  'MECHANISM_INVALID',
  'MECHANISM_PARAM_INVALID',
  'USER_PIN_NOT_INITIALIZED',
])
const NO_CIPHERTEXT: ReadonlySet<Answer> = new Set(['ENCRYPTED_DATA_INVALID', 'ENCRYPTED_DATA_LEN_RANGE', 'AEAD_DECRYPT_FAILED'])
/** What some modules say of a wrong tag, and of a fault of their own. */
const AMBIGUOUS: ReadonlySet<Answer> = new Set(['GENERAL_ERROR', 'FUNCTION_FAILED'])
/** A slot that is empty, or holds what is no token. */
const NO_TOKEN: ReadonlySet<Answer> = new Set(['TOKEN_NOT_PRESENT', 'TOKEN_NOT_RECOGNIZED', 'DEVICE_REMOVED'])

interface Slot {
  readonly id: bigint
  readonly flags: bigint
}

export class Token {
  readonly #module: Pkcs11Module
  readonly #session: bigint
  readonly #keys = new Map<string, bigint>()

  private constructor(module: Pkcs11Module, session: bigint) {
    this.#module = module
    this.#session = session
  }

  /**
   * Initializes the module, opens a session and logs in, with one attempt. Wiping the PIN is the caller's.
   * @throws KeySourceError `key_source_unavailable` when the token isn't there; PinRefused; `key_source_refused` when it can't serve.
   */
  static async open(module: Pkcs11Module, name: TokenName, pin: Buffer): Promise<Token> {
    await initialize(module)
    const slot = await findSlot(module, name)
    await requireMechanism(module, slot)
    refuseRisk(slot)
    const session = await module.within(async (memory) => {
      const handle = memory.words(0)
      done('C_OpenSession', await module.call('C_OpenSession', slot.id, SERIAL_SESSION, 0, 0, handle.at))
      return wordOf(handle)
    })
    await logIn(module, session, pin)
    return new Token(module, session)
  }

  /** `key` is a label, or `id:` and the key's id in hex. The plaintext is left as it is. */
  async encrypt(key: string, place: Uint8Array, plaintext: Uint8Array): Promise<Buffer> {
    return this.#encrypt(await this.#key(key), place, plaintext)
  }

  /** The plaintext, in memory of its own. @throws CryptoError `decrypt_failed` */
  async decrypt(key: string, place: Uint8Array, ciphertext: Uint8Array): Promise<Buffer> {
    if (ciphertext[0] !== FORM || ciphertext.length <= 1 + NONCE_BYTES + TAG_BYTES) throw decryptFailed()
    const handle = await this.#key(key)
    try {
      return await this.#decrypt(handle, place, ciphertext)
    } catch (error) {
      if (!(error instanceof Ambiguous)) throw error
      return this.#decryptProven(handle, place, ciphertext)
    }
  }

  async close(): Promise<void> {
    done('C_Finalize', await this.#module.call('C_Finalize', 0))
  }

  /** The same once more after the key has shown that it works: what fails now is the ciphertext's fault. */
  async #decryptProven(handle: bigint, place: Uint8Array, ciphertext: Uint8Array): Promise<Buffer> {
    const sample = randomBytes(KEY_BYTES)
    try {
      const opened = await this.#decrypt(handle, place, await this.#encrypt(handle, place, sample))
      if (!digestEquals(opened, sample))
        throw new KeySourceError('key_source_refused', 'the PKCS#11 device does not open what it encrypted')
    } catch (error) {
      if (error instanceof Ambiguous) throw unavailable('C_Decrypt', error.answer)
      throw error
    }
    try {
      return await this.#decrypt(handle, place, ciphertext)
    } catch (error) {
      if (error instanceof Ambiguous) throw decryptFailed()
      throw error
    }
  }

  #encrypt(key: bigint, place: Uint8Array, plaintext: Uint8Array): Promise<Buffer> {
    return this.#module.within(async (memory) => {
      const nonce = memory.put(randomBytes(NONCE_BYTES))
      done('C_EncryptInit', await this.#module.call('C_EncryptInit', this.#session, gcm(memory, nonce, place).at, key))
      const ciphertext = await this.#run('C_Encrypt', memory, plaintext)
      // A device that draws its own nonce has written it over ours by now.
      return Buffer.concat([Buffer.from([FORM]), nonce.bytes, ciphertext])
    })
  }

  #decrypt(key: bigint, place: Uint8Array, ciphertext: Uint8Array): Promise<Buffer> {
    return this.#module.within(async (memory) => {
      const nonce = memory.put(ciphertext.subarray(1, 1 + NONCE_BYTES))
      done('C_DecryptInit', await this.#module.call('C_DecryptInit', this.#session, gcm(memory, nonce, place).at, key))
      const plaintext = await this.#run('C_Decrypt', memory, ciphertext.subarray(1 + NONCE_BYTES))
      const own = Buffer.allocUnsafeSlow(plaintext.length)
      plaintext.copy(own)
      return own
    })
  }

  /** A view of what came out. */
  async #run(name: 'C_Encrypt' | 'C_Decrypt', memory: Memory, bytes: Uint8Array): Promise<Buffer> {
    const given = memory.put(bytes)
    const out = memory.room(bytes.length + 2 * TAG_BYTES)
    const length = memory.words(out.bytes.length)
    const answer = await this.#module.call(name, this.#session, given.at, given.bytes.length, out.at, length.at)
    if (name === 'C_Decrypt' && NO_CIPHERTEXT.has(answer)) throw decryptFailed()
    if (name === 'C_Decrypt' && AMBIGUOUS.has(answer)) throw new Ambiguous(answer)
    done(name, answer)
    return out.bytes.subarray(0, Number(wordOf(length)))
  }

  async #key(name: string): Promise<bigint> {
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    const handle = await this.#find(name)
    await this.#judge(handle, name)
    this.#keys.set(name, handle)
    return handle
  }

  #find(name: string): Promise<bigint> {
    const call = this.#module.call.bind(this.#module)
    return this.#module.within(async (memory) => {
      const named: readonly [number, Buffer] = name.startsWith('id:')
        ? [ATTRIBUTE.id, Buffer.from(name.slice(3), 'hex')]
        : [ATTRIBUTE.label, Buffer.from(name, 'utf8')]
      const template = attributes(memory, [[ATTRIBUTE.class, word(SECRET_KEY)], named])
      const found = memory.words(0, 0)
      const count = memory.words(0)
      done('C_FindObjectsInit', await call('C_FindObjectsInit', this.#session, template.at, 2))
      done('C_FindObjects', await call('C_FindObjects', this.#session, found.at, 2, count.at))
      done('C_FindObjectsFinal', await call('C_FindObjectsFinal', this.#session))
      if (wordOf(count) === 0n) throw refused(`holds no secret key ${name}`)
      if (wordOf(count) > 1n) throw refused(`holds several secret keys ${name}`)
      return wordOf(found)
    })
  }

  /** An AES-256 key of this token that encrypts, decrypts and never leaves it. */
  #judge(handle: bigint, name: string): Promise<void> {
    return this.#module.within(async (memory) => {
      const kinds = { keyType: AES, valueLength: KEY_BYTES, token: 1, encrypt: 1, decrypt: 1, sensitive: 1, extractable: 0 } as const
      const wanted = Object.entries(kinds) as [keyof typeof kinds, number][]
      const rooms = wanted.map(([kind]) => memory.room(kind === 'keyType' || kind === 'valueLength' ? 8 : 1))
      const template = memory.words(...wanted.flatMap(([kind], index) => [ATTRIBUTE[kind], rooms[index]!.at, rooms[index]!.bytes.length]))
      const answer = await this.#module.call('C_GetAttributeValue', this.#session, handle, template.at, wanted.length)
      done('C_GetAttributeValue', answer)
      const wrong = wanted.filter(([, value], index) => number(rooms[index]!) !== value).map(([kind]) => kind)
      if (wrong.includes('extractable') || wrong.includes('sensitive')) {
        throw refused(`would give out the key ${name}: it must be sensitive and not extractable`)
      }
      if (wrong.length > 0) throw refused(`holds a key ${name} that is no AES-256 key of the token for encrypting and decrypting`)
    })
  }
}

/** Not thrown further than `decrypt`. */
class Ambiguous extends KeySourceError {
  readonly answer: Answer

  constructor(answer: Answer) {
    super('key_source_unavailable', `the PKCS#11 device failed (C_Decrypt: ${answer})`)
    this.answer = answer
  }
}

async function initialize(module: Pkcs11Module): Promise<void> {
  const args = (memory: Memory): Room => memory.words(0, 0, 0, 0, OS_LOCKING_OK, 0)
  await module.within(async (memory) => done('C_Initialize', await module.call('C_Initialize', args(memory).at)))
}

async function findSlot(module: Pkcs11Module, name: TokenName): Promise<Slot> {
  const matching: Slot[] = []
  for (const id of await slotIds(module)) {
    const flags = await module.within((memory) => tokenFlags(module, memory, id, name))
    if (flags !== undefined) matching.push({ id, flags })
  }
  const [slot, second] = matching
  if (slot === undefined) throw new KeySourceError('key_source_unavailable', `no token with the configured ${name.by} is there`)
  if (second !== undefined) throw new KeySourceError('key_source_refused', `several tokens with the configured ${name.by} are there`)
  return slot
}

/** The first call alone makes a module look for tokens that came meanwhile. */
function slotIds(module: Pkcs11Module): Promise<bigint[]> {
  return module.within(async (memory) => {
    const count = memory.words(0)
    done('C_GetSlotList', await module.call('C_GetSlotList', 1, 0, count.at))
    const ids = memory.room(MOST_SLOTS * 8)
    count.bytes.writeBigUInt64LE(BigInt(MOST_SLOTS))
    done('C_GetSlotList', await module.call('C_GetSlotList', 1, ids.at, count.at))
    return Array.from({ length: Number(wordOf(count)) }, (_, index) => wordOf(ids, index))
  })
}

/** Its flags, when it is the one. */
async function tokenFlags(module: Pkcs11Module, memory: Memory, slot: bigint, name: TokenName): Promise<bigint | undefined> {
  const info = memory.room(TOKEN_INFO.size)
  const answer = await module.call('C_GetTokenInfo', slot, info.at)
  if (NO_TOKEN.has(answer)) return undefined
  done('C_GetTokenInfo', answer)
  const text = info.bytes.toString('utf8', ...TOKEN_INFO[name.by]).replace(/[ \0]+$/u, '')
  return text === name.value ? wordOf(info, TOKEN_INFO.flagsWord) : undefined
}

async function requireMechanism(module: Pkcs11Module, slot: Slot): Promise<void> {
  await module.within(async (memory) => {
    const info = memory.words(0, 0, 0)
    const answer = await module.call('C_GetMechanismInfo', slot.id, AES_GCM, info.at)
    if (answer !== 'MECHANISM_INVALID') done('C_GetMechanismInfo', answer)
    const needed = BigInt(MECHANISM_ENCRYPT | MECHANISM_DECRYPT)
    if (answer !== 'OK' || (wordOf(info, 2) & needed) !== needed) throw refused('does not encrypt and decrypt with CKM_AES_GCM')
  })
}

/** One wrong PIN more would lock the token, and whether ours is right is not known. */
function refuseRisk({ flags }: Slot): void {
  const is = (flag: number): boolean => (flags & BigInt(flag)) !== 0n
  if (is(TOKEN_PIN_LOCKED)) throw new PinRefused('key_source_refused', 'the PIN of the token is locked')
  if (is(TOKEN_PIN_FINAL_TRY)) {
    throw new PinRefused(
      'key_source_refused',
      'the token has one try of its PIN left, which is not risked: log in to it by other means once',
    )
  }
  if (is(TOKEN_PIN_TO_BE_CHANGED)) throw new PinRefused('key_source_refused', 'the token wants its PIN changed first')
}

async function logIn(module: Pkcs11Module, session: bigint, pin: Buffer): Promise<void> {
  const answer = await module.within((memory) => module.call('C_Login', session, USER, memory.put(pin).at, pin.length))
  if (PIN_FAULTS.has(answer)) throw new PinRefused('key_source_refused', `the token refuses the PIN (${answer}); it is not tried again`)
  // Some devices share one login among all sessions of a host.
  if (answer !== 'USER_ALREADY_LOGGED_IN') done('C_Login', answer)
}

/** CK_MECHANISM with CK_GCM_PARAMS, as the headers of v2.40 and v3.0 have them: with ulIvBits. */
function gcm(memory: Memory, nonce: Room, place: Uint8Array): Room {
  const bound = memory.put(place)
  const params = memory.words(nonce.at, NONCE_BYTES, NONCE_BYTES * 8, bound.at, bound.bytes.length, TAG_BYTES * 8)
  return memory.words(AES_GCM, params.at, params.bytes.length)
}

/** CK_ATTRIBUTE, several. */
function attributes(memory: Memory, of: readonly (readonly [number, Buffer])[]): Room {
  const values = of.map(([, value]) => memory.put(value))
  return memory.words(...of.flatMap(([kind], index) => [kind, values[index]!.at, values[index]!.bytes.length]))
}

/** CK_ULONG. */
function word(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function number({ bytes }: Room): number {
  return bytes.length === 1 ? bytes[0]! : Number(bytes.readBigUInt64LE())
}

function done(name: FunctionName, answer: Answer): void {
  if (answer === 'OK') return
  if (NEVERS.has(answer)) throw refused(`refuses (${name}: ${answer})`)
  throw unavailable(name, answer)
}

function refused(what: string): KeySourceError {
  return new KeySourceError('key_source_refused', `the PKCS#11 device ${what}`)
}

function unavailable(name: FunctionName, answer: Answer): KeySourceError {
  return new KeySourceError('key_source_unavailable', `the PKCS#11 device failed (${name}: ${answer})`)
}

function decryptFailed(): CryptoError {
  return new CryptoError('decrypt_failed', 'the device opens no such ciphertext here')
}
