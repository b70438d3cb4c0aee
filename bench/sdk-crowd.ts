/** Owns the figures of an SDK with many callers and many connections, and their table. */
import { measureFootprint } from './sdk-footprint.ts'
import type { FootprintFigures } from './sdk-footprint.ts'
import { measureStorm } from './sdk-storm.ts'
import type { StormFigures } from './sdk-storm.ts'

export interface CrowdFigures {
  readonly storm: StormFigures
  readonly footprint: FootprintFigures
}

export const CROWD_PLANS = {
  quick: { callers: 1_000, rounds: 5, connections: 10_000 },
  long: { callers: 1_000, rounds: 15, connections: 100_000 },
  tiny: { callers: 20, rounds: 2, connections: 200 },
} as const

export async function measureCrowd(
  plan: (typeof CROWD_PLANS)[keyof typeof CROWD_PLANS],
  progress: (what: string) => void,
): Promise<CrowdFigures> {
  progress(`${plan.callers} callers at once of a user whose token has died`)
  const storm = await measureStorm(plan)
  return { storm, footprint: await measureFootprint(plan.connections, progress) }
}

export function tableOfCrowd({ storm, footprint }: CrowdFigures): string {
  const { bytesEach, importMs, installBytes } = footprint
  const kilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} KB`
  const dependencies = Object.values(installBytes.dependencies).reduce((sum, bytes) => sum + bytes, 0)
  const ms = (value: number): string => `${Math.round(value)} ms`
  const rows: readonly (readonly [string, string])[] = [
    [`token calls for ${storm.callers} callers at once, each of ${storm.rounds} times`, String(storm.tokenCalls / storm.rounds)],
    [
      `a caller's wait beside a token call of ${storm.tokenLatencyMs} ms, p50 / p99`,
      `${ms(storm.p50Ms.median)} / ${ms(storm.p99Ms.median)}`,
    ],
    ['a stored connection: memory / Redis / Postgres', `${bytesEach.memory} / ${bytesEach.redis} / ${bytesEach.postgres} bytes`],
    ['import, out of the sources', ms(importMs.median)],
    ['sources / dependencies on a disk', `${kilobytes(installBytes.own)} / ${kilobytes(dependencies)}`],
  ]
  return ['| many callers, many connections | |', '| --- | --- |', ...rows.map(([what, figure]) => `| ${what} | ${figure} |`)].join('\n')
}

/** Callers without an answer, and refreshes beyond one a round. */
export function faultsOfCrowd({ storm }: CrowdFigures): number {
  return storm.errors + Math.abs(storm.tokenCalls - storm.rounds)
}
