/**
 * `sallyport doctor`: the configuration as it took effect, redacted, and where each part came from; and whether a Redis that it names answers.
 * Starts nothing and changes nothing.
 */
import { describeConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { redisAnswers } from '../credentials/index.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'

export async function doctorCommand({ config, json, print }: CommandContext): Promise<number> {
  const described = { ...describeConfig(config), ...(await healthOf(config)) }
  print(
    json
      ? JSON.stringify(described, undefined, 2)
      : Object.entries(described)
          .map(([name, value]) => `${name.padEnd(28)}${value}`)
          .join('\n'),
  )
  return EXIT.done
}

/** No fault of the configuration: the gateway starts and works without it, and every node says `degraded` until it answers. */
async function healthOf({ redisUrl }: Config): Promise<Readonly<Record<string, string>>> {
  if (redisUrl === undefined) return {}
  return { 'health.redis': (await redisAnswers(redisUrl)) ? 'answers' : 'does not answer; everything goes on without it, slower' }
}
