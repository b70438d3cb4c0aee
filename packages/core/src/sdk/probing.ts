/**
 * Owns asking a provider whether it answers at all, where its record says how: at hand, and every while as long as it fails, so that its return is
 * known before a user's call tries it. Refuses to ask with a credential, and to ask one that is up by itself.
 */
import { judgePath, parseApiBase } from '../http/index.ts'
import type { OriginPolicy } from '../http/index.ts'
import { discard } from '../pipeline/index.ts'
import type { Call } from '../pipeline/index.ts'
import { SDK_OWNER } from './calling.ts'
import type { ConfiguredProvider } from './config.ts'
import type { ProvidersHealth } from './health.ts'
import type { Sending } from './sending.ts'

export interface ProbingParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly sending: Sending
  readonly origins: OriginPolicy
  readonly health: Pick<ProvidersHealth, 'revive' | 'of'>
  /** Between two probes of a provider that fails. Milliseconds; 0 for none. */
  readonly intervalMs: number
}

export class Probing {
  readonly #parts: ProbingParts
  readonly #watches = new Map<string, NodeJS.Timeout>()
  #closed = false

  constructor(parts: ProbingParts) {
    this.#parts = parts
  }

  /** Begins to probe one that fails. Ends by itself when it is up, and keeps no process alive. */
  watch(name: string): void {
    const { provider, intervalMs } = this.#parts
    if (this.#closed || intervalMs === 0 || this.#watches.has(name) || provider(name).record.api.probe === undefined) return
    const again = (): void => {
      void this.probe(name).then(() => {
        this.#watches.delete(name)
        if (this.#parts.health.of(name).state === 'failing') this.watch(name)
      })
    }
    this.#watches.set(name, setTimeout(again, intervalMs).unref())
  }

  /** Whether it answers, with anything but a server's error; undefined where its record names no probe. Never rejects. */
  async probe(name: string): Promise<boolean | undefined> {
    const { sending, origins, health, provider } = this.#parts
    const { probe, base, defaultHeaders } = provider(name).record.api
    if (probe === undefined || this.#closed) return undefined
    const place = parseApiBase(base, origins)
    const path = judgePath(probe.path)
    const call: Call = {
      method: probe.method,
      url: place.origin + place.basePath + path,
      headers: new Headers(defaultHeaders),
      body: null,
      owner: SDK_OWNER,
      integration: name,
      provider: name,
      connection: '',
      generation: 0,
    }
    try {
      const answer = await sending.send(call, { base: place, path, inject: [] }, undefined)
      await discard(answer)
      if (answer.status < 500) health.revive(name)
      return answer.status < 500
    } catch {
      // How it failed is counted, and in its health.
      return false
    }
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#watches.values()) clearTimeout(timer)
    this.#watches.clear()
  }
}
