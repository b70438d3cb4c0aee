/**
 * Owns the sign-in of a person on another device (RFC 8628): the code that is shown, and the waiting for its outcome in whatever process.
 * Refuses to ask the provider faster than it wants to be asked.
 */
import { setTimeout as timer } from 'node:timers/promises'
import { randomToken } from '../crypto/index.ts'
import { hasCode, Secret } from '../kernel/index.ts'
import { deviceAuthorization, deviceOutcome, oauthFailure } from '../oauth/index.ts'
import type { DeviceGrant, DeviceOutcome } from '../oauth/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { newBinding } from './binding.ts'
import { SdkError } from './errors.ts'
import type { ConnectionName } from './events.ts'
import { mismatch } from './handing-over.ts'
import type { DeviceScheme } from './schemes.ts'
import { keepSignedIn, requireSame, stateFault } from './signing-in.ts'
import type { Connected, SigningInParts } from './signing-in.ts'

/** Whose sign-in on another device is to begin. */
export interface DeviceRequest extends ConnectionName {
  /** In place of the configured ones, for this sign-in. */
  readonly scopes?: readonly string[]
}

/** A sign-in on another device that has begun (RFC 8628 section 3.2). */
export interface DeviceStart {
  /** For `awaitDevice`, in this process or another. A secret of the application's: whoever has it can wait in its place. */
  readonly handle: string
  /** To be shown to the person, who types it in at `verificationUri`. */
  readonly userCode: string
  readonly verificationUri: string
  /** The same with the code in it, for a link or a QR code; null where the provider gives none. */
  readonly verificationUriComplete: string | null
  /** Milliseconds since the epoch, by this machine's clock. */
  readonly expiresAt: number
}

/** How a wait is ended early. */
export interface DeviceWait {
  /** Ends the wait, not the sign-in: it can be waited for again. */
  readonly signal?: AbortSignal
}

interface DeviceSignIn extends ConnectionName {
  readonly v: 1
  readonly kind: 'device'
  readonly session: null
  readonly deviceCode: string
  readonly intervalMs: number
  readonly scopes: readonly string[]
}

/** RFC 8628 section 3.5: what each `slow_down` adds. */
const SLOWER_MS = 5_000
const LONGEST_MS = 60_000
const SETTLING_MS = 1_000

export interface DeviceParts extends SigningInParts {
  /** For tests with a time of their own. */
  readonly pause?: (ms: number, signal?: AbortSignal) => Promise<void>
}

export class DeviceSigningIn {
  readonly #parts: DeviceParts

  constructor(parts: DeviceParts) {
    this.#parts = parts
  }

  async begin({ provider: name, userId, scopes: wanted }: DeviceRequest): Promise<DeviceStart> {
    const { states, store, clock } = this.#parts
    const { scopes: configured } = this.#parts.provider(name)
    const scheme = this.#schemeOf(name)
    const scopes = wanted ?? configured
    await store.read({ scope: name, id: userId })
    const asked = await deviceAuthorization(await this.#grant(scheme, scopes))
    const { deviceCode, lifeMs, intervalMs, ...shown } = asked
    const handle = new Secret(randomToken(32))
    const begun: DeviceSignIn = {
      v: 1,
      kind: 'device',
      provider: name,
      userId,
      session: null,
      deviceCode: deviceCode.reveal(),
      intervalMs,
      scopes,
    }
    await states.put(handle, new Secret(JSON.stringify(begun)), lifeMs)
    return { handle: handle.reveal(), ...shown, expiresAt: clock.now() + lifeMs }
  }

  async wait(handle: string, expected: { readonly userId: string }, { signal }: DeviceWait): Promise<Connected> {
    requireUser(expected.userId)
    const name = new Secret(handle)
    let slower = 0
    for (;;) {
      signal?.throwIfAborted()
      const signIn = await this.#standing(name)
      requireSame(signIn, expected)
      const outcome = await this.#ask(name, signIn)
      if (outcome.kind === 'tokens') return this.#finished(name, signIn, outcome.tokens)
      if (outcome.kind === 'denied' || outcome.kind === 'expired') return this.#ended(name, outcome.kind)
      if (outcome.kind === 'slow_down') slower += SLOWER_MS
      if (outcome.kind === 'unreached') slower = Math.min(LONGEST_MS, slower * 2 + signIn.intervalMs)
      await this.#pause(signIn.intervalMs + slower, signal)
    }
  }

  async #standing(handle: Secret): Promise<DeviceSignIn> {
    const found = await this.#parts.states.read(handle)
    if (found.kind !== 'taken') throw stateFault(found.kind)
    const signIn = JSON.parse(found.text.reveal()) as DeviceSignIn | { readonly kind?: string }
    if (signIn.kind !== 'device') throw stateFault('unknown')
    return signIn as DeviceSignIn
  }

  /** @throws SdkError `state_used` when another process has had the outcome. */
  async #ask(handle: Secret, { provider, deviceCode, scopes }: DeviceSignIn): Promise<DeviceOutcome> {
    try {
      return await deviceOutcome(await this.#grant(this.#schemeOf(provider), scopes), new Secret(deviceCode))
    } catch (error) {
      // A code that was exchanged elsewhere is refused like one that never was; whoever has it may be about to say so.
      if (hasCode(error, 'connect_exchange_failed')) {
        await this.#pause(SETTLING_MS)
        await this.#standing(handle)
      }
      throw error
    }
  }

  async #finished(handle: Secret, signIn: DeviceSignIn, tokens: TokenSet): Promise<Connected> {
    const taken = await this.#parts.states.take(handle)
    if (taken.kind !== 'taken') throw stateFault(taken.kind)
    return keepSignedIn(this.#parts, signIn, tokens)
  }

  async #ended(handle: Secret, how: 'denied' | 'expired'): Promise<never> {
    await this.#parts.states.take(handle)
    throw how === 'denied' ? oauthFailure('connect_denied', 'the person said no on the other device') : stateFault('expired')
  }

  #pause(ms: number, signal?: AbortSignal): Promise<void> {
    return (this.#parts.pause ?? pause)(ms, signal)
  }

  #schemeOf(name: string): DeviceScheme {
    const { scheme } = this.#parts.provider(name)
    if (scheme.kind !== 'device_code') throw mismatch(scheme.kind)
    return scheme
  }

  async #grant({ server: recorded, client }: DeviceScheme, requestedScopes: readonly string[]): Promise<DeviceGrant> {
    const { fetch, clock, servers } = this.#parts
    const server = await servers.complete(recorded)
    return { server, client, requestedScopes, fetch, now: clock.now(), ...newBinding(server, this.#parts) }
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) return timer(ms)
  // The timer has an error of its own for an abort; the caller gets the reason.
  await timer(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
}

export function requireHandle(handle: unknown): asserts handle is string {
  if (typeof handle !== 'string' || handle === '') throw new SdkError('argument_invalid', 'a handle is the text that "connectDevice" gave')
}

/** A caller who does not know its user must not get another's sign-in. */
function requireUser(userId: unknown): void {
  if (typeof userId !== 'string') throw new SdkError('argument_invalid', 'a sign-in is waited for with the user that it was begun for')
}
