/**
 * Owns the calling of a PKCS#11 module: its function list, and memory that C can see, laid out as the 64-bit ABI of Linux does it (CK_ULONG and
 * pointers of 8 bytes, natural alignment, little-endian). Refuses Windows, whose structures are packed, and every other platform it doesn't know.
 *
 * Arguments go through as whole machine words and addresses, in memory that is ours: nothing makes copies of a PIN or a key that can't be wiped.
 * Calls run on a thread of their own, one at a time; while one hangs, the caller's event loop turns.
 */
import { endianness } from 'node:os'
import { promisify } from 'node:util'
import { KeySourceError } from '../../crypto/index.ts'
import { OK, RETURNS } from './constants.ts'
import type { ReturnName } from './constants.ts'

/** Each function with its place in CK_FUNCTION_LIST (v2.40 section 3.6; v3.0 keeps the places) and how many arguments it takes. */
const FUNCTIONS = {
  C_Initialize: [0, 1],
  C_Finalize: [1, 1],
  C_GetSlotList: [4, 3],
  C_GetTokenInfo: [6, 2],
  C_GetMechanismInfo: [8, 3],
  C_OpenSession: [12, 5],
  C_Login: [18, 4],
  C_GetAttributeValue: [24, 4],
  C_FindObjectsInit: [26, 3],
  C_FindObjects: [27, 4],
  C_FindObjectsFinal: [28, 1],
  C_EncryptInit: [29, 3],
  C_Encrypt: [30, 5],
  C_DecryptInit: [33, 3],
  C_Decrypt: [34, 5],
  C_GenerateKey: [58, 5],
} as const
const FUNCTION_COUNT = 68
/** CK_VERSION and its padding stand before the functions. */
const FUNCTIONS_AT = 8
const WORD = 8
/** More than the longest question and its answer. */
const MEMORY_BYTES = 262_144
/** Modules are written for the stack of an ordinary thread. */
const STACK_BYTES = 8 * 1024 * 1024

export type FunctionName = keyof typeof FUNCTIONS
export type Answer = 'OK' | ReturnName | `0x${string}`

type Koffi = (typeof import('koffi'))['default']
type Word = bigint | number
type Call = (...words: Word[]) => Promise<number | bigint>

/** A run of bytes that C can see. */
export interface Room {
  readonly at: bigint
  /** A view. */
  readonly bytes: Buffer
}

/** Memory for one question, handed out from the start and wiped as a whole. */
export class Memory {
  readonly #all: Room
  #used = 0

  constructor(all: Room) {
    this.#all = all
  }

