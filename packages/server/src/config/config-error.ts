/** Owns the one failure of configuration: every fault at once. Refuses to repeat a value, because any of them may be a secret. */
import { SallyportError } from '@sallyport/core'

export interface ConfigFault {
  /** The setting in the file's spelling (`egress.totalTimeoutMs`), or the name that isn't one. */
  readonly setting: string
  /** Where the operator wrote it: a variable or the file. Absent when it was written nowhere. */
  readonly from?: string | undefined
  /** The end of a sentence: `must be a whole number from 1 to 65535`. Never quotes the value. */
  readonly reason: string
}

export class ConfigError extends SallyportError<'config_invalid'> {
  override readonly name = 'ConfigError'
  readonly faults: readonly ConfigFault[]

  constructor(faults: readonly ConfigFault[]) {
    super('config_invalid', `the configuration is refused:\n${faults.map(faultLine).join('\n')}\ndocs/config.md explains every setting.`)
    this.faults = faults
  }
}

function faultLine({ setting, from, reason }: ConfigFault): string {
  return from === undefined || from === setting ? `  ${setting} ${reason}` : `  ${setting} (${from}) ${reason}`
}
