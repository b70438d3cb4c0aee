/** Owns what a model call is to whoever makes one, on whichever route it came: who calls, which provider, with whose key, and where the answer goes. */
import type { Readable } from 'node:stream'
import type { ForwardCall, ForwardResult, JudgedPath, ModelProvider, ParsedHeaders, RequestId, Secret } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'
import type { Metering } from '../usage/index.ts'
import type { HeldBody } from './held-body.ts'

/** A caller's own credential for one call: used once, never kept. */
export interface OwnKey {
  readonly secret: Secret
  /** As a kept key's: what else the provider needs, none of it secret. */
  readonly settings: KeySettings
}

export type KeySettings = Readonly<Record<string, string>>

export interface ModelCall {
  readonly principal: KeyPrincipal
  readonly request: RequestId
  readonly provider: ModelProvider
  readonly ownKey: OwnKey | undefined
  /** Of the kept key that is wanted where the caller brings none; `default` where nothing is said. */
  readonly keyName: string
  readonly method: string
  /** Below the provider's base, query included. */
  readonly path: JudgedPath
  /** Flat and cleaned; see `cleanRequestHeaders`. */
  readonly headers: readonly string[]
  readonly body: Readable | HeldBody | null
  /** Of a stream, when it is declared. */
  readonly contentLength?: number | undefined
  /** Told of the answer, and of the end; exactly once, whatever becomes of the call. */
  readonly metering: Metering
  /** Where the answer goes, and what is added to it there. */
  readonly handing: Pick<ForwardCall, 'response' | 'responseHeaders' | 'responseAdds' | 'responseDefaults' | 'rewriteTo'>
  /** Aborted by an EgressError `upstream_timeout` where the provider had its time, which counts against it; by anything else it counts against nobody. */
  readonly signal?: AbortSignal | undefined
  /** Asked with the answer's head: true leaves the answer unread and the response untouched, so that another provider may be asked. */
  readonly withhold?: ((status: number, headers: ParsedHeaders) => boolean) | undefined
}

/** The one way on which a model call leaves. */
export interface ModelCalls {
  /** The catalog with what the operator declared, by id. */
  readonly providers: ReadonlyMap<string, ModelProvider>
  /**
   * Of the key that a call would go out with: a path may need them. At once where they are known.
   * @throws CallError `provider_key_required`, `provider_key_refused`
   */
  settingsOf(call: Pick<ModelCall, 'principal' | 'provider' | 'ownKey' | 'keyName'>): KeySettings | Promise<KeySettings>
  /**
   * Resolves when the answer is handed over, was cut after its head, or was withheld.
   * @throws CallError `provider_key_required`, `provider_key_refused`, `overloaded`; PipelineError `circuit_open`; EgressError; VaultError; AuditError. Nothing
   * was written to the response then.
   */
  send(call: ModelCall): Promise<ForwardResult>
}
