/** Owns the failures that only an SDK has. Refuses to stand for what a part says better: its own errors go through as they are. */
import { SallyportError } from '../kernel/index.ts'

/**
 * - `config_invalid`: the configuration has faults; `faults` lists all of them (ConfigError).
 * - `argument_invalid`: a verb was called with something it can't take.
 * - `scheme_mismatch`: the verb or the credential is not of the scheme that the provider is configured with.
 * - `provider_unknown`: no provider of this name is configured.
 * - `state_unknown`: a callback with a state that was never made here, or ended more than an hour ago.
 * - `state_used`: a callback that was taken before.
 * - `state_expired`: the person took longer than a sign-in may.
 * - `state_other_provider`: the sign-in was begun for another provider than the callback's.
 * - `state_other_session`: the sign-in was begun by another user or session than the callback's. Nothing was exchanged.
 * - `collection_unknown`: the provider has no collection of this name, or none for this feature.
 * - `action_unknown`: the provider has no action of this name.
 * - `path_outside_rules`: the provider's record doesn't let this call out.
 * - `closed`: the SDK was closed.
 */
export type SdkErrorCode =
  | 'config_invalid'
  | 'argument_invalid'
  | 'scheme_mismatch'
  | 'provider_unknown'
  | 'state_unknown'
  | 'state_used'
  | 'state_expired'
  | 'state_other_provider'
  | 'state_other_session'
  | 'collection_unknown'
  | 'action_unknown'
  | 'path_outside_rules'
  | 'closed'

/** A use of the SDK that can not be, or a sign-in that is not the one. */
export class SdkError extends SallyportError<SdkErrorCode> {}

/** One thing that is wrong with a configuration. */
export interface ConfigFault {
  /** Where, with dots: `providers.github.redirectUri`. */
  readonly path: string
  /** What is wrong, and what to do. Never quotes a value. */
  readonly message: string
}

/** Everything that is wrong with a configuration. */
export class ConfigError extends SdkError {
  readonly faults: readonly ConfigFault[]

  constructor(faults: readonly ConfigFault[]) {
    super('config_invalid', `the configuration has faults:\n${faults.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`)
    this.faults = faults
  }
}
