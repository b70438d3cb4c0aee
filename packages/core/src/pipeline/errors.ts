/** Owns the ways in which the pipeline itself refuses a call. Refuses to speak for the provider: its answers and failures pass as they are. */
import { SallyportError } from '../kernel/index.ts'

/** Why a call was not made, or was given up: by a policy here, and not by the provider. */
export type PipelineErrorCode = 'circuit_open' | 'queue_full' | 'quota_exhausted' | 'deadline_exceeded'

const DETAIL: Record<PipelineErrorCode, string> = {
  circuit_open: 'The provider kept failing and is left alone for a while.',
  queue_full: 'Too many calls wait for this provider.',
  quota_exhausted: 'The provider allows no further calls for now.',
  deadline_exceeded: 'The call was not complete in the time it was given.',
}

/** `retryAfterMs` says when another try may do better, where that is known. */
export class PipelineError extends SallyportError<PipelineErrorCode> {
  readonly retryAfterMs: number | undefined

  constructor(code: PipelineErrorCode, retryAfterMs?: number) {
    super(code, code, { publicDetail: DETAIL[code] })
    this.retryAfterMs = retryAfterMs
  }
}
