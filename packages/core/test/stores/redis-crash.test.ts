/** A Redis that is killed: what docs/stores.md promises of one that writes each command to disk first. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createRedisStore } from '../../src/index.ts'
import type { CredentialRef } from '../../src/index.ts'
import { findRedis } from '../../../testkit/src/servers/index.ts'
import { onFreePort } from '../../../testkit/src/servers/free-port.ts'
import { someTokens } from '../../../testkit/src/suites/index.ts'

async function redis(folder: string, port: number): Promise<ChildProcess> {
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
    '--save',
    '',
  ]
  const child = spawn((await findRedis())!, settings, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('redis-server ended while starting')))
    child.stdout.on('data', (chunk: Buffer) => chunk.includes('Ready to accept connections') && resolve())
  })
  return child
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

describe('a token store in a Redis that is killed', () => {
  it('has every write that it acknowledged, with appendfsync always, and goes on with the same store', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-redis-crash-'))
    const { port, server: first } = await onFreePort(async (port) => ({ port, server: await redis(folder, port) }))
    let server = first
    onTestFinished(() => void server.kill('SIGKILL'))
    const store = createRedisStore({ url: `redis://127.0.0.1:${port}`, encryption: { key: randomBytes(32).toString('hex') } })
    const acknowledged = new Map<string, { readonly ref: CredentialRef; readonly seq: bigint }>()
    for (let round = 0; round < 5; round++) {
      const writing = Array.from({ length: 4 }, async () => {
        for (;;) {
          const ref = { scope: 's', id: randomUUID() }
          const { seq } = await store.connect(ref, someTokens('kept'))
          acknowledged.set(ref.id, { ref, seq })
        }
      })
      const ended = Promise.allSettled(writing)
      const before = acknowledged.size
      await expect.poll(() => acknowledged.size, { interval: 5, timeout: 20_000 }).toBeGreaterThan(before + 20)
      await killed(server)
      await ended
      server = await redis(folder, port)
      await expect.poll(() => store.interrupted(1).catch(() => undefined), { timeout: 20_000 }).toEqual([])
    }
    for (const { ref, seq } of acknowledged.values()) expect((await store.read(ref))?.head.seq).toBe(seq)
    expect(store.durability.kind).toBe('durable')
    console.info(`redis: ${acknowledged.size} acknowledged writes, 5 kills, none lost`)
    await store.close()
    await killed(server)
    await rm(folder, { recursive: true, maxRetries: 10 })
  })
})
