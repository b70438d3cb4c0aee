/** Owns the end of a call's time, its body included. Refuses calls without any end, and to let an inner policy work on for a caller who gave up. */
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { watched } from './body.ts'
import { discard } from './call.ts'
import type { Answer, Call, Policy, Send } from './call.ts'
import { PipelineError } from './errors.ts'
import { systemPause } from './time.ts'
import type { Pause } from './time.ts'

/** How long a call may take with all that is done for it. */
export interface DeadlineOptions {
  /** From here to the last byte of the answer, unless the call's own deadline is earlier. Milliseconds; 60,000 when absent. */
  readonly totalMs?: number
  readonly clock?: Clock
  readonly pause?: Pause
}

/**
 * The calls inside carry the deadline and a signal that aborts with a TimeoutError then. A body that is late errors with the same PipelineError.
 * @throws RangeError unless `totalMs` is above 0. The policy: PipelineError `deadline_exceeded`.
 */
export function deadline({ totalMs = 60_000, clock = systemClock, pause = systemPause }: DeadlineOptions = {}): Policy {
  if (!(totalMs > 0)) throw new RangeError('a deadline lies in the future')
  return (next) => async (call) => {
    const now = clock.monotonic()
    const at = Math.min(call.deadline ?? Infinity, now + totalMs)
    if (at <= now) throw new PipelineError('deadline_exceeded')
    return await timed(next, { ...call, deadline: at }, at - now, pause)
  }
}

async function timed(next: Send, call: Call, leftMs: number, pause: Pause): Promise<Answer> {
  const [late, settled] = [new AbortController(), new AbortController()]
  const exceeded = Promise.withResolvers<never>()
  // Whoever reads the body hears of it there.
  exceeded.promise.catch(() => undefined)
  void pause(leftMs, settled.signal).then(() => {
    if (settled.signal.aborted) return
    const error = new PipelineError('deadline_exceeded')
    exceeded.reject(error)
    late.abort(new DOMException(error.message, 'TimeoutError'))
    bodyLate.abort(error)
  })
  const bodyLate = new AbortController()
  const signal = call.signal === undefined ? late.signal : AbortSignal.any([call.signal, late.signal])
  const answering = (async () => await next({ ...call, signal }))()
  try {
    const answer = await Promise.race([answering, exceeded.promise])
    if (answer.ended !== undefined) void answer.ended.then(() => settled.abort())
    else if (answer.body === null) settled.abort()
    else return { ...answer, body: watched(answer.body, { end: () => settled.abort() }, bodyLate.signal) }
    return answer
  } catch (error) {
    settled.abort()
    // It may still come, from something that heeds no signal.
    answering.then(discard, () => undefined)
    throw error
  }
}
