/** Redis beside refreshing: there, away at the start, gone in the midst, and silent. Nothing depends on it. */
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { startWire } from '@sallyport/testkit'
import type { Wire } from '@sallyport/testkit'
import { eventually, RefreshStage } from './refresh-stage.ts'

let stage: RefreshStage
let redis: Wire
beforeAll(async () => {
  const server = new URL(inject('redisUrl'))
  redis = await startWire({ host: server.hostname, port: Number(server.port) })
  // F-09: it is away when the nodes start.
  redis.cut()
  server.hostname = '127.0.0.1'
  server.port = String(redis.port)
  // With leases as rows, so that both kinds are tried in whole gateways.
  const variables = { SALLYPORT_REDIS_URL: server.href, SALLYPORT_DATABASE_LEASES: 'row' }
  stage = await RefreshStage.set(inject('postgresUrl'), { a: { variables }, b: { variables } })
})
afterAll(async () => {
  redis?.mend()
  await stage?.close()
  await redis?.close()
})

/** A storm at both nodes; gives how many token calls it was, and how long the last caller waited. */
async function storm(): Promise<{ calls: number; ms: number }> {
  const connection = await stage.imported(-1_000)
  const began = performance.now()
  const tokens = await Promise.all(Array.from({ length: 30 }, (_, i) => stage.tokenOf(connection, i % 2)))
  const ms = performance.now() - began
  expect(new Set(tokens).size).toBe(1)
  expect(tokens[0]).not.toBe(connection.first)
  return { calls: (await stage.showings(connection)).length, ms }
}

it('F-08 F-09 away at the start: nodes come up degraded, and a storm is one call all the same', async () => {
  await eventually(() => stage.readiness()).toBe('degraded')
  expect((await storm()).calls).toBe(1)
})

it('F-09 back: nodes are well again by themselves', async () => {
  redis.mend()
  await eventually(() => Promise.all([stage.readiness(0), stage.readiness(1)])).toEqual(['ok', 'ok'])
  expect((await storm()).calls).toBe(1)
})

it('F-10 silent: callers get their answer from Postgres, and a token that lives goes out at once', async () => {
  redis.hold()
  const living = await stage.imported(120_000)
  const asked = performance.now()
  expect(await stage.tokenOf(living)).toBe(living.first)
  // Redis is waited for by the renewal beside the call alone. A busy machine has the rest of the time.
  expect(performance.now() - asked).toBeLessThan(500)
  await eventually(() => stage.showings(living)).toHaveLength(1)
  const { calls, ms } = await storm()
  console.info(`30 callers over two nodes, Redis silent: the last one waited ${Math.round(ms)} ms`)
  expect(calls).toBe(1)
  expect(ms).toBeLessThan(10_000)
  await eventually(() => stage.readiness()).toBe('degraded')
  redis.mend()
  await eventually(() => stage.readiness()).toBe('ok')
})

it('F-08 gone in the midst of a storm: it is one call all the same', async () => {
  const running = storm()
  redis.cut()
  expect((await running).calls).toBe(1)
  redis.mend()
})
