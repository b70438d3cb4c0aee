/**
 * `npm run bench`: the gateway's proxied call beside the upstream itself, a bare pass-through and Fastify with reply-from; then the figures of keys, of callers and of the SDK. Prints
 * tables and writes `reports/bench.json`, `reports/bench-keys.json`, `reports/bench-callers.json`, `reports/bench-flood.json`, `reports/bench-models.json`, `reports/bench-sdk.json`, `reports/bench-audit.json` and `reports/bench-rotation.json`. Exit code 1 when any answer was wrong or a record
 * was left behind, never for a figure.
 *
 *   npm run bench                   about four minutes
 *   npm run bench -- --long         about a quarter of an hour
 *   npm run bench -- --only keys    or calls, or callers, or flood, or models, or sdk, or audit, or rotation: 100,000 records turned under load, which the long one does too
 *   npm run bench -- --cpu-prof     with a CPU profile of the gateway in reports/profile
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { AUDIT_PLANS, measureAudit, tableOfAudit } from './audit.ts'
import { faultsOfFlood, FLOOD_PLANS, measureFlood, tableOfFlood } from './bad-keys.ts'
import { CALLERS_PLANS, measureCallers, tableOfCallers } from './callers.ts'
import { KEYS_PLANS, measureKeys, tableOfKeys } from './keys.ts'
import { faultsOfModels, measureModels, MODELS_PLANS, tableOfModels } from './models.ts'
import { PLANS } from './plan.ts'
import { errorsOf, tableOf } from './report.ts'
import { faultsOfRotation, measureRotation, ROTATION_RECORDS } from './rotation.ts'
import { runBenchmark } from './run.ts'
import { CROWD_PLANS, faultsOfCrowd, measureCrowd, tableOfCrowd } from './sdk-crowd.ts'
import { measureSdk, SDK_PLANS, tableOfSdk } from './sdk.ts'

const PARTS: readonly string[] = ['calls', 'keys', 'callers', 'flood', 'models', 'sdk', 'audit', 'rotation']
const REPORTS = join(dirname(import.meta.dirname), 'reports')

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      long: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
      'cpu-prof': { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  })
  const size = values.tiny ? 'tiny' : values.long ? 'long' : 'quick'
  const { only } = values
  if (only !== undefined && !PARTS.includes(only)) throw new Error(`--only takes one of ${PARTS.join(', ')}`)
  mkdirSync(REPORTS, { recursive: true })
  const code = only === undefined || only === 'calls' ? await calls(size, values['cpu-prof']) : 0
  if (only === undefined || only === 'keys') await keys(size)
  if (only === undefined || only === 'callers') await callers(size)
  const flooded = only === undefined || only === 'flood' ? await flood(size, values['cpu-prof']) : 0
  const modelled = only === undefined || only === 'models' ? await models(size, values['cpu-prof']) : 0
  const crowded = only === undefined || only === 'sdk' ? await sdk(size) : 0
  const logged = only === undefined || only === 'audit' ? await audit(size) : 0
  const turned = only === 'rotation' || (only === undefined && size !== 'quick') ? await rotation(size) : 0
  return Math.max(code, flooded, modelled, crowded, logged, turned)
}

type Size = keyof typeof PLANS

const progress = (what: string): void => console.log(`> ${what}`)

async function calls(size: Size, profiled: boolean): Promise<number> {
  const asked = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => asked.abort())
  const report = await runBenchmark({
    plan: PLANS[size],
    progress,
    signal: asked.signal,
    ...(profiled ? { profileDir: join(REPORTS, 'profile') } : {}),
  })
  write('bench.json', report)
  console.log(`\n${tableOf(report)}\n\nAll samples: reports/bench.json\n`)
  return Object.keys(errorsOf(report)).length === 0 ? 0 : 1
}

async function keys(size: Size): Promise<void> {
  const report = await measureKeys(KEYS_PLANS[size], progress)
  write('bench-keys.json', report)
  console.log(`\n${tableOfKeys(report)}\n\nAll figures: reports/bench-keys.json`)
}

async function callers(size: Size): Promise<void> {
  const report = await measureCallers(CALLERS_PLANS[size], progress)
  write('bench-callers.json', report)
  console.log(`\n${tableOfCallers(report)}\n\nAll figures: reports/bench-callers.json`)
}

async function flood(size: Size, profiled: boolean): Promise<number> {
  const report = await measureFlood(FLOOD_PLANS[size], progress, profiled ? join(REPORTS, 'profile') : undefined)
  write('bench-flood.json', report)
  console.log(`\n${tableOfFlood(report)}\n\nAll figures: reports/bench-flood.json`)
  return faultsOfFlood(report) === 0 ? 0 : 1
}

async function models(size: Size, profiled: boolean): Promise<number> {
  const report = await measureModels(MODELS_PLANS[size], progress, profiled ? join(REPORTS, 'profile') : undefined)
  write('bench-models.json', report)
  console.log(`\n${tableOfModels(report)}\n\nAll figures: reports/bench-models.json`)
  return faultsOfModels(report) === 0 ? 0 : 1
}

async function sdk(size: Size): Promise<number> {
  progress('the calls of the SDK')
  const figures = await measureSdk(SDK_PLANS[size])
  write('bench-sdk.json', figures)
  console.log(`\n${tableOfSdk(figures)}\n\nAll figures: reports/bench-sdk.json`)
  const crowd = await measureCrowd(CROWD_PLANS[size], progress)
  write('bench-sdk-crowd.json', crowd)
  console.log(`\n${tableOfCrowd(crowd)}\n\nAll figures: reports/bench-sdk-crowd.json`)
  return faultsOfCrowd(crowd) === 0 ? 0 : 1
}

async function audit(size: Size): Promise<number> {
  const figures = await measureAudit(AUDIT_PLANS[size], progress)
  write('bench-audit.json', figures)
  console.log(`\n${tableOfAudit(figures)}\n\nAll figures: reports/bench-audit.json`)
  return figures.faults === 0 ? 0 : 1
}

async function rotation(size: Size): Promise<number> {
  const records = ROTATION_RECORDS[size]
  const figures = await measureRotation(records, progress)
  write('bench-rotation.json', figures)
  console.log(`\n${JSON.stringify(figures, undefined, 2)}`)
  return faultsOfRotation(figures, records) === 0 ? 0 : 1
}

function write(name: string, report: object): void {
  writeFileSync(join(REPORTS, name), `${JSON.stringify(report, null, 2)}\n`)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error && error.name === 'AbortError' ? 'Stopped.' : error)
  process.exitCode = 1
}
