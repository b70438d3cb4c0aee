/**
 * Owns telling the application what became of its users' connections. Refuses tokens and a provider's own words, and to let a listener break a
 * call or change what others see: each gets a copy of its own.
 */
import { isPromise } from 'node:util/types'
import type { Feature } from '../catalog/index.ts'
import type { CredentialHealth, RefreshTrouble } from '../tokens/index.ts'
import type { Logger } from '../observability/index.ts'
import type { RefreshEvent } from '../refresh/index.ts'
import type { DeprecationNotice } from '../pipeline/index.ts'
import type { Revocation, RevocationEnd } from './disconnecting.ts'

/** Whose connection an event is about. */
export interface ConnectionName {
  readonly provider: string
  /** The application's own id of its user. */
  readonly userId: string
}

/** `down`: it fails, or is left alone because it did. `limited`: it takes no more calls for now, by its own quota or by `rateLimits`. */
export type AlternativeReason = 'down' | 'limited'

/** Events by name. Each is told once, by the process that brought it about. */
export interface SallyportEvents {
  connected: ConnectionName & { readonly scopes: readonly string[]; readonly missingScopes: readonly string[] }
  refreshed: ConnectionName
  /** Renewing fails, or fails in another way than before. It goes on by itself. */
  refresh_failed: ConnectionName & { readonly trouble: RefreshTrouble | null; readonly health: CredentialHealth }
  /** The grant is over: the person has to connect again. */
  reconnect_required: ConnectionName & { readonly trouble: RefreshTrouble | null }
  /** The same, and it is known that it was taken back. */
  revoked: ConnectionName
  recovered: ConnectionName
  /** A provider fails in the calls of this process, and answers again. */
  provider_failing: { readonly provider: string }
  provider_up: { readonly provider: string }
  /** A host of a provider is left alone for a while, and no longer. */
  circuit_opened: { readonly provider: string; readonly host: string }
  circuit_closed: { readonly provider: string; readonly host: string }
  /** An answer announced the end of what was asked (RFC 9745, RFC 8594). Once a day for each notice, while it goes on. */
  deprecation_announced: DeprecationNotice
  /** `provider` can't be asked now, and items are `alternative`'s. */
  alternative_used: ConnectionName & { readonly feature: Feature; readonly alternative: string; readonly reason: AlternativeReason }
  disconnected: ConnectionName & { readonly revocation: Revocation }
  /** Of one that was `pending` when it was disconnected, in this process or another. */
  revocation_ended: ConnectionName & { readonly revocation: RevocationEnd }
}

/** One of the names that `on` takes. */
export type SallyportEvent = keyof SallyportEvents
/** Called once for each event, one after the other. What it is given is its own: changes reach nobody. */
export type SallyportListener<Name extends SallyportEvent> = (event: SallyportEvents[Name]) => void

export class Events {
  readonly #listeners = new Map<SallyportEvent, Set<SallyportListener<never>>>()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  on<Name extends SallyportEvent>(name: Name, listener: SallyportListener<Name>): () => void {
    const own: SallyportListener<Name> = (event): unknown => listener(event)
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all.add(own))
    return () => void all.delete(own)
  }

  tell<Name extends SallyportEvent>(name: Name, event: SallyportEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      const failed = (error: unknown): void => this.#logger.error('A listener of an event failed', { event: name, error })
      try {
        // One that is asynchronous fails later, and would end the process if nobody heard of it.
        const heard: unknown = (listener as (event: SallyportEvents[Name]) => unknown)(structuredClone(event))
        if (isPromise(heard)) heard.catch(failed)
      } catch (error) {
        failed(error)
      }
    }
  }

  tellRefresh({ kind, ref, health, trouble }: RefreshEvent): void {
    const of = { provider: ref.scope, userId: ref.id }
    if (kind === 'refreshed') this.tell('refreshed', of)
    else if (kind === 'recovered') this.tell('recovered', of)
    else if (kind === 'failing') this.tell('refresh_failed', { ...of, trouble, health })
    else {
      this.tell('reconnect_required', { ...of, trouble })
      if (trouble === 'revoked') this.tell('revoked', of)
    }
  }
}
