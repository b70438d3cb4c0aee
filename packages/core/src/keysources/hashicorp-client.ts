/**
 * Owns calls to HashiCorp Vault and OpenBao over their HTTP API: a token, given or had through AppRole, asked patiently, errors sorted by status.
 * Refuses to pass on what an error says.
 */
import * as z from 'zod'
import { CryptoError, KeySourceError } from '../crypto/index.ts'
import type { Egress } from '../http/index.ts'
import { Secret, systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { Patience } from './patience.ts'
import type { PatienceOptions } from './patience.ts'

/** A token as it is, or a role that gets one (AppRole). */
export type HashicorpAuth = { readonly token: Secret } | { readonly roleId: string; readonly secretId: Secret }

/** Which server, and who calls it. */
export interface HashicorpClientOptions extends PatienceOptions {
  readonly egress: Pick<Egress, 'fetch'>
  /** Its origin. */
  readonly address: string
  readonly auth: HashicorpAuth
  /** Of the enterprise editions and OpenBao. */
  readonly namespace?: string | undefined
}

/** Calls of one server. Patience and its circuit are in it. */
export interface HashicorpClient {
  /**
   * The `data` of the answer. With `input` a POST, else a GET.
   * @param path behind `/v1/`, its parts from settings that were judged
   * @throws KeySourceError; CryptoError `decrypt_failed` for status 400 to what is asked with `opening`
   */
  call<T>(path: string, answer: z.ZodType<T>, ask?: { readonly input: object; readonly opening?: boolean }): Promise<T>
}

const NAME = 'HashiCorp Vault'
const MAX_ANSWER_BYTES = 128 * 1024
/** A token is left this share of its life early. */
const EARLY = 0.1
/** Standby, performance standby, not initialised, sealed, and the answers of proxies in front. 412: not replicated yet. */
const isPassing = (status: number): boolean => status === 412 || status === 429 || status >= 472

const loginAnswer = z.object({ auth: z.object({ client_token: z.string().min(1), lease_duration: z.int().min(0) }) })

/** A client of one server; a token that is about to end is renewed, or got anew by its role. */
export function createHashicorpClient(options: HashicorpClientOptions): HashicorpClient {
  return new Client(options)
}

interface Held {
  readonly token: Secret
  /** By the monotonic clock. */
  readonly until: number
}

class Client implements HashicorpClient {
  readonly #options: HashicorpClientOptions
  readonly #clock: Clock
  readonly #patience: Patience
  #session: Promise<Held> | undefined
  #held: Held | undefined

  constructor(options: HashicorpClientOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#patience = new Patience(NAME, options)
  }

  call<T>(path: string, answer: z.ZodType<T>, ask?: { readonly input: object; readonly opening?: boolean }): Promise<T> {
    return this.#patience.ask(async (signal) => {
      const held = await this.#login(signal)
      let { status, body } = await this.#send(path, ask?.input, held.token, signal)
      if (status === 403 && this.#forget(held)) {
        // A token of AppRole may end before its time. A second refusal is one.
        ;({ status, body } = await this.#send(path, ask?.input, (await this.#login(signal)).token, signal))
      }
      if (status === 400 && ask?.opening === true) throw new CryptoError('decrypt_failed', 'the envelope does not open here')
      return judged(status, body, z.object({ data: answer })).data
    })
  }

  /** Of many who find no token, one logs in. */
  #login(signal: AbortSignal): Promise<Held> {
    const { auth } = this.#options
    if ('token' in auth) return Promise.resolve({ token: auth.token, until: Number.POSITIVE_INFINITY })
    if (this.#held !== undefined && this.#held.until <= this.#clock.monotonic()) this.#forget(this.#held)
    this.#session ??= this.#loginAs(auth, signal).catch((error: unknown) => {
      this.#session = undefined
      throw error
    })
    return this.#session
  }

  async #loginAs(auth: { readonly roleId: string; readonly secretId: Secret }, signal: AbortSignal): Promise<Held> {
    const input = { role_id: auth.roleId, secret_id: auth.secretId.reveal() }
    const asked = this.#clock.monotonic()
    const { status, body } = await this.#send('auth/approle/login', input, undefined, signal)
    const { client_token, lease_duration } = judged(status, body, loginAnswer).auth
    // Zero is a token without an end.
    const until = lease_duration === 0 ? Number.POSITIVE_INFINITY : asked + lease_duration * 1000 * (1 - EARLY)
    this.#held = { token: new Secret(client_token), until }
    return this.#held
  }

  /** False where the token was given: there is no other. A token that another call had replaced already is left alone. */
  #forget(held: Held): boolean {
    if ('token' in this.#options.auth) return false
    if (this.#held === held) {
      this.#held = undefined
      this.#session = undefined
    }
    return true
  }

  async #send(path: string, input: object | undefined, token: Secret | undefined, signal: AbortSignal): Promise<Answer> {
    const { egress, address, namespace } = this.#options
    const response = await egress.fetch(`${address}/v1/${path}`, {
      method: input === undefined ? 'GET' : 'POST',
      headers: {
        'x-vault-request': 'true',
        ...(token === undefined ? {} : { 'x-vault-token': token.reveal() }),
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        ...(input === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: input === undefined ? null : JSON.stringify(input),
      signal,
      maxBytes: MAX_ANSWER_BYTES,
    })
    return { status: response.status, body: parseJson(await response.text()) }
  }
}

interface Answer {
  readonly status: number
  /** Undefined when it was no JSON. */
  readonly body: unknown
}

function judged<T>(status: number, body: unknown, form: z.ZodType<T>): T {
  if (isPassing(status)) throw new KeySourceError('key_source_unavailable', `${NAME} can't answer now (${status})`)
  if (status !== 200) throw new KeySourceError('key_source_refused', `${NAME} refused (${status})`)
  const parsed = form.safeParse(body)
  if (!parsed.success) throw new KeySourceError('key_source_refused', `${NAME} gave an answer of another form`)
  return parsed.data
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
