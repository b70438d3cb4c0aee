/**
 * Owns the figures of the SDK's `request` over plain undici: what a call costs more, and what the cache saves. Refuses absolute promises: the ratios of
 * CPU time and allocations are what can be compared.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pairedRatio, spread } from './statistics.ts'

/** `undici`: a plain call. `request`: the SDK's, of what may not be kept; `confirmed`: of what a 304 confirms; `kept`: of what is fresh. */
export type Way = 'undici' | 'request' | 'confirmed' | 'kept'

/** One figure a round, each a call's: CPU time of the process and delay in microseconds, bytes allocated on the heap. */
export interface WayFigures {
  readonly cpuUs: number[]
  readonly bytes: number[]
  readonly p50Us: number[]
  readonly p99Us: number[]
}

export type SdkFigures = Readonly<Record<Way, WayFigures>>

export const SDK_PLANS = { tiny: { rounds: 2, calls: 5 }, quick: { rounds: 7, calls: 500 }, long: { rounds: 15, calls: 5_000 } } as const

/** In processes of its own: a provider, and the one that is measured. */
export async function measureSdk({ rounds, calls }: { readonly rounds: number; readonly calls: number }): Promise<SdkFigures> {
  const provider = fork(join(import.meta.dirname, 'sdk-provider.ts'))
  try {
    const origin = await messageOf<string>(provider)
    const worker = fork(join(import.meta.dirname, 'sdk-worker.ts'), [origin, String(rounds), String(calls)], {
      // A round's garbage is counted, not collected.
      execArgv: ['--expose-gc', '--max-semi-space-size=1024', '--min-semi-space-size=1024'],
    })
    return await messageOf<SdkFigures>(worker)
  } finally {
    provider.disconnect()
  }
}

/** @throws Error when it ends without one. */
async function messageOf<T>(child: ChildProcess): Promise<T> {
  const over = new AbortController()
  const ended = once(child, 'exit', { signal: over.signal }).then(([code]) => {
    throw new Error(`a process of the benchmark ended with ${String(code)} before it had figures`)
  })
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal: over.signal }), ended])) as [T]
    return message
  } finally {
    over.abort()
    ended.catch(() => undefined)
  }
}

const COLUMNS = ['cpuUs', 'bytes', 'p50Us', 'p99Us'] as const

/** Medians over the rounds, and beside each the ratio to plain undici in the same round. */
export function tableOfSdk(figures: SdkFigures): string {
  const cells = (way: Way): string[] =>
    COLUMNS.map((column) => {
      const of = figures[way][column]
      const ratio = pairedRatio(of, figures.undici[column])
      return `${spread(of).median.toFixed(0)} (${ratio.median.toFixed(2)} [${ratio.low.toFixed(2)}-${ratio.high.toFixed(2)}])`.padEnd(28)
    })
  const head = ['way', 'CPU us', 'bytes', 'p50 us', 'p99 us'].map((name, i) => name.padEnd(i === 0 ? 12 : 28)).join('')
  const rows = (Object.keys(figures) as Way[]).map((way) => way.padEnd(12) + cells(way).join(''))
  return ['SDK: one call after the other, 1 KB, a store in memory; in brackets the ratio to undici', head, ...rows].join('\n')
}
