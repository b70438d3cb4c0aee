/** Owns worker processes of a proof, seen from outside: started, asked, stopped, paused, killed. Refuses to leave one behind. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { NodeProcess } from './slot.ts'
import type { Said, WorkerAnswers, WorkerCommand, WorkerSettings } from './worker-messages.ts'

/** The worker ended before it answered. */
export class WorkerGone extends Error {
  constructor(node: string) {
    super(`${node} ended before it answered`)
  }
}

export interface Worker extends NodeProcess {
  /** @throws WorkerGone */
  ask<C extends WorkerCommand>(command: C): Promise<WorkerAnswers[C['do']]>
}

export async function startWorker(settings: WorkerSettings): Promise<Worker> {
  const child = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(settings)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const pending = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>()
  const ended = once(child, 'exit').then(() => {
    for (const { reject } of pending.values()) reject(new WorkerGone(settings.node))
    pending.clear()
  })
  await new Promise<void>((resolve, reject) => {
    void ended.then(() => reject(new WorkerGone(settings.node)))
    child.on('message', (said: Said) => {
      if (said.said === 'ready') return resolve()
      const asker = pending.get(said.id)
      pending.delete(said.id)
      if (said.said === 'answer') asker?.resolve(said.answer)
      else asker?.reject(new Error(`${settings.node}: ${said.why}`))
    })
  })
  const alive = (): boolean => child.exitCode === null && child.signalCode === null
  let asked = 0
  return {
    node: settings.node,
    alive,
    ended,
    ask: <C extends WorkerCommand>(command: C) =>
      new Promise<WorkerAnswers[C['do']]>((resolve, reject) => {
        if (!alive()) return reject(new WorkerGone(settings.node))
        const id = asked++
        pending.set(id, { resolve: resolve as (answer: unknown) => void, reject })
        child.send({ id, command }, (error) => {
          if (error === null || !pending.delete(id)) return
          reject(new WorkerGone(settings.node))
        })
      }),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    terminate: (patienceMs) => terminate(child, ended, patienceMs),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }
}

async function terminate(child: ChildProcess, ended: Promise<void>, patienceMs: number): Promise<number | null> {
  const late = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  child.kill('SIGTERM')
  await ended
  clearTimeout(late)
  return child.exitCode
}
