/** Owns the throw-away Redis of the test suite: loopback only, nothing on disk. Refuses to leave it running when this process dies. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { LastLines } from '../../../server/src/db/embedded/last-lines.ts'
import { systemProgram } from '../../../server/src/db/embedded/launch.ts'
import { findProgram } from './find-program.ts'
import { onFreePort } from './free-port.ts'
import { temporaryFolder } from './temporary-folder.ts'

export interface TestRedis {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  /** Ends the server and removes its folder. Idempotent. */
  stop(): Promise<void>
}

const READY = 'Ready to accept connections'

/**
 * `settings`: more of the program's own options, such as `['--requirepass', password]`; `{port}` in one is a free port.
 * @throws Error when no `redis-server` or `valkey-server` is on the search path, or it does not start.
 */
export async function startTestRedis(settings: readonly string[] = []): Promise<TestRedis> {
  const program = await findRedis()
  if (program === undefined) throw new Error('redis-server is not installed. On Debian: apt-get install redis-server')
  const folder = await temporaryFolder()
  try {
    return await onFreePort((port) => startOn(port, program, folder, settings))
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    throw error
  }
}

export function findRedis(): Promise<string | undefined> {
  return findProgram(['redis-server', 'valkey-server'])
}

async function startOn(port: number, program: string, folder: string, more: readonly string[]): Promise<TestRedis> {
  const setpriv = systemProgram('setpriv')
  const own = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, '--daemonize', 'no']
  const settings = [
    ...own,
    ...(more.includes('{port}') ? [] : ['--port', String(port)]),
    ...more.map((one) => one.replace('{port}', String(port))),
  ]
  const [file = program, ...args] = [...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL']), program, ...settings]
  const child = spawn(file, args, { cwd: folder, env: {}, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const output = new LastLines()
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => reject(new Error(`redis-server ended with ${code ?? signal} while starting:\n${output.text()}`)))
    child.stderr.on('data', (chunk: Buffer) => output.add(chunk))
    child.stdout.on('data', (chunk: Buffer) => {
      if (output.add(chunk).some((line) => line.includes(READY))) resolve()
    })
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit')
        child.kill('SIGKILL')
        await exit
      }
      await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}
