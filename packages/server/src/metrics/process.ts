/** Owns what the process tells of itself, read when somebody asks. Refuses to measure in between, but for the event loop's delay. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Metrics } from '@sallyport/core'

export interface ProcessFigures {
  /** Puts the figures of this moment into the registry. */
  collect(): void
  close(): void
}

const NANOSECONDS = 1e9
const MICROSECONDS = 1e6
/** Coarse: it is a timer of its own, and a loop that is late by less troubles nobody. */
const DELAY_RESOLUTION_MS = 20

export function watchProcess(metrics: Metrics): ProcessFigures {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  delay.enable()
  let counted = 0
  metrics.gauge('process_start_time_seconds', {}, Math.round(performance.timeOrigin) / 1000)

  return {
    collect() {
      const { user, system } = process.cpuUsage()
      const cpu = (user + system) / MICROSECONDS
      metrics.count('process_cpu_seconds_total', {}, Math.max(0, cpu - counted))
      counted = cpu
      const { rss, heapUsed, external } = process.memoryUsage()
      metrics.gauge('process_resident_memory_bytes', {}, rss)
      metrics.gauge('nodejs_heap_used_bytes', {}, heapUsed)
      metrics.gauge('nodejs_external_memory_bytes', {}, external)
      for (const quantile of ['0.5', '0.99', '1']) {
        // Without a sample yet the histogram answers 0; the resolution itself is no delay.
        const late = delay.percentile(Number(quantile) * 100) / NANOSECONDS - DELAY_RESOLUTION_MS / 1000
        metrics.gauge('nodejs_event_loop_delay_seconds', { quantile }, Math.max(0, late))
      }
      delay.reset()
    },
    close: () => delay.disable(),
  }
}
