/**
 * Owns a throw-away PgBouncer that hands out sessions by the transaction, as operators with many nodes run it. Refuses every login but the ones
 * it is given.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LastLines } from '../../../server/src/db/embedded/last-lines.ts'
import { systemProgram } from '../../../server/src/db/embedded/launch.ts'
import { findProgram } from './find-program.ts'
import { onFreePort } from './free-port.ts'
import { temporaryFolder } from './temporary-folder.ts'

export interface TestPgBouncer {
  /** The same login and database, through the pooler. */
  readonly url: string
  /** Ends the pooler and removes its folder. Idempotent. */
  stop(): Promise<void>
}

const NOBODY = 65_534
const READY = /process up/u

/**
 * @param url with the login and the database that the pooler leads to
 * @throws Error when it is not installed or does not start.
 */
export async function startPgBouncer(url: string): Promise<TestPgBouncer> {
  const program = await findPgBouncer()
  if (program === undefined) throw new Error('pgbouncer is not installed. On Debian: apt-get install pgbouncer')
  const folder = await temporaryFolder()
  try {
    return await onFreePort((port) => startOn(port, program, folder, new URL(url)))
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    throw error
  }
}

export function findPgBouncer(): Promise<string | undefined> {
  return findProgram(['pgbouncer'])
}

async function startOn(port: number, program: string, folder: string, to: URL): Promise<TestPgBouncer> {
  const asRoot = process.getuid?.() === 0
  const settings = join(folder, 'pgbouncer.ini')
  const users = join(folder, 'users.txt')
  await writeFile(settings, settingsFor(port, users, to))
  await writeFile(users, `"${decodeURIComponent(to.username)}" "${decodeURIComponent(to.password)}"\n`, { mode: 0o600 })
  if (asRoot) {
    // It refuses to run as root.
    await chmod(folder, 0o711)
    await Promise.all([settings, users].map((file) => chown(file, NOBODY, NOBODY)))
  }
  const setpriv = systemProgram('setpriv')
  const rights = asRoot ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []
  const wrapped = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', ...rights]
  const [file, ...args] = [...wrapped, program, settings]
  const child = spawn(file, args, { cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  const output = new LastLines()
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => reject(new Error(`pgbouncer ended with ${code ?? signal} while starting:\n${output.text()}`)))
    child.stderr.on('data', (chunk: Buffer) => {
      if (output.add(chunk).some((line) => READY.test(line))) resolve()
    })
  })
  const through = new URL(to)
  through.hostname = '127.0.0.1'
  through.port = String(port)
  return {
    url: through.href,
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

/** As docs/nodes.md has it. */
function settingsFor(port: number, users: string, to: URL): string {
  return `[databases]
${to.pathname.slice(1)} = host=${to.hostname} port=${to.port} connect_query='set statement_timeout = 15000; set lock_timeout = 5000; set idle_in_transaction_session_timeout = 30000'

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
ignore_startup_parameters = options, statement_timeout, lock_timeout, idle_in_transaction_session_timeout
`
}
