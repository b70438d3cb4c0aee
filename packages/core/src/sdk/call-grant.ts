/**
 * Owns whose grant one call is made with, from before its first try to after its last: it decides what may be answered from the cache, and no later
 * try may use another grant's credential. Refuses to keep a credential through a long wait.
 */
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { FreshOptions } from '../refresh/index.ts'
import type { CredentialRef, CredentialStore } from '../tokens/index.ts'
import type { AnswerWarning } from './answer.ts'
import type { ConfiguredProvider } from './config.ts'
import type { CallCredential, Credentials } from './credentials.ts'

export interface GrantParts {
  readonly credentials: Pick<Credentials, 'fresh'>
  readonly store: Pick<CredentialStore, 'read'>
  readonly clock: Clock
}

/** A credential that was asked for longer ago is asked for again. */
const GOOD_FOR_MS = 5_000

/** The user has connected again since the call began: it begins anew with the new grant. Never seen outside. */
export class GrantReplaced extends Error {}

/** True for failures to renew a token that are an outage of the provider's: what was kept of its answers may stand in. */
export function isRenewalOutage(error: unknown): boolean {
  return (['provider_unavailable', 'provider_rate_limited', 'refresh_outcome_unknown', 'refresh_pending'] as const).some((code) =>
    hasCode(error, code),
  )
}

export class CallGrant {
  readonly generation: number
  readonly #parts: GrantParts
  readonly #provider: ConfiguredProvider
  readonly #ref: CredentialRef
  #last: { readonly credential: CallCredential; readonly at: number } | undefined
  #failure: unknown

  private constructor(parts: GrantParts, provider: ConfiguredProvider, ref: CredentialRef, generation: number) {
    this.#parts = parts
    this.#provider = provider
    this.#ref = ref
    this.generation = generation
  }

  /** @throws as `Credentials.fresh`; but for an outage of the provider, which `credential` throws as long as the grant lives. */
  static async of(
    parts: GrantParts,
    provider: ConfiguredProvider,
    ref: CredentialRef,
    signal: AbortSignal | undefined,
  ): Promise<CallGrant> {
    try {
      const credential = await parts.credentials.fresh(provider, ref, waiting(signal))
      const grant = new CallGrant(parts, provider, ref, credential.generation)
      grant.#last = { credential, at: parts.clock.monotonic() }
      return grant
    } catch (error) {
      const state = isRenewalOutage(error) ? await parts.store.read(ref) : undefined
      if (state?.status !== 'active') throw error
      const grant = new CallGrant(parts, provider, ref, state.generation)
      grant.#failure = error
      return grant
    }
  }

  /** What is to be said of the credential that was used last. */
  get warnings(): readonly AnswerWarning[] {
    const { stale = false, unsaved = false } = this.#last?.credential ?? {}
    return [...(stale ? (['credential_stale'] as const) : []), ...(unsaved ? (['credential_unsaved'] as const) : [])]
  }

  /** For one try. @throws as `Credentials.fresh`; GrantReplaced. */
  async credential(signal: AbortSignal | undefined): Promise<CallCredential> {
    if (this.#failure !== undefined) throw this.#failure
    const { clock } = this.#parts
    if (this.#last !== undefined && clock.monotonic() - this.#last.at <= GOOD_FOR_MS) return this.#last.credential
    return this.#ask(waiting(signal))
  }

  /** Another than `refused`, which the provider does not take, if there is any. @throws as `credential`. */
  async renewed(refused: CallCredential, signal: AbortSignal | undefined): Promise<CallCredential> {
    return this.#ask({ ...waiting(signal), force: { afterSeq: refused.seq } })
  }

  async #ask(options: FreshOptions): Promise<CallCredential> {
    const credential = await this.#parts.credentials.fresh(this.#provider, this.#ref, options)
    if (credential.generation !== this.generation) throw new GrantReplaced()
    this.#last = { credential, at: this.#parts.clock.monotonic() }
    return credential
  }
}

function waiting(signal: AbortSignal | undefined): FreshOptions {
  return signal === undefined ? {} : { signal }
}
