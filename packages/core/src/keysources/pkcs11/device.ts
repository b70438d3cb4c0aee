/**
 * Owns the asking of one PKCS#11 token: its device process, started at the first question and again after every failure; one question at a time; a
 * limit for each; the PIN tried once. Refuses to try a PIN again that was refused: only another configuration, which is another start, does.
 */
import { CryptoError, KeySourceError } from '../../crypto/index.ts'
import { systemClock } from '../../kernel/index.ts'
import type { Clock, Secret } from '../../kernel/index.ts'
import { Patience } from '../patience.ts'
import type { PatienceOptions } from '../patience.ts'
import { frameOf } from './frames.ts'
import type { Frame, FrameKind } from './frames.ts'
import { requireOwnModule, startDeviceProcess } from './process.ts'
import type { DeviceProcess } from './process.ts'

/** Which module, which token of it, and the PIN. */
export interface Pkcs11Options extends PatienceOptions {
  /** Absolute path of the module, a shared library. */
  readonly module: string
  readonly token: { readonly by: 'label' | 'serial'; readonly value: string }
  /** The user's PIN. */
  readonly pin: Secret
  /** For the module alone: without secrets, and without settings of ours. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Milliseconds until a question without an answer ends the process. Shorter than the deadline, so that a second attempt fits. */
  readonly answerMs?: number
  readonly start?: (environment: Readonly<Record<string, string | undefined>>) => DeviceProcess
}

/** Wraps and opens by keys that never leave the device. */
export interface Pkcs11Device {
  /** @throws KeySourceError; CryptoError `decrypt_failed` */
  encrypt(key: string, place: Uint8Array, plaintext: Uint8Array): Promise<Buffer>
  decrypt(key: string, place: Uint8Array, ciphertext: Uint8Array): Promise<Buffer>
  /** Logs out and ends the process. Questions after that fail. Idempotent. */
  close(): Promise<void>
}

const ANSWER_MS = 4_000
const CLOSING_MS = 1_000
/** A module need not notice what others change on its token; one that refuses something is started anew at most this often to look again. */
const LOOK_AGAIN_MS = 5_000

/** A device behind a PKCS#11 module, in a process of its own that is begun with the first question. */
export function openPkcs11Device(options: Pkcs11Options): Pkcs11Device {
  return new Device(options)
}

class Device implements Pkcs11Device {
  readonly #options: Pkcs11Options
  readonly #answerMs: number
  readonly #patience: Patience
  readonly #clock: Clock
  /** The end of the last question so far. Never rejects. */
  #turn: Promise<unknown> = Promise.resolve()
  #process: DeviceProcess | undefined
  #startedAt = 0
  #never: KeySourceError | undefined

  constructor(options: Pkcs11Options) {
    this.#options = options
    this.#answerMs = options.answerMs ?? ANSWER_MS
    this.#clock = options.clock ?? systemClock
    this.#patience = new Patience('the PKCS#11 device', options)
  }

  encrypt(key: string, place: Uint8Array, plaintext: Uint8Array): Promise<Buffer> {
    return this.#ask('encrypt', key, place, plaintext)
  }

  decrypt(key: string, place: Uint8Array, ciphertext: Uint8Array): Promise<Buffer> {
    return this.#ask('decrypt', key, place, ciphertext)
  }

  async close(): Promise<void> {
    this.#never ??= unavailable('is closed')
    this.#patience.close()
    await this.#inTurn(AbortSignal.timeout(CLOSING_MS), async () => {
      if (this.#process !== undefined) await limited(CLOSING_MS, this.#process.ask(frameOf('close')))
    }).catch((error: unknown) => {
      // It need not have gone well: what is left ends by force.
      if (!(error instanceof KeySourceError)) throw error
    })
    await this.#drop()
  }

  #ask(kind: FrameKind, key: string, place: Uint8Array, bytes: Uint8Array): Promise<Buffer> {
    return this.#patience.ask((signal) =>
      this.#inTurn(signal, async () => {
        if (this.#never !== undefined) throw this.#never
        const [answer] = await this.#put(() => frameOf(kind, Buffer.from(key), place, bytes))
        if (answer === undefined) throw unavailable('answered nothing')
        return answer
      }),
    )
  }

  /** What `act` gives once all before it are done; not begun any more after the signal, and not waited for. */
  #inTurn<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(() => {
      if (signal.aborted) throw unavailable('has too much to do')
      return act()
    })
    this.#turn = mine.catch(() => undefined)
    return before(signal, mine)
  }

  async #put(question: () => Buffer): Promise<readonly Buffer[]> {
    try {
      const running = this.#process ?? (await this.#open())
      return judged(await limited(this.#answerMs, running.ask(question())))
    } catch (error) {
      if (error instanceof KeySourceError && (error.code === 'key_source_unavailable' || this.#isOld())) await this.#drop()
      throw error
    }
  }

  #isOld(): boolean {
    return this.#clock.monotonic() - this.#startedAt >= LOOK_AGAIN_MS
  }

  /** A fresh process: the module as new, one login. */
  async #open(): Promise<DeviceProcess> {
    const { module, environment, start = startDeviceProcess } = this.#options
    await requireOwnModule(module)
    if (this.#never !== undefined) throw this.#never
    const started = start(environment)
    this.#process = started
    this.#startedAt = this.#clock.monotonic()
    try {
      const answer = await limited(this.#answerMs, started.ask(this.#opening()))
      if (answer.kind === 'pin_refused') this.#never = refusal(answer)
      judged(answer)
      return started
    } catch (error) {
      await this.#drop()
      throw error
    }
  }

  #opening(): Buffer {
    const { module, token, pin } = this.#options
    const bytes = Buffer.from(pin.reveal())
    const question = frameOf('open', ...[module, token.by, token.value].map((word) => Buffer.from(word)), bytes)
    bytes.fill(0)
    return question
  }

  async #drop(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    await running?.end()
  }
}

/** The parts of an answer that is none of the failures. */
function judged(answer: Frame): readonly Buffer[] {
  if (answer.kind === 'done') return answer.parts
  if (answer.kind === 'decrypt_failed') throw new CryptoError('decrypt_failed', 'the envelope does not open here')
  throw answer.kind === 'refused' || answer.kind === 'pin_refused'
    ? refusal(answer)
    : new KeySourceError('key_source_unavailable', sentence(answer))
}

function refusal(answer: Frame): KeySourceError {
  return new KeySourceError('key_source_refused', sentence(answer))
}

function sentence({ parts: [said] }: Frame): string {
  return said?.toString('utf8') ?? 'the PKCS#11 device failed'
}

function limited<T>(ms: number, asked: Promise<T>): Promise<T> {
  return before(AbortSignal.timeout(ms), asked)
}

/** As `asked`, or unavailable once the signal says so. */
function before<T>(signal: AbortSignal, asked: Promise<T>): Promise<T> {
  if (signal.aborted) {
    asked.catch(() => undefined)
    return Promise.reject(unavailable('did not answer in time'))
  }
  return new Promise((resolve, reject) => {
    const late = (): void => reject(unavailable('did not answer in time'))
    signal.addEventListener('abort', late, { once: true })
    asked.then(resolve, reject).finally(() => signal.removeEventListener('abort', late))
  })
}

function unavailable(what: string): KeySourceError {
  return new KeySourceError('key_source_unavailable', `the PKCS#11 device ${what}`)
}
