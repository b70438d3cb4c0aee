/**
 * `npm start`: the gateway with its console on an embedded database, beside the sandbox providers, with accounts connected and a key in hand.
 * Development mode, this machine only. It starts and stops processes and prints what the reader needs; it destroys nothing, whatever fails.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { buildConsole } from './build-console.ts'
import {
  EndedEarly,
  startGatewayProcess,
  startSandboxProcess,
  type GatewayReady,
  type Running,
  type SandboxOrigins,
} from './start/processes.ts'
import { MODEL_PROVIDERS, provision, type Provision } from './start/provision.ts'
import { ROOT, since, step } from './steps.ts'

/** Why the start stopped, in one sentence for the reader, with what to do. */
class StartRefused extends Error {}

/** Exit code of a start that was refused; the gateway uses the same. */
const REFUSED = 4

/** A process ended that should go on. */
class EndedByItself extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode === 0 ? 1 : exitCode
  }
}

/** Starts everything and says so. Never resolves. @throws what stopped the start, or EndedByItself. */
async function serve(running: Running<unknown>[]): Promise<never> {
  const started = performance.now()
  const dataDir = prepareDataDir()
  const built = await buildConsole()
  if (built === 'failed') throw new StartRefused('The console could not be built; the message is above.')
  if (built === 'built') console.log('Built the console.')

  const sandbox = startSandboxProcess(join(dataDir, 'start.sandbox.json'))
  running.push(sandbox)
  const origins = await step(
    'sandbox providers',
    () => sandbox.ready,
    () => true,
  )
  const gateway = startGatewayProcess(settingsFor(dataDir, origins))
  running.push(gateway)
  const ready = await step(
    'gateway',
    () => gateway.ready,
    () => true,
  )
  const made = await step(
    'accounts and key',
    () => provisioned(dataDir, ready, origins),
    () => true,
  )
  console.log(welcome(ready, origins, made, dataDir, since(started)))

  const [what, code] = await Promise.race([
    gateway.ended.then((exit) => ['The gateway', exit] as const),
    sandbox.ended.then((exit) => ['The sandbox', exit] as const),
  ])
  throw new EndedByItself(`${what} ended by itself (exit ${code}). Start again with npm start.`, code)
}

