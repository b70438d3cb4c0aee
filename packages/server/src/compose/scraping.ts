/** Owns the metrics' own port. */
import type { Logger, MetricsRegistry } from '@sallyport/core'
import type { Config } from '../config.ts'
import { startMetricsServer, watchProcess } from '../metrics/index.ts'
import type { Closing } from './closing.ts'
import { listenError } from './listening.ts'

/**
 * The metrics' own port. In development a taken one is left to whoever has it: two gateways on one machine are usual there. In production
 * nobody would notice that a node isn't watched, so that the start is refused.
 * @throws HomeError
 */
export async function serveMetrics({ mode, metrics: at }: Config, metrics: MetricsRegistry, logger: Logger): Promise<Closing> {
  if (at.port === 0) return { close: () => Promise.resolve() }
  const figures = watchProcess(metrics)
  const render = (): string => {
    figures.collect()
    return metrics.render()
  }
  try {
    const server = await startMetricsServer(at, render)
    logger.info('Metrics', { url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${server.port}/metrics` })
    return {
      async close() {
        await server.close()
        figures.close()
      },
    }
  } catch (error) {
    figures.close()
    const refused = listenError(error as NodeJS.ErrnoException, at.port, at.host, 'SALLYPORT_METRICS')
    if (mode === 'production') throw refused
    logger.warn('No metrics: their port can not be listened on', { error: refused })
    return { close: () => Promise.resolve() }
  }
}
