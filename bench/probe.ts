/**
 * Loaded into a proxy before anything else (`node --import`), in a run of its own: counts what the gateway asks of its database and how often it runs
 * the slow hash, and gives memory after a garbage collection. Never loaded where speed is measured. `BENCH_PACKAGES` is the folder whose
 * packages are counted; absent: only memory.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ProbeResult } from './messages.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const counts = { queries: 0, argon2: 0 }

type Method = (this: unknown, ...args: unknown[]) => unknown

function countCalls(of: Record<string, Method>, name: string, counter: keyof typeof counts): void {
  const original = of[name]
  if (original === undefined) throw new Error(`The probe found no ${name} to count.`)
  of[name] = function counted(...args) {
    counts[counter] += 1
    return original.apply(this, args)
  }
}

const packages = process.env['BENCH_PACKAGES']
if (packages !== undefined) {
  // Both are CommonJS: what stands in their exports now is what modules get that import them later.
  const require = createRequire(join(packages, 'package.json'))
  const pg = require('pg') as { Client: { prototype: Record<string, Method> } }
  const argon2 = require('@node-rs/argon2') as Record<string, Method>
  countCalls(pg.Client.prototype, 'query', 'queries')
  for (const name of ['hash', 'hashSync', 'verify', 'verifySync']) countCalls(argon2, name, 'argon2')
}

process.on('message', (message: unknown) => {
  if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'bench.probe') return
  const rssBefore = process.memoryUsage.rss()
  collectGarbage()
  const { rss: rssAfter, heapUsed, external } = process.memoryUsage()
  process.send?.({ type: 'bench.probe', ...counts, rssBefore, rssAfter, heldBytes: heapUsed + external } satisfies ProbeResult)
})
// Listening for orders is no reason to stay alive.
process.channel?.unref()
