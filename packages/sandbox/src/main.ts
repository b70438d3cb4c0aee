/**
 * The sandbox as a process of its own. One JSON line on standard output says where it listens; then it serves until SIGTERM, SIGINT or the end
 * of its standard input, which is how it notices that whoever started it is gone.
 *
 *   main.ts [--state-file FILE] [--github-port N] [--google-port N] [--models-port N]
 */
import { parseArgs } from 'node:util'
import { startSandbox, type SandboxOptions } from './sandbox.ts'

function optionsFrom(args: string[]): SandboxOptions {
  const { values } = parseArgs({
    args,
    options: {
      'state-file': { type: 'string' },
      'github-port': { type: 'string' },
      'google-port': { type: 'string' },
      'models-port': { type: 'string' },
    },
  })
  return {
    ...(values['state-file'] === undefined ? {} : { stateFile: values['state-file'] }),
    github: portFrom('--github-port', values['github-port']),
    google: portFrom('--google-port', values['google-port']),
    // A pace at which a reader sees the words come.
    models: { ...portFrom('--models-port', values['models-port']), pauseMs: 40 },
  }
}

function portFrom(option: string, value: string | undefined): { port?: number } {
  if (value === undefined) return {}
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) throw new Error(`${option} takes a port from 0 to 65535.`)
  return { port: Number(value) }
}

/** Resolves with the first reason to end. */
function told(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
    process.stdin.once('close', () => resolve())
    process.stdin.resume()
  })
}

try {
  const end = told()
  const sandbox = await startSandbox(optionsFrom(process.argv.slice(2)))
  // Methods have no place in JSON and fall away.
  process.stdout.write(`${JSON.stringify(sandbox)}\n`)
  await end
  await sandbox.close()
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
