/**
 * `npm run bench`: the gateway's proxied call beside the upstream itself, a bare pass-through and Fastify with reply-from. Prints a table and
 * writes `reports/bench.json`. Exit code 1 when any answer was wrong, never for a figure.
 *
 *   npm run bench                   about three minutes
 *   npm run bench -- --long         about a quarter of an hour
 *   npm run bench -- --cpu-prof     with a CPU profile of the gateway in reports/profile
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { PLANS } from './plan.ts'
import { errorsOf, tableOf } from './report.ts'
import { runBenchmark } from './run.ts'

const REPORTS = join(dirname(import.meta.dirname), 'reports')

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      long: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
      'cpu-prof': { type: 'boolean', default: false },
    },
  })
  const plan = values.tiny ? PLANS.tiny : values.long ? PLANS.long : PLANS.quick
  const asked = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => asked.abort())
  const report = await runBenchmark({
    plan,
    progress: (what) => console.log(`> ${what}`),
    signal: asked.signal,
    ...(values['cpu-prof'] ? { profileDir: join(REPORTS, 'profile') } : {}),
  })
  mkdirSync(REPORTS, { recursive: true })
  writeFileSync(join(REPORTS, 'bench.json'), `${JSON.stringify(report, null, 2)}\n`)
  console.log(`\n${tableOf(report)}\n\nAll samples: reports/bench.json`)
  return Object.keys(errorsOf(report)).length === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error && error.name === 'AbortError' ? 'Stopped.' : error)
  process.exitCode = 1
}