  /** Zeroes, at an address that every C type may stand at. @throws RangeError */
  room(length: number): Room {
    const from = this.#used
    this.#used += Math.ceil(length / 16) * 16
    if (this.#used > this.#all.bytes.length) throw new RangeError('no more memory for this question')
    return { at: this.#all.at + BigInt(from), bytes: this.#all.bytes.subarray(from, from + length) }
  }

  put(bytes: Uint8Array): Room {
    const room = this.room(bytes.length)
    room.bytes.set(bytes)
    return room
  }

  /** CK_ULONG and addresses one after another, which is every structure that is needed here. */
  words(...words: readonly Word[]): Room {
    const room = this.room(words.length * WORD)
    words.forEach((word, index) => room.bytes.writeBigUInt64LE(BigInt(word), index * WORD))
    return room
  }

  wipe(): void {
    this.#all.bytes.subarray(0, this.#used).fill(0)
    this.#used = 0
  }
}

/** CK_ULONG number `index` of a structure. */
export function wordOf({ bytes }: Room, index = 0): bigint {
  return bytes.readBigUInt64LE(index * WORD)
}

export class Pkcs11Module {
  readonly #koffi: Koffi
  readonly #table: Buffer
  readonly #memory: Memory
  readonly #calls = new Map<FunctionName, Call>()

  private constructor(koffi: Koffi, table: Buffer, memory: Memory) {
    this.#koffi = koffi
    this.#table = table
    this.#memory = memory
  }

  /** Loads it; `C_Initialize` is the caller's. @throws KeySourceError `key_source_refused` with what to mend. */
  static async load(path: string): Promise<Pkcs11Module> {
    const koffi = await foreignFunctions()
    const memory = new Memory(allocated(koffi))
    const list = memory.words(0)
    const answer = Number(getFunctionList(koffi, path)(list.at))
    const table = wordOf(list)
    memory.wipe()
    if (answer !== OK || table === 0n) throw refused(`the PKCS#11 module gives no functions (${answerName(answer)})`)
    const functions = viewed(koffi, table, FUNCTIONS_AT + FUNCTION_COUNT * WORD)
    if (functions[0] !== 2 && functions[0] !== 3) throw refused(`the PKCS#11 module is of version ${functions[0]}; 2 and 3 are known`)
    return new Pkcs11Module(koffi, functions, memory)
  }

  /** What `use` gives. One at a time: the memory is wiped at the end, whatever happens. */
  async within<T>(use: (memory: Memory) => Promise<T>): Promise<T> {
    try {
      return await use(this.#memory)
    } finally {
      this.#memory.wipe()
    }
  }

  async call(name: FunctionName, ...words: readonly Word[]): Promise<Answer> {
    if (words.length !== FUNCTIONS[name][1]) throw new TypeError(`${name} takes ${FUNCTIONS[name][1]} arguments`)
    return answerName(Number(await this.#function(name)(...words)))
  }

  #function(name: FunctionName): Call {
    const known = this.#calls.get(name)
    if (known !== undefined) return known
    const [place, count] = FUNCTIONS[name]
    const address = this.#table.readBigUInt64LE(FUNCTIONS_AT + place * WORD)
    if (address === 0n) throw refused(`the PKCS#11 module has no ${name}`)
    const type = this.#koffi.proto(
      'unsigned long',
      Array.from({ length: count }, () => 'uintptr_t'),
    )
    const found = this.#koffi.decode(address, type) as { async: (...args: unknown[]) => void }
    const call = promisify(found.async) as unknown as Call
    this.#calls.set(name, call)
    return call
  }
}

async function foreignFunctions(): Promise<Koffi> {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch) || endianness() !== 'LE') {
    throw refused(`PKCS#11 modules can be called on Linux on x64 and arm64 only, and this is ${process.platform} on ${process.arch}`)
  }
  try {
    const { default: koffi } = await import('koffi')
    koffi.config({ ...koffi.config(), async_stack_size: STACK_BYTES, resident_async_pools: 1 })
    return koffi
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND' ? 'is not installed' : 'does not load here'
    throw refused(`PKCS#11 needs the package koffi, which ${why}: npm install koffi`)
  }
}

function getFunctionList(koffi: Koffi, path: string): (at: bigint) => number | bigint {
  try {
    const found = koffi.load(path).func('C_GetFunctionList', 'unsigned long', ['uintptr_t'])
    return (at) => found(at) as number | bigint
  } catch {
    // The loader's own words may name paths.
    throw refused('the file is no PKCS#11 module of this platform, or a library that it needs is missing')
  }
}

/** For the life of the process. */
function allocated(koffi: Koffi): Room {
  const at = koffi.alloc('uint8_t', MEMORY_BYTES) as bigint
  const bytes = viewed(koffi, at, MEMORY_BYTES)
  bytes.fill(0)
  return { at, bytes }
}

function viewed(koffi: Koffi, at: bigint, length: number): Buffer {
  return Buffer.from(koffi.view(at, length))
}

function answerName(answer: number): Answer {
  if (answer === OK) return 'OK'
  return (RETURNS as Readonly<Record<number, ReturnName | undefined>>)[answer] ?? `0x${answer.toString(16)}`
}

function refused(message: string): KeySourceError {
  return new KeySourceError('key_source_refused', message)
}
