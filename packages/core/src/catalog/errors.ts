import { SallyportError } from '../kernel/index.ts'

/** `provider_record_invalid`: a record, or a configured overlay of it, breaks a rule; `faults` says which, without secrets. */
export type CatalogErrorCode = 'provider_record_invalid'

/** A record that breaks a rule. `faults` has all of them. */
export class CatalogError extends SallyportError<CatalogErrorCode> {
  readonly faults: readonly string[]

  constructor(provider: string, faults: readonly string[]) {
    super('provider_record_invalid', `provider ${provider}: ${faults.join('; ')}`)
    this.faults = faults
  }
}
