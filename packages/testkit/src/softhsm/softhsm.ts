/**
 * Owns SoftHSM2 as the real counterpart of everything PKCS#11: a token in a temporary folder, keys on it, and the ways such a device fails.
 * Refuses the machine's own tokens: its configuration names that folder and nothing else.
 */
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from '../servers/find-program.ts'
import { temporaryFolder } from '../servers/temporary-folder.ts'
import type { Making } from './make-key.ts'

export interface SoftHsm {
  /** Path of the shared library. */
  readonly module: string
  /** What the library finds its token by. */
  readonly environment: Readonly<Record<string, string>>
  readonly label: string
  readonly serial: string
  readonly pin: string
  /** An AES-256 key as it should be, but for what is said otherwise. */
  makeKey(label: string, otherwise?: Partial<Making>): Promise<void>
  /** The same from bytes that are known here, as text of 32 characters: SoftHSM2's tool reads bytes as far as the first zero or line break. */
  importKey(label: string, bytes: string): Promise<void>
  /** Takes the token out of its slot, or puts it back. */
  remove(): void
  putBack(): void
  /** Every call that looks at a key hangs in the library, which waits for a pipe that nobody writes to; and the end of that. */
  hang(): void
  unhang(): void
  /** Takes the keys off the token, or puts them back. */
  hideKeys(): void
  showKeys(): void
  /** The token says that one more wrong PIN locks it. */
  leaveOneTry(): void
  close(): Promise<void>
}

interface Programs {
  readonly util: string
  readonly module: string
}

const MODULES = ['/usr/lib/softhsm', '/usr/lib64/softhsm', '/usr/lib64/pkcs11', '/usr/local/lib/softhsm', '/usr/lib/pkcs11'].map((folder) =>
  join(folder, 'libsofthsm2.so'),
)
const MAKE_KEY = join(import.meta.dirname, 'make-key.ts')
/** In the file of a token: the type of CKA_OS_TOKENFLAGS, that it is a number, and 8 bytes of it, big-endian. */
const FLAGS_TYPE = Buffer.from('000000008000534b0000000000000002', 'hex')
const FINAL_TRY_BYTE = 5
const FINAL_TRY = 0x02

export async function findSoftHsm(): Promise<Programs | undefined> {
  const util = await findProgram(['softhsm2-util'])
  const module = MODULES.find((path) => existsSync(path))
  return util === undefined || module === undefined ? undefined : { util, module }
}

const isKeyFile = (name: string): boolean => name.endsWith('.object') && name !== 'token.object'

/** A fresh token without keys. @throws Error when SoftHSM2 is not installed */
export async function startSoftHsm(label = 'sallyport'): Promise<SoftHsm> {
  const programs = await findSoftHsm()
  if (programs === undefined) throw new Error('SoftHSM2 is not installed. On Debian: apt-get install softhsm2')
  const { util, module } = programs
  const folder = await temporaryFolder()
  const tokens = join(folder, 'tokens')
  mkdirSync(tokens)
  writeFileSync(join(folder, 'softhsm2.conf'), `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`)
  const environment = { SOFTHSM2_CONF: join(folder, 'softhsm2.conf') }
  const [pin, soPin] = [randomInt(1e7, 1e8).toString(), randomInt(1e7, 1e8).toString()]
  const run = (file: string, ...args: string[]) => promisify(execFile)(file, args, { env: environment })
  await run(util, '--init-token', '--free', '--label', label, '--so-pin', soPin, '--pin', pin)
  const own = join(tokens, readdirSync(tokens)[0]!)
  const [away, hidden] = [join(folder, 'away'), join(folder, 'hidden')]
  const [generation, kept] = [join(own, 'generation'), join(folder, 'generation')]
  return {
    module,
    environment,
    label,
    // SoftHSM2 makes it of the folder's name.
    serial: own.slice(-17).replace('-', ''),
    pin,
    async makeKey(keyLabel, otherwise = {}) {
      const id = randomBytes(4).toString('hex')
      const making: Making = { label: keyLabel, id, bytes: 32, sensitive: true, extractable: false, decrypt: true, ...otherwise }
      await run(process.execPath, '--disable-warning=ExperimentalWarning', MAKE_KEY, module, label, pin, JSON.stringify(making))
    },
    async importKey(keyLabel, bytes) {
      const file = join(folder, 'import')
      writeFileSync(file, bytes, { mode: 0o600 })
      const id = randomBytes(4).toString('hex')
      await run(util, '--import', file, '--aes', '--token', label, '--pin', pin, '--label', keyLabel, '--id', id)
      rmSync(file)
    },
    remove: () => renameSync(own, away),
    putBack: () => renameSync(away, own),
    hang() {
      renameSync(generation, kept)
      execFileSync('mkfifo', [generation])
    },
    unhang() {
      unlinkSync(generation)
      renameSync(kept, generation)
    },
    hideKeys() {
      mkdirSync(hidden)
      for (const name of readdirSync(own)) if (isKeyFile(name)) renameSync(join(own, name), join(hidden, name))
    },
    showKeys() {
      for (const name of readdirSync(hidden)) renameSync(join(hidden, name), join(own, name))
      rmSync(hidden, { recursive: true, maxRetries: 10 })
    },
    leaveOneTry() {
      const file = join(own, 'token.object')
      const bytes = readFileSync(file)
      const at = bytes.indexOf(FLAGS_TYPE)
      if (at < 0) throw new Error('this SoftHSM2 keeps its flags elsewhere')
      bytes[at + FLAGS_TYPE.length + FINAL_TRY_BYTE]! |= FINAL_TRY
      writeFileSync(file, bytes)
    },
    close: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
  }
}
