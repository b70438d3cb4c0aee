/** Owns what is known of providers from the calls that were made. Refuses to ask them: health is what callers met. */
export interface ProviderHealth {
  /** `unknown` before the first call; `failing` from the fifth failure in a row on: unreachable, no answer, or a 5xx. */
  readonly state: 'unknown' | 'up' | 'failing'
  readonly failuresInARow: number
}

const FAILURES = 5

export class ProvidersHealth {
  readonly #failures = new Map<string, number>()

  note(provider: string, alive: boolean): void {
    this.#failures.set(provider, alive ? 0 : (this.#failures.get(provider) ?? 0) + 1)
  }

  of(provider: string): ProviderHealth {
    const failuresInARow = this.#failures.get(provider)
    if (failuresInARow === undefined) return { state: 'unknown', failuresInARow: 0 }
    return { state: failuresInARow >= FAILURES ? 'failing' : 'up', failuresInARow }
  }
}
