/**
 * The one entry behind `npm start`, `npm test` and the other npm scripts. It runs on the Node that happens to be there (20 or newer, no
 * dependencies), installs what is missing, and hands over to the task under Node 24. It knows nothing of what the tasks do.
 *
 *   node scripts/run.mjs <start|test|check|bench|controls|docs|prove:refresh> [arguments of the task]
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const TASKS = {
  start: 'scripts/start.ts',
  test: 'scripts/test.ts',
  check: 'scripts/check.ts',
  bench: 'bench/main.ts',
  controls: 'scripts/controls.ts',
  docs: 'scripts/docs.ts',
  'prove:refresh': 'packages/testkit/src/refresh-proof/main.ts',
}

const WANTED_MAJOR = 24
const LOWEST_MAJOR = 20

class Refusal extends Error {}

async function main([task, ...args]) {
  if (majorOf(process.version) < LOWEST_MAJOR) {
    throw new Refusal(
      `Sallyport needs Node ${LOWEST_MAJOR} or newer to start; this is ${process.version}. Get one from https://nodejs.org.`,
    )
  }
  if (!Object.hasOwn(TASKS, task ?? '')) throw new Refusal(`Usage: node scripts/run.mjs <${Object.keys(TASKS).join('|')}> [arguments]`)
  // Imported late, so that an old Node gets the sentence above instead of a syntax error.
  const { installIfNeeded } = await import('./install.mjs')
  await installIfNeeded(ROOT)
  return await run(nodeForTasks(), join(ROOT, TASKS[task]), args)
}

/** The current Node when it is new enough, else the one that came with the install. */
function nodeForTasks() {
  if (majorOf(process.version) >= WANTED_MAJOR) return process.execPath
  const installed = join(ROOT, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (existsSync(installed)) return installed
  throw new Refusal(
    `Sallyport runs on Node ${WANTED_MAJOR}, and none is packaged for ${process.platform}-${process.arch}. ` +
      `Install Node ${WANTED_MAJOR} (https://nodejs.org) and run this again with it.`,
  )
}

/** Runs the task and gives its exit code. By path: a shell that cached where `node` is would start the old one. */
function run(node, script, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, ['--disable-warning=ExperimentalWarning', script, ...args], {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, PATH: [dirname(node), process.env.PATH].filter(Boolean).join(delimiter) },
    })
    forwardSignals(child)
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)))
  })
}

/** Ctrl-C in a terminal reaches the whole group, so the child has it already; sent by hand to this process alone, it must be passed on. */
function forwardSignals(child) {
  const inTerminal = process.stdin.isTTY === true || process.stdout.isTTY === true || process.stderr.isTTY === true
  process.on('SIGINT', () => {
    if (!inTerminal) child.kill('SIGINT')
  })
  process.on('SIGTERM', () => child.kill('SIGTERM'))
}

function majorOf(version) {
  return Number(/^v(\d+)/.exec(version)[1])
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    // A refusal or a failed install explains itself; anything else is ours to find, with its stack.
    console.error(error instanceof Refusal || error.name === 'InstallFailed' ? error.message : error)
    process.exitCode = 1
  },
)
