/**
 * The two short-lived tables of a code flow: authorization requests that wait for a person, and codes that wait for their exchange. Both are
 * taken out when used, so each works once, and both lapse after ten minutes. Nothing here is kept on disk.
 */
import { randomBytes } from 'node:crypto'
import type { Consent } from './provider.ts'

const LIFETIME_MS = 10 * 60 * 1000

/** What the application asked for, kept here so that the sign-in form cannot change it. */
export interface AuthorizationRequest {
  clientId: string
  redirectUri: string
  scope: string
  state: string | null
  challenge: string
  offline: boolean
  /** OpenID Connect nonce, empty when none was sent. */
  nonce: string
}

export interface PendingCode {
  consent: Consent
  redirectUri: string
  challenge: string
}

export class SingleUseTable<T> {
  readonly #entries = new Map<string, { value: T; expiresAt: number }>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  put(key: string, value: T): void {
    for (const [known, entry] of this.#entries) {
      // Insertion order is expiry order: everything after the first live one lives too.
      if (entry.expiresAt > this.#now()) break
      this.#entries.delete(known)
    }
    this.#entries.set(key, { value, expiresAt: this.#now() + LIFETIME_MS })
  }

  /** Stores under a fresh key that cannot be guessed, and gives the key. */
  add(value: T): string {
    const key = randomBytes(16).toString('hex')
    this.put(key, value)
    return key
  }

  /** Gives the value once; afterwards, and after its time, undefined. */
  take(key: string): T | undefined {
    const entry = this.#entries.get(key)
    this.#entries.delete(key)
    return entry !== undefined && entry.expiresAt > this.#now() ? entry.value : undefined
  }
}
