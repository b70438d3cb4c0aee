import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { asPerson, createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

interface ShownKey {
  readonly id: string
  readonly status: string
  readonly records: number
}

it('S37 lets an owner turn the data key and watch the records move, each step in the audit log and nothing of the keys in any answer', async () => {
  const owner = asPerson(world.a.people.OWNER)
  const path = `/api/v1/orgs/${world.a.params.org}/data-keys`
  const list = async (): Promise<ShownKey[]> => (await send(world, path, { headers: owner })).json.data
  const [before] = await list()
  expect(before).toMatchObject({ status: 'current', records: 1, retired_at: null })
  const answer = await send(world, `${path}/rotate`, { method: 'POST', headers: owner })
  expect(answer).toMatchObject({ status: 200, json: { started: true } })
  await expect
    .poll(async () => (await list()).map(({ status, records }) => [status, records]))
    .toEqual([
      ['previous', 0],
      ['current', 1],
    ])
  const keys = await list()
  expect(Object.keys(keys[0]!)).toEqual(['id', 'status', 'records', 'created_at', 'retired_at'])
  const events = async () =>
    (await send(world, `/api/v1/orgs/${world.a.params.org}/audit-events`, { headers: owner })).json.data as {
      action: string
      actor: string
      detail: object
    }[]
  await expect.poll(async () => (await events()).filter(({ action }) => action === 'data_key.resealed')).toHaveLength(1)
  const rotated = (await events()).find(({ action }) => action === 'data_key.rotated')
  expect(rotated).toMatchObject({ actor: expect.stringMatching(/^user_/u) as string, detail: { from: before!.id, to: keys[1]!.id } })
})
