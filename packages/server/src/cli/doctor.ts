/**
 * `sallyport doctor`: the configuration as it took effect, redacted, and where each part came from; whether a Redis that it names answers, until when
 * the certificate is good, and which stores are spoken to without verified TLS.
 * Starts nothing and changes nothing.
 */
import { createLogger, noMetrics, systemClock } from '@sallyport/core'
import { describeConfig, redisAddress } from '../config.ts'
import type { Config } from '../config.ts'
import { redisAnswers } from '../credentials/index.ts'
import { openConfiguredCertificate } from '../http/index.ts'
import { plaintextStores } from '../home/index.ts'
import type { PlaintextStore } from '../home/index.ts'
import type { CommandContext } from './command.ts'
import { EXIT, explain } from './explain.ts'

export async function doctorCommand({ config, json, print }: CommandContext): Promise<number> {
  const described = {
    ...describeConfig(config),
    ...(await healthOf(config)),
    ...(await certificateOf(config)),
    ...(await warningsOf(config)),
  }
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
async function healthOf(config: Config): Promise<Readonly<Record<string, string>>> {
  const redis = redisAddress(config)
  if (redis === undefined) return {}
  return { 'health.redis': (await redisAnswers(redis)) ? 'answers' : 'does not answer; everything goes on without it, slower' }
}

/** What a start would find. */
async function certificateOf({ tls }: Config): Promise<Readonly<Record<string, string>>> {
  const logger = createLogger({ level: 'silent', format: 'text' })
  try {
    const certificate = await openConfiguredCertificate(tls, { clock: systemClock, logger, metrics: noMetrics })
    return certificate === undefined ? {} : { 'health.tls': `the certificate ends ${certificate.endsAt.toISOString()}` }
  } catch (error) {
    return { 'health.tls': explain(error).message }
  }
}

const LEADS_TO: Readonly<Record<PlaintextStore['leadsTo'], string>> = {
  private: 'WITHOUT VERIFIED TLS, as insecureAllowPlaintextStores lets it: whoever is on the way reads along and may answer in its place',
  nowhere: 'WITHOUT VERIFIED TLS, and its name leads nowhere now',
  public: 'WITHOUT VERIFIED TLS towards a public address: the start will be refused',
}

async function warningsOf(config: Config): Promise<Readonly<Record<string, string>>> {
  if (config.mode !== 'production' && !config.insecureAllowPlaintextStores) return {}
  return Object.fromEntries((await plaintextStores(config)).map(({ setting, leadsTo }) => [`warning.${setting}`, LEADS_TO[leadsTo]]))
}
