/**
 * Owns the answers of providers that this node keeps, for integrations that ask for it: the engine's private cache (RFC 9111) in this process's memory.
 * Refuses to outlive a change of the connection that an answer is of, and to keep anything anywhere else.
 */
import { answerCache, generateKeyBytes, hmacKey, isRenewalOutage, MemoryAnswerStore } from '@sallyport/core'
import type { Answer, AnswerCache, Call, Clock, ConnectionId, Metrics, OrgId, Send } from '@sallyport/core'
import type { Change } from '../db/index.ts'

/** A call as far as its answer depends on it. */
export interface AnsweredCall {
  readonly org: OrgId
  readonly connection: ConnectionId
  readonly generation: number
  readonly provider: string
  readonly method: string
  /** At the provider, query included, without the credential. */
  readonly url: string
  /** Flat, as they go out but for the credential. */
  readonly headers: readonly string[]
  readonly gone?: AbortSignal
}

export interface Answers {
  /** The kept answer, or what `send` gives; it is asked with the headers that the call is to have. Throws as `send`. */
  answer(call: AnsweredCall, send: (headers: Headers) => Promise<Answer>): Promise<Answer>
  /** A call that may have changed something came to this end: what it may have changed is forgotten. */
  changed(call: AnsweredCall, end: { readonly status: number; readonly headers: Headers } | { readonly error: unknown }): Promise<void>
  /** Forgets what a change touches. */
  drop(change: Change | 'unknown'): void
}

/** Kept to be confirmed, or to stand in, for so long: an hour, which is also the longest that one may stand in. */
const KEEP_MS = 3_600_000

export function createAnswers({ clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics }): Answers {
  const fresh = (): AnswerCache =>
    answerCache({ store: new MemoryAnswerStore(), key: processKey(), keepMs: KEEP_MS, isOutage: isRenewalOutage, clock, metrics })
  let cache = fresh()
  return {
    answer: (call, send) => cache.policy((sent) => send(sent.headers))(callOf(call)),
    async changed(call, end) {
      const ended: Send = () =>
        'error' in end ? Promise.reject(end.error) : Promise.resolve({ status: end.status, headers: end.headers, body: null })
      // Its caller has the end already, or is about to: this is only told.
      await cache
        .policy(ended)(callOf(call))
        .catch(() => undefined)
    },
    drop(change) {
      if (change === 'unknown') cache = fresh()
      else if (change.table === 'connection') void cache.forget({ owner: change.org, integration: '', connection: change.id, provider: '' })
    },
  }
}

/** For names in this process's memory alone. */
function processKey() {
  const bytes = generateKeyBytes()
  try {
    return hmacKey(bytes)
  } finally {
    bytes.fill(0)
  }
}

/** A connection is of one integration for life, so its id alone tells whose an answer is. */
function callOf({ org, connection, generation, provider, method, url, headers: flat, gone }: AnsweredCall): Call {
  const headers = new Headers()
  for (let i = 0; i + 1 < flat.length; i += 2) headers.append(flat[i]!, flat[i + 1]!)
  const of = { owner: org, integration: '', provider, connection, generation }
  return { ...of, method, url, headers, body: null, ...(gone === undefined ? {} : { signal: gone }) }
}
