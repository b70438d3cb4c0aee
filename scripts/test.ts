/**
 * `npm test [-- filter]`: the checks, the console's build, every test, and the registry of controls against what ran. Without a filter this is
 * the whole gate. The last line is `N passed, N failed`: tests, and each step that failed besides them counts as one.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { buildConsole } from './build-console.ts'
import { check } from './check.ts'
import { count, type Counts, type VitestReport } from './test-counts.ts'
import { commandStep, ROOT, runCommand, since, step } from './steps.ts'

const REPORT = join(ROOT, 'reports/vitest.json')

/** Runs vitest and counts what its report says. */
async function tests(filter: string[]): Promise<Counts> {
  mkdirSync(dirname(REPORT), { recursive: true })
  // An old report must not speak for a run that died.
  rmSync(REPORT, { force: true })
  const code = await runCommand({
    script: 'node_modules/vitest/vitest.mjs',
    args: ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`, ...filter],
    output: 'show',
  })
  return count(existsSync(REPORT) ? (JSON.parse(readFileSync(REPORT, 'utf8')) as VitestReport) : undefined, code)
}

async function main(filter: string[]): Promise<number> {
  const started = performance.now()
  const failedSteps = filter.length === 0 ? await check() : []
  const built = await step('console', buildConsole, (result) => result !== 'failed')
  if (built === 'failed') failedSteps.push('console')
  const counts = await step(
    'tests',
    () => tests(filter),
    ({ failed }) => failed === 0,
  )
  // The registry asks whether each named test ran, which after a filter says nothing.
  if (filter.length === 0 && existsSync(join(ROOT, 'scripts/controls.ts'))) {
    const held = await commandStep('controls', { script: 'scripts/controls.ts', args: ['--check'], output: 'show' })
    if (!held) failedSteps.push('controls')
  }
  const failed = counts.failed + failedSteps.length
  if (failedSteps.length > 0) console.log(`Failed besides tests: ${failedSteps.join(', ')}`)
  if (counts.skipped > 0) console.log(`${counts.skipped} skipped`)
  console.log(`Everything took ${since(started)}.`)
  console.log(`${counts.passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
