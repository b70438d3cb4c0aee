/** Owns starting the benchmark's processes on their cores, talking to them, and ending them. Refuses to go on when one ended early. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface Launch {
  readonly name: string
  /** The script to run under this Node. */
  readonly script: string
  readonly args?: readonly string[]
  readonly nodeArgs?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd: string
  /** The core it gets; absent: wherever the system puts it. */
  readonly core?: number | undefined
}

export interface Running {
  readonly name: string
  readonly pid: number
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>
  /** Sends an order and gives the answer of type `answers`. One order at a time. @throws Error when the process ends instead. */
  ask<Answer>(order: { readonly type: string }, answers: string): Promise<Answer>
  /** Asks it to end and resolves when it has. Idempotent. */
  stop(): Promise<void>
}

/** Starts a process and waits for its `{type: 'ready'}`. @throws Error when it ends instead; it has said why on standard error. */
export async function launch(options: Launch): Promise<Running> {
  const child = start(options)
  const ended = once(child, 'exit')
  const early = ended.then(([code, signal]: unknown[]) => {
    throw new Error(`${options.name} ended early (${String(code ?? signal)}).`)
  })
  // It ends at the end of every run; that is an error only to those who wait for an answer.
  early.catch(() => undefined)
  const answer = async <Answer>(type: string): Promise<Answer> => await Promise.race([messageOf<Answer>(child, type), early])
  const ready = await answer<Record<string, unknown>>('ready')
  let asked = false
  return {
    name: options.name,
    pid: child.pid!,
    ready,
    ask: async <Answer>(order: { readonly type: string }, answers: string): Promise<Answer> => {
      const answered = answer<Answer>(answers)
      child.send(order)
      return await answered
    },
    async stop() {
      if (!asked) child.kill('SIGTERM')
      asked = true
      await ended
    },
  }
}

/** In a group of its own: Ctrl-C in the terminal reaches the benchmark alone, which ends the others in order. */
function start({ script, args = [], nodeArgs = [], env = process.env, cwd, core }: Launch): ChildProcess {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', ...nodeArgs, script, ...args]
  const [file = '', ...rest] = core === undefined ? command : ['taskset', '--cpu-list', String(core), ...command]
  return spawn(file, rest, { cwd, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true })
}

async function messageOf<Answer>(child: ChildProcess, type: string): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const listen = (message: unknown): void => {
    if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== type) return
    child.off('message', listen)
    resolve(message as Answer)
  }
  child.on('message', listen)
  return await promise
}
