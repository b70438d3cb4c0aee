/**
 * Owns the order of the policies. Refuses another one: what stands in for a failure must be outside of it, what counts tries inside of what
 * makes them.
 */
import type { Policy, Send } from './call.ts'

/** Each may be left out. */
export interface PipelinePolicies {
  /** Outermost, so that a kept answer can stand in for whatever fails inside. */
  readonly cache?: Policy
  /** Over all tries, all waiting and the body. */
  readonly deadline?: Policy
  /** Each try takes its own turn and its own verdict. */
  readonly retry?: Policy
  /** Before the queue, so that who would wait in vain is told at once. */
  readonly quota?: Policy
  /** Outside the breaker: who waited while it opened is not sent after all. */
  readonly limits?: Policy
  readonly breaker?: Policy
}

const OUTSIDE_IN = ['cache', 'deadline', 'retry', 'quota', 'limits', 'breaker'] as const

/** One function that sends a call by all of `policies` and at last by `send`, which puts the credential in. Bodies stream through all of it. */
export function composePipeline(policies: PipelinePolicies, send: Send): Send {
  return OUTSIDE_IN.reduceRight((next, name) => policies[name]?.(next) ?? next, send)
}