/** The data folder, absolute and there. What the gateway keeps in it is the gateway's alone; files of the starter are called start.*. */
function prepareDataDir(): string {
  if ((process.env.SALLYPORT_MODE ?? 'development') !== 'development') {
    throw new StartRefused('npm start runs in development mode only. Unset SALLYPORT_MODE, or run the gateway itself: npx sallyport serve.')
  }
  if (process.env.SALLYPORT_CONFIG !== undefined) {
    throw new StartRefused(
      'npm start writes a configuration of its own. Unset SALLYPORT_CONFIG, or run the gateway itself: npx sallyport serve.',
    )
  }
  const dataDir = resolve(ROOT, process.env.SALLYPORT_DATA_DIR ?? '.sallyport')
  try {
    makeFolder(dataDir)
    writePrivately(configFile(dataDir), '{}\n')
    writePrivately(priceFile(dataDir), `${JSON.stringify(SANDBOX_PRICES, null, 2)}\n`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartRefused(
      `The data folder ${dataDir} cannot be written (${code}). Make it writable, or name another one in SALLYPORT_DATA_DIR.`,
    )
  }
  return dataDir
}

/** Makes a folder and its missing parents, one by one: the recursive call of Node never returns on file systems that take no folders, as /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  mkdirSync(folder, { mode: 0o700 })
}

function configFile(dataDir: string): string {
  return join(dataDir, 'start.config.yaml')
}

function priceFile(dataDir: string): string {
  return join(dataDir, 'start.prices.json')
}

/** So that there is something to count and to bound: about what a small model costs. */
const SANDBOX_PRICES = {
  currency: 'USD',
  prices: MODEL_PROVIDERS.map(({ id }) => ({ provider: id, model: 'sandbox-*', input: '1.00', cached: '0.10', output: '4.00' })),
}

/** The gateway's environment, with a file that points providers at the sandbox and opens exactly those loopback origins. */
function settingsFor(dataDir: string, { github, google, models }: SandboxOrigins): Record<string, string> {
  const overlay = ({
    authorizationEndpoint,
    tokenEndpoint,
    userinfoEndpoint,
    apiBase,
    revocationEndpoint,
  }: SandboxOrigins['github']): Record<string, string> => ({
    authorizationEndpoint,
    tokenEndpoint,
    userinfoEndpoint,
    apiBase,
    ...(revocationEndpoint === undefined ? {} : { revocationEndpoint }),
  })
  const config = {
    egress: { insecureAllowOrigins: [github.origin, google.origin, models.origin] },
    providers: { github: overlay(github), google: overlay(google) },
    models: {
      providers: MODEL_PROVIDERS.map(({ id, dialect, name, more }) => ({ id, dialect, name, base: models.bases[dialect], ...more })),
    },
    usage: { prices: priceFile(dataDir) },
  }
  // JSON is YAML.
  writePrivately(configFile(dataDir), `# Written by npm start, anew each time.\n${JSON.stringify(config, null, 2)}\n`)
  return {
    SALLYPORT_MODE: 'development',
    SALLYPORT_DATA_DIR: dataDir,
    SALLYPORT_CONFIG: configFile(dataDir),
    SALLYPORT_LOG_LEVEL: process.env.SALLYPORT_LOG_LEVEL ?? 'warn',
  }
}

async function provisioned(dataDir: string, ready: GatewayReady, sandbox: SandboxOrigins): Promise<Provision> {
  const file = join(dataDir, 'start.json')
  const made = await provision({
    url: ready.url,
    sandbox,
    starterToken: ready.starterToken,
    remembered: readProvision(file),
    report: (what) => console.log(`  ${what} ...`),
  })
  writePrivately(file, `${JSON.stringify(made, null, 2)}\n`)
  return made
}

/** What the last start left, or undefined when there is nothing usable: everything in the file can be made again. */
function readProvision(file: string): Provision | undefined {
  try {
    const { key, connections } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Provision>
    return typeof key === 'string' && typeof connections?.github === 'string' && typeof connections.google === 'string'
      ? { key, connections }
      : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** For the owner's eyes only, and whole or not at all. */
function writePrivately(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

function welcome({ url, ownerLink }: GatewayReady, sandbox: SandboxOrigins, made: Provision, dataDir: string, took: string): string {
  const call = new URL('/proxy/github/user/repos', url).href
  const chat = new URL('/llm/sandbox/v1/chat/completions', url).href
  const prompt = JSON.stringify({ model: sandbox.models.model, stream: true, messages: [{ role: 'user', content: 'count to 9' }] })
  return `
Sallyport is ready (${took}).

  Console   ${ownerLink ?? new URL('/console/', url).href}
            (signs its owner in once; every start prints a new link)
  API       ${new URL('/docs', url).href}
  API key   ${made.key}

Repositories of a connected GitHub account, with a token that never leaves the gateway:

  curl -H 'Authorization: Bearer ${made.key}' -H 'Sallyport-Connection: ${made.connections.github}' ${call}

A model's answer, word by word, with a vendor's key that never leaves it either:

  curl -N -H 'Authorization: Bearer ${made.key}' -H 'Content-Type: application/json' -d '${prompt}' ${chat}

Data      ${dataDir}
Sandbox   GitHub ${sandbox.github.origin}, Google ${sandbox.google.origin}, models ${sandbox.models.origin}
Ctrl-C stops everything.
`
}

/** Resolves at the first signal to stop. Later ones change nothing: what drains is left to drain. */
function stopSignal(): Promise<void> {
  return new Promise((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop())
  })
}

/** Stops in the order opposite to the start: the gateway first, while its providers still answer. Gives the first exit code that is not 0. */
async function stopAll(running: Running<unknown>[]): Promise<number> {
  let worst = 0
  for (const process of running.toReversed()) {
    const code = await process.stop()
    if (worst === 0) worst = code
  }
  return worst
}

async function main(): Promise<number> {
  const running: Running<unknown>[] = []
  try {
    await Promise.race([stopSignal(), serve(running)])
    console.log('\nStopping ...')
    return await stopAll(running)
  } catch (error) {
    const code = explained(error)
    await stopAll(running)
    return code
  }
}

/** Says what went wrong, once, and gives the exit code. */
function explained(error: unknown): number {
  // A process that ended early has said why itself.
  if (error instanceof EndedEarly) return error.exitCode
  console.error(error instanceof Error ? error.message : String(error))
  if (error instanceof EndedByItself) return error.exitCode
  return error instanceof StartRefused ? REFUSED : 1
}

process.exit(await main())
