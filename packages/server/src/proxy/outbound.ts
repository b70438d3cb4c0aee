/**
 * Owns how often and how many at once an integration's calls go out, and how often one is tried: what its policy asks for, and nothing without one.
 * Refuses to try again what can't be sent twice, and to keep a caller waiting for longer than ten seconds at a time.
 */
import { hasCode, Retries, systemPause, Turns } from '@sallyport/core'
import type { Clock, ConnectionId, IntegrationId, Metrics, OrgId, Tries } from '@sallyport/core'
import type { CallPolicy } from '../db/index.ts'
import { CallError } from './call.ts'

export interface OutboundOptions {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly pause?: typeof systemPause
  /** From 0 to below 1. */
  readonly random?: () => number
}

export interface OutboundCall {
  readonly org: OrgId
  readonly integration: IntegrationId
  readonly provider: string
  readonly connection: ConnectionId
  /** Aborts when the caller goes away. */
  readonly gone: AbortSignal
}

export interface Outbound {
  /** The tries of one call; undefined where the policy allows one. */
  tries(
    policy: CallPolicy,
    call: Pick<OutboundCall, 'org' | 'integration' | 'provider'> & {
      readonly host: string
      readonly method: string
      readonly isHarmless: boolean
      readonly isBodiless: boolean
    },
  ): Tries | undefined
  /** Waits before another try, or until the caller has gone. */
  pause(ms: number, gone: AbortSignal): Promise<void>
  /**
   * Waits for a turn under the policy's figures, and gives what ends it; undefined where there are none.
   * @throws CallError `overloaded` when too many wait, or none came in time; the signal's reason.
   */
  turn(policy: CallPolicy, call: OutboundCall): Promise<() => void> | undefined
}

/** Long enough for the provider's usual `Retry-After`, short enough for a caller who waits. */
const MAX_PAUSE_MS = 10_000
/** No try begins later than this after the call. */
const TRIED_FOR_MS = 30_000
const MAX_WAIT_MS = 10_000
const MAX_QUEUE = 100

export function createOutbound({ clock, metrics, pause = systemPause, random }: OutboundOptions): Outbound {
  const figures = { maxDelay: MAX_PAUSE_MS, maxRetryAfter: MAX_PAUSE_MS, clock, metrics }
  const retries = new Retries(random === undefined ? figures : { ...figures, random })
  const turns = new Turns({ queue: MAX_QUEUE, clock, pause, metrics })
  return {
    pause,
    tries({ retries: maxRetries }, { org, isBodiless, ...call }) {
      if (maxRetries === 0) return undefined
      const deadline = clock.monotonic() + TRIED_FOR_MS
      return retries.begin({ ...call, owner: org, isReplayable: isBodiless, deadline, maxRetries })
    },
    turn({ qps, concurrency }, { org, gone, ...call }) {
      if (qps === null && concurrency === null) return undefined
      const limits = { ...(qps === null ? {} : { qps }), ...(concurrency === null ? {} : { concurrency }) }
      const deadline = clock.monotonic() + MAX_WAIT_MS
      return turns.take({ ...call, owner: org, signal: gone, deadline }, limits).catch((error: unknown) => {
        if (!hasCode(error, 'queue_full') && !hasCode(error, 'deadline_exceeded')) throw error
        throw new CallError('overloaded', 'the limits of the integration', { cause: error, publicDetail: WAITS })
      })
    },
  }
}

const WAITS = 'More calls wait than the limits of this integration (call_policy) let out in ten seconds.'
