/**
 * The two processes of `npm start`: the sandbox providers and the gateway. Each runs in a process group of its own, so that Ctrl-C in the terminal
 * reaches only the starter, which stops them in order. Both notice when the starter is gone: the sandbox by its standard input, the gateway by its
 * channel.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Sandbox } from '@sallyport/sandbox'
import { ROOT } from '../steps.ts'

export type SandboxOrigins = Pick<Sandbox, 'github' | 'google' | 'models'>

/** What the gateway says once it listens. The links are absent when it has an owner who signs in otherwise. */
export interface GatewayReady {
  type: 'ready'
  url: string
  ownerLink: string | null
  starterToken: string | null
}

/** A process that ended before it was ready. It has said why on standard error. */
export class EndedEarly extends Error {
  readonly exitCode: number

  constructor(what: string, exitCode: number) {
    super(`${what} did not start.`)
    this.exitCode = exitCode
  }
}

export interface Running<Ready> {
  /** Rejects with EndedEarly when the process ends instead of becoming ready. */
  ready: Promise<Ready>
  /** Resolves with the exit code when the process ends, whoever ended it; a signal counts as 1. */
  ended: Promise<number>
  /** Asks the process to end and resolves when it has, with its exit code. Safe to call again. */
  stop(): Promise<number>
}

/** Starts the sandbox providers, which remember what was granted in `stateFile`. */
export function startSandboxProcess(stateFile: string): Running<SandboxOrigins> {
  const child = start(['packages/sandbox/src/main.ts', '--state-file', stateFile], ['pipe', 'pipe', 'inherit'], process.env)
  return running(
    'The sandbox',
    child,
    firstLine(child).then((line) => JSON.parse(line) as SandboxOrigins),
  )
}

/** Starts the gateway with `settings` over the environment. */
export function startGatewayProcess(settings: Record<string, string>): Running<GatewayReady> {
  const child = start(['packages/server/src/main.ts', 'serve'], ['ignore', 'inherit', 'inherit', 'ipc'], { ...process.env, ...settings })
  return running('The gateway', child, readyMessage(child))
}

function running<Ready>(what: string, child: ChildProcess, ready: Promise<Ready>): Running<Ready> {
  const end = endOf(child)
  let asked = false
  // Until it is ready a process has nothing to drain, and may well die of the signal itself; that is an end in order too.
  const ended = end.then(({ code, signal }) => code ?? (asked && signal === 'SIGTERM' ? 0 : 1))
  const early = ended.then((code) => {
    throw new EndedEarly(what, code === 0 ? 1 : code)
  })
  return {
    ready: Promise.race([ready, early]),
    ended,
    stop: () => {
      // One signal, however often it is asked: a second one would cut what is draining.
      if (!asked) child.kill('SIGTERM')
      asked = true
      return ended
    },
  }
}

type Stdio = ('pipe' | 'inherit' | 'ignore' | 'ipc')[]

function start(args: string[], stdio: Stdio, env: NodeJS.ProcessEnv): ChildProcess {
  // DEBUG would make the emulators print codes and tokens.
  const { DEBUG: _debug, ...rest } = env
  const [script = '', ...more] = args
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, script), ...more], {
    cwd: ROOT,
    stdio,
    env: rest,
    detached: true,
  })
}

interface End {
  code: number | null
  signal: NodeJS.Signals | null
}

async function endOf(child: ChildProcess): Promise<End> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return { code, signal }
}

/** The first line of standard output. Never resolves when the process says nothing; the caller watches its end. */
async function firstLine(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  if (child.stdout !== null) createInterface(child.stdout).once('line', resolve)
  return await promise
}

async function readyMessage(child: ChildProcess): Promise<GatewayReady> {
  const { promise, resolve } = Promise.withResolvers<GatewayReady>()
  child.on('message', (message) => {
    if (isReady(message)) resolve(message)
  })
  return await promise
}

function isReady(message: unknown): message is GatewayReady {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready' && 'url' in message
}
