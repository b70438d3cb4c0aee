/** The end of a node in the midst of refreshing, and the start after it. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { freePort } from '@sallyport/testkit'
import type { GatewayProcess } from '@sallyport/testkit'
import { eventually, RefreshStage, TURNING } from './refresh-stage.ts'
import type { NodeSettings } from './refresh-stage.ts'

let stage: RefreshStage
let dataDir: string
let settings: NodeSettings
const restarted = () => stage.startNode('a', settings)
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sallyport-refresh-'))
  settings = { dataDir, port: await freePort(), variables: { SALLYPORT_SAVE_TIMEOUT_MS: '1000', SALLYPORT_DRAIN_TIMEOUT_MS: '5000' } }
  stage = await RefreshStage.set(inject('postgresUrl'), { a: settings })
})
afterAll(async () => {
  await stage?.close()
  await rm(dataDir, { recursive: true, force: true, maxRetries: 10 })
})

/** Answers that wait on disk, written through. */
async function waiting(): Promise<string[]> {
  return (await readdir(join(dataDir, 'spill')).catch(() => [])).filter((name) => name.endsWith('.answer'))
}

async function begun() {
  await stage.behave(TURNING, { latencyMs: { before: [0, 0], after: [800, 800] } })
  const connection = await stage.imported(-1_000)
  const asked = stage.call(connection).then(
    ({ status }) => status,
    () => 0,
  )
  await eventually(async () => (await stage.showings(connection)).length).toBe(1)
  await stage.behave(TURNING)
  return { connection, asked }
}

/** Longest end of a process that is asked to end (battery F-26). */
const LONGEST_END_MS = 30_000

async function ended(gateway: GatewayProcess): Promise<number | null> {
  const asked = performance.now()
  const code = await gateway.stop()
  expect(performance.now() - asked).toBeLessThan(LONGEST_END_MS)
  return code
}

it('F-26 waits for the refresh under way, answers its caller, and ends well', async () => {
  const { connection, asked } = await begun()
  const { gateway, wire } = stage.nodes[0]!
  expect(await ended(gateway)).toBe(0)
  expect(await asked).toBe(200)
  await wire.close()
  stage.nodes[0] = await restarted()
  expect(await stage.tokenOf(connection)).not.toBe(connection.first)
  expect(await stage.showings(connection)).toHaveLength(1)
})

it('F-12 F-26 ends in bounded time when the answer can not be saved, and the next start saves it from the folder', async () => {
  const { connection, asked } = await begun()
  const { gateway, wire } = stage.nodes[0]!
  wire.cut()
  await asked
  await ended(gateway)
  expect(gateway.output()).toContain('the spill has what came back')
  expect(await waiting()).toHaveLength(1)
  await wire.close()
  stage.nodes[0] = await restarted()
  await eventually(waiting).toEqual([])
  expect(await stage.tokenOf(connection)).not.toBe(connection.first)
  expect(await stage.showings(connection)).toMatchObject([{ outcome: 'rotated' }])
})

it('F-13 killed with an answer in hand and no database, loses nothing that had reached the disk', async () => {
  const { connection, asked } = await begun()
  const { gateway, wire } = stage.nodes[0]!
  wire.cut()
  await eventually(waiting).toHaveLength(1)
  await gateway.kill()
  await asked
  await wire.close()
  stage.nodes[0] = await restarted()
  await eventually(waiting).toEqual([])
  expect(await stage.tokenOf(connection)).not.toBe(connection.first)
  expect(await stage.showings(connection)).toMatchObject([{ outcome: 'rotated' }])
})
