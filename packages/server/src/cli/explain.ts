/** Owns what a person at the terminal is told about a failure, and the exit code that goes with it. Refuses the texts of foreign errors. */
import { describeError, SallyportError } from '@sallyport/core'
import { ConfigError } from '../config.ts'

export const EXIT = { done: 0, fault: 1, usage: 2, configuration: 3, startRefused: 4, checkFailed: 5 } as const

export interface Explanation {
  readonly code: number
  readonly message: string
}

/** What to do, where the part that failed can't know it. */
const ADVICE: Readonly<Record<string, string>> = {
  database_unavailable: '. Check that the server of SALLYPORT_DATABASE_URL runs and lets this machine in, then start again',
  root_key_missing: '. Put it back into SALLYPORT_ENCRYPTION_KEYS, or the file of root keys; nothing was changed',
}

/** One message: what is wrong and what to do. Our own errors speak for themselves; others are named by their code alone. */
export function explain(error: unknown): Explanation {
  if (error instanceof ConfigError) return { code: EXIT.configuration, message: error.message }
  if (error instanceof SallyportError)
    return { code: EXIT.startRefused, message: `${error.message}${ADVICE[error.code] ?? ''} [${error.code}]` }
  const { name, code, stack = [] } = describeError(error)
  return { code: EXIT.fault, message: [`an unexpected fault (${code ?? name}). Please report it with these lines:`, ...stack].join('\n  ') }
}
