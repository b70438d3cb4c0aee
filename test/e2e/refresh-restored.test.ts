/** Gateways on a database that was put back to how it stood before the last refreshes, in front of a provider that ends a grant for that. */
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { eventually, LASTING, problemOf, RefreshStage } from './refresh-stage.ts'
import type { Imported } from './refresh-stage.ts'

let stage: RefreshStage
beforeAll(async () => {
  stage = await RefreshStage.set(inject('postgresUrl'), { a: {}, b: {} })
})
afterAll(() => stage?.close())

const outcomes = async (one: Imported) => (await stage.showings(one)).map(({ outcome }) => outcome)

it('F-30 a database older than the last refreshes costs one showing for each of them, labels what strict rotation ended, and loses nothing else', async () => {
  const turned = await Promise.all(Array.from({ length: 3 }, () => stage.imported(-1_000)))
  const untouched = await stage.imported(-1_000)
  const lasting = await stage.imported(-1_000, LASTING)
  await stage.backUp()
  for (const one of [...turned, lasting]) await stage.tokenOf(one)
  await stage.restore()
  await eventually(() => Promise.all([stage.readiness(0), stage.readiness(1)])).toEqual(['ok', 'ok'])
  // The start alone shows nothing: nobody was at work when the backup was made.
  for (const one of turned) expect(await outcomes(one)).toEqual(['rotated'])

  for (const one of turned) {
    const refused = await Promise.all(Array.from({ length: 20 }, (_, i) => stage.call(one, i % 2)))
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([409]))
    expect(await problemOf(refused[0]!)).toMatchObject({ code: 'reconnect_required', trouble: 'grant_expired', connection: one.id })
    expect((await stage.call(one)).status).toBe(409)
    expect(await outcomes(one)).toEqual(['rotated', 'reuse'])
    expect(await stage.view(one)).toMatchObject({ status: 'reconnect_required', health: 'reconnect_required' })
    expect((await stage.eventsOf(one)).filter((action) => action === 'connection.reconnect_required')).toHaveLength(1)
  }
  for (const one of [untouched, lasting]) expect((await stage.call(one, 1)).status).toBe(200)
  expect(await outcomes(untouched)).toEqual(['rotated'])
})
