/**
 * Owns how many calls may be on a second try at once. Refuses more than a share of what is under way, so that retries never become the load that
 * keeps a provider down.
 */

interface Load {
  live: number
  retrying: number
}

export class RetryBudget {
  readonly #share: number
  readonly #least: number
  readonly #loads = new Map<string, Load>()

  /** `share` of the live calls to one place may be retrying, and `least` of them always. */
  constructor(share: number, least: number) {
    this.#share = share
    this.#least = least
  }

  enter(key: string): void {
    const load = this.#loads.get(key) ?? { live: 0, retrying: 0 }
    load.live++
    this.#loads.set(key, load)
  }

  /** False when this call must not be tried again. Each call takes one place, however often it is tried, until it leaves. */
  take(key: string): boolean {
    const load = this.#loads.get(key)!
    if (load.retrying + 1 > Math.max(this.#least, Math.floor(load.live * this.#share))) return false
    load.retrying++
    return true
  }

  leave(key: string, taken: boolean): void {
    const load = this.#loads.get(key)!
    load.live--
    if (taken) load.retrying--
    if (load.live === 0) this.#loads.delete(key)
  }
}
