/** Real processes on the stores: killed in the midst of refreshing, and stopped while they hold a lease. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createPostgresLeases, createPostgresStore, createRedisLeases, createRedisStore, leaseKey } from '../../src/index.ts'
import type { CredentialStore, LeaseKeeper } from '../../src/index.ts'
import { createDatabase, dropDatabase, startTestRedis } from '../../../testkit/src/servers/index.ts'
import { someTokens } from '../../../testkit/src/suites/index.ts'
import type { Order } from './child.ts'

const STALLED_AFTER_MS = 3_000
const encryption = { key: randomBytes(32).toString('hex') }

function child(): ChildProcess {
  return fork(join(import.meta.dirname, 'child.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

async function ordered(to: ChildProcess, order: Order): Promise<unknown> {
  const heard = once(to, 'message')
  to.send(order)
  const [{ answer, error }] = (await heard) as [{ answer?: unknown; error?: string }]
  if (error !== undefined) throw new Error(error)
  return answer
}

async function killed(one: ChildProcess): Promise<void> {
  const gone = once(one, 'exit')
  one.kill('SIGKILL')
  await gone
}

describe.each(['postgres', 'redis'] as const)('processes on %s', (kind) => {
  let url: string
  let close: () => Promise<void>
  let leases: LeaseKeeper
  let store: CredentialStore
  beforeAll(async () => {
    if (kind === 'redis') {
      const server = await startTestRedis()
      url = server.url
      close = () => server.stop()
      leases = createRedisLeases({ url })
      store = createRedisStore({ url, encryption })
    } else {
      const admin = inject('postgresUrl')
      const database = await createDatabase(admin)
      url = database.url
      close = () => dropDatabase(admin, database.name)
      leases = createPostgresLeases({ url, stalledAfterMs: STALLED_AFTER_MS })
      store = createPostgresStore({ url, encryption })
    }
  })
  afterAll(async () => {
    await leases.close()
    await store.close()
    await close()
  })

  async function freed(key: string): Promise<void> {
    await expect.poll(async () => (await leases.take(key)) !== undefined, { timeout: 20_000, interval: 50 }).toBe(true)
  }

  it('F-05 leave their leases when they are killed', async () => {
    const key = leaseKey({ scope: 's', id: randomUUID() })
    const one = child()
    expect(await ordered(one, { do: 'lease', kind, url, key, stalledAfterMs: STALLED_AFTER_MS })).toBe(true)
    expect(await leases.take(key)).toBeUndefined()
    await killed(one)
    const began = performance.now()
    await freed(key)
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('F-25 lose their leases when they are stopped for long, and know it when they go on', async () => {
    const key = leaseKey({ scope: 's', id: randomUUID() })
    const one = child()
    await ordered(one, { do: 'lease', kind, url, key, stalledAfterMs: STALLED_AFTER_MS })
    expect(await ordered(one, { do: 'prove' })).toBe(true)
    one.kill('SIGSTOP')
    await freed(key)
    one.kill('SIGCONT')
    expect(await ordered(one, { do: 'prove' })).toBe(false)
    await killed(one)
  })

  it('F-13 leave every lineage whole when they are killed at any moment, and every intent to be found', async () => {
    const refs = Array.from({ length: 8 }, () => ({ scope: 'a-provider', id: randomUUID() }))
    for (const ref of refs) await store.connect(ref, someTokens('first'))
    let interrupted = 0
    for (let round = 0; round < 4; round++) {
      const one = child()
      await ordered(one, { do: 'refresh', kind, url, key: encryption.key, refs })
      const before = (await store.read(refs[0]!))!.head.seq
      await expect.poll(async () => (await store.read(refs[0]!))!.head.seq, { interval: 1, timeout: 20_000 }).toBeGreaterThan(before)
      await killed(one)
      // What was sent before the kill may be carried out after it: looked at once nothing moves any more.
      const looks = async (): Promise<string> =>
        JSON.stringify(await Promise.all(refs.map((ref) => store.read(ref))), (_, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        ).replaceAll(/"readAt":\d+/gu, '')
      for (let last = await looks(), next = await looks(); last !== next; last = next) next = await looks()
      const found = new Set((await store.interrupted(1_000)).map(({ id }) => id))
      for (const ref of refs) {
        const state = (await store.read(ref))!
        const lineage = new Map([state.head, ...(await store.siblings(ref))].map((version) => [version.seq, version]))
        expect([ref.id, found.has(ref.id)]).toEqual([ref.id, state.intent !== null])
        if (state.intent !== null) interrupted += 1
        for (const { seq, parentSeq } of lineage.values()) if (parentSeq !== null) expect(parentSeq).toBeLessThan(seq)
        expect(state.head.seq).toBe([...lineage.keys()].reduce((a, b) => (a > b ? a : b)))
        expect(state.status).toBe('active')
      }
    }
    console.info(`${kind}: ${interrupted} intents found after 4 kills over ${refs.length} credentials`)
    await store.prune(Number.MAX_SAFE_INTEGER)
  }, 180_000)
})
