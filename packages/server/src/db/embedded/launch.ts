/**
 * Owns the question under which account, and tied to whose life, a PostgreSQL program runs. Refuses to run it in a way that was not tried first.
 *
 * PostgreSQL refuses uid 0. As root there are two ways round it, tried in this order:
 *
 * 1. a user namespace in which our uid 0 is called 1. Files stay root's, folders under /root work, and no account is needed;
 * 2. where namespaces are forbidden (many containers), the account `nobody` with one ambient capability, CAP_DAC_OVERRIDE, so that it can pass through
 *    folders only root may enter. It then owns the cluster. No more power than way 1 gives.
 *
 * A cluster that already belongs to another account is run as that account, so that `sudo` once does not lock its owner out.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { DataDirError, systemErrorCode } from './errors.ts'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** A tried way to run PostgreSQL's programs. */
export interface Launch {
  /** Who must own the cluster and the socket folder; undefined: whoever we are. */
  readonly account: Account | undefined
  /** Full version of the server, such as `18.4`. */
  readonly version: string
  /** The command line of `program`, which gets `deathSignal` when the thread that spawned it ends, where the machine can promise that. */
  command(deathSignal: 'INT' | 'KILL', program: string, args: readonly string[]): [file: string, args: string[]]
}

/** Nothing of the gateway's environment reaches a database process: it holds keys. C messages, because readiness is read from the log. */
export const CHILD_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC' }

type Way = { account: Account | undefined; prefix: (deathSignal: string) => string[] }

const NOBODY: Account = { uid: 65_534, gid: 65_534 }
const run = promisify(execFile)

/**
 * Picks the first way that runs `postgres --version`. `owner`: who owns the existing cluster, undefined when there is none yet.
 * @throws DataDirError `postgres_unavailable` when none works.
 */
export async function chooseLaunch(postgres: string, owner: Account | undefined): Promise<Launch> {
  const failures: string[] = []
  for (const way of ways(owner)) {
    const command: Launch['command'] = (signal, program, args) => {
      const [file = program, ...rest] = [...way.prefix(signal), program, ...args]
      return [file, rest]
    }
    const tried = await tryVersion(...command('KILL', postgres, ['--version']))
    if ('version' in tried) return { account: way.account, version: tried.version, command }
    failures.push(tried.failure)
  }
  throw new DataDirError(
    'postgres_unavailable',
    `PostgreSQL cannot run on this machine (${[...new Set(failures)].join('; ')}). The bundled one needs Linux with glibc, and as root setpriv of util-linux; otherwise give a server with SALLYPORT_DATABASE_URL.`,
  )
}

function ways(owner: Account | undefined): Way[] {
  const setpriv = systemProgram('setpriv')
  const plain: Way = { account: undefined, prefix: () => [] }
  const tied: Way[] = setpriv === undefined ? [] : [{ account: undefined, prefix: (signal) => [setpriv, '--pdeathsig', signal] }]
  if (process.getuid?.() !== 0) return [...tied, plain]
  if (setpriv === undefined) return []
  if (owner !== undefined && owner.uid !== 0) return [asAccount(setpriv, owner)]
  const unshare = systemProgram('unshare')
  return [...(unshare === undefined ? [] : [inNamespace(unshare, setpriv)]), asAccount(setpriv, NOBODY)]
}

function inNamespace(unshare: string, setpriv: string): Way {
  return {
    account: undefined,
    prefix: (signal) => [unshare, '--user', '--map-user=1', '--map-group=1', setpriv, '--pdeathsig', signal],
  }
}

function asAccount(setpriv: string, account: Account): Way {
  const identity = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups']
  const capability = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override']
  return { account, prefix: (signal) => [setpriv, ...identity, ...capability, '--pdeathsig', signal] }
}

/** Looked up in fixed folders: the search path of the caller does not decide what runs with its rights. */
export function systemProgram(name: string): string | undefined {
  return ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'].map((folder) => `${folder}/${name}`).find((path) => existsSync(path))
}

async function tryVersion(file: string, args: string[]): Promise<{ version: string } | { failure: string }> {
  try {
    const { stdout } = await run(file, args, { env: CHILD_ENVIRONMENT, cwd: '/' })
    const version = /\d+\.\d+/.exec(stdout)?.[0]
    return version === undefined ? { failure: 'it does not tell its version' } : { version }
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').at(-1) : ''
    return { failure: stderr || systemErrorCode(error) || 'it ends at once' }
  }
}
