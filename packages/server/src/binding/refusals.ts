/**
 * Owns writing down that a good key was refused where it was used from: the sign of a key that got away. Refuses one event for each try: the
 * first is written at once, those of the next minute together.
 */
import { formatId, hasCode } from '@sallyport/core'
import type { KeyId, Logger, OrgId } from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { KeyPrincipal } from '../identity/index.ts'
import type { BindingErrorCode } from './binding-error.ts'

const WINDOW_MS = 60_000
/** Keys and reasons counted at once. Beyond it each refusal is written by itself. */
const MAX_COUNTED = 10_000

interface Counted {
  readonly org: OrgId
  readonly key: KeyId
  readonly code: BindingErrorCode
  /** Of the last one. */
  address: string
  /** Since the last event. */
  more: number
}

export class Refusals {
  readonly #useLog: Pick<UseLog, 'use'>
  readonly #logger: Logger
  readonly #counted = new Map<string, Counted>()
  readonly #timer: NodeJS.Timeout

  constructor(useLog: Pick<UseLog, 'use'>, logger: Logger) {
    this.#useLog = useLog
    this.#logger = logger
    this.#timer = setInterval(() => this.flush(), WINDOW_MS)
    this.#timer.unref()
  }

  note({ org, keyId: key }: KeyPrincipal, code: BindingErrorCode, address: string): void {
    const name = `${key} ${code}`
    const counted = this.#counted.get(name)
    if (counted !== undefined) {
      counted.address = address
      counted.more += 1
      return
    }
    if (this.#counted.size < MAX_COUNTED) this.#counted.set(name, { org, key, code, address, more: 0 })
    this.#write({ org, key, code, address, more: 1 })
  }

  /** Writes what was counted since, and begins a new minute. */
  flush(): void {
    for (const [name, counted] of this.#counted) {
      if (counted.more === 0) this.#counted.delete(name)
      else this.#write(counted)
      counted.more = 0
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.flush()
  }

  /** Never waits: whoever is refused is not kept for it. What the log can't hold, the operator's log has. */
  #write({ org, key, code, address, more }: Counted): void {
    const target = formatId('key', key)
    try {
      const event = { action: 'key.refused', actor: target, target, detail: { code, times: more } }
      void this.#useLog.use(org, 'batched', event, { subject: target, facts: { address } })
    } catch (error) {
      if (!hasCode(error, 'audit_unavailable')) throw error
      this.#logger.warn('A refusal of a key could not be audited', { key: target, code, times: more, error })
    }
  }
}
