import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('drawing-process.ts', import.meta.url))

// The risk: a generator that a process takes along from its parent, or shares between threads, gives both the same nonces and states.
it('C-14 ids, states, salts and nonces of processes and threads that start at the same moment never repeat', async () => {
  const processes = [1, 2, 3].map(() => once(fork(SCRIPT), 'message') as Promise<[string[]]>)
  const threads = [1, 2, 3].map(() => once(new Worker(SCRIPT), 'message') as Promise<[string[]]>)
  const drawn = (await Promise.all([...processes, ...threads])).flatMap(([all]) => all)
  expect(drawn).toHaveLength(6 * 500 * 4)
  expect(new Set(drawn).size).toBe(drawn.length)
})
