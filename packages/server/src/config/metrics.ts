/** Owns the settings of the metrics' own port, and what must be true of them. Refuses to open it to a network by a wrong address alone. */
import { z } from 'zod'
import type { ConfigFault } from './config-error.ts'
import { hostFault, isLoopback } from './network-text.ts'
import { integer, oneOf, setting, textWithout } from './setting.ts'

const reach = oneOf(['loopback', 'network'])

export const metrics = z.strictObject({
  host: setting(textWithout(hostFault).default('127.0.0.1'), {
    kind: 'text',
    expects: 'an IP address or a host name',
    about: 'Address of `GET /metrics`. One that other machines reach needs `metrics.reach: network` as well.',
  }),
  port: integer({ min: 0, max: 65_535, by: 9464 }, 'Port of `GET /metrics`, a server of its own; 0: off.'),
  reach: setting(reach.schema.default('loopback'), {
    kind: 'text',
    expects: reach.expects,
    about:
      '`network` lets `metrics.host` be an address that others reach. Nobody signs in there: what keeps strangers out is then your network. Metrics hold counts, ages and names of providers, and no tenant.',
  }),
})

interface Judged {
  readonly mode?: 'development' | 'production' | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly metrics: Partial<z.output<typeof metrics>>
}

const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

export function metricsFaults({ mode, host, port, metrics: own }: Judged): ConfigFault[] {
  if (own.port === 0) return []
  const gateway = host ?? (mode === 'production' ? '0.0.0.0' : '127.0.0.1')
  const meets = own.host !== undefined && (own.host === gateway || EVERYWHERE.has(gateway) || EVERYWHERE.has(own.host))
  return [
    ...(own.host !== undefined && own.reach === 'loopback' && !isLoopback(own.host)
      ? [{ setting: 'metrics.host', reason: 'must be a loopback address, unless metrics.reach is network' }]
      : []),
    ...(own.port !== undefined && own.port === port && meets ? [{ setting: 'metrics.port', reason: 'must be another than port' }] : []),
  ]
}
