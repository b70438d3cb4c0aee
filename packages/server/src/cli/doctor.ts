/** `sallyport doctor`: the configuration as it took effect, redacted, and where each part came from. Starts nothing and changes nothing. */
import { describeConfig } from '../config.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'

export async function doctorCommand({ config, json, print }: CommandContext): Promise<number> {
  const described = describeConfig(config)
  print(
    json
      ? JSON.stringify(described, undefined, 2)
      : Object.entries(described)
          .map(([name, value]) => `${name.padEnd(28)}${value}`)
          .join('\n'),
  )
  return Promise.resolve(EXIT.done)
}
