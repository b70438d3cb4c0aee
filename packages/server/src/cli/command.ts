import { SallyportError } from '@sallyport/core'
import type { Config } from '../config.ts'

/** What every command gets. */
export interface CommandContext {
  readonly config: Config
  /** The words after the command's name, without `--json`. */
  readonly args: readonly string[]
  /** Print JSON instead of text. */
  readonly json: boolean
  readonly print: (text: string) => void
}

/** A command that can't be carried out as it was given. The message says what to do. */
export class CommandError extends SallyportError<'command_refused'> {
  constructor(message: string) {
    super('command_refused', message)
  }
}
