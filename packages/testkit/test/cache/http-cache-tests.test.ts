/** The cache of answers against the cases that others collected for HTTP caches (cache-tests.fyi), over real HTTP, in a time moved by hand. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import suites from 'http-cache-tests/tests/index.mjs'
import { cache, hmacKey, MemoryAnswerStore } from '@sallyport/core'
import { NOT_KEPT_TO } from '../../src/cache-cases/judgement.ts'
import { startCacheCases } from '../../src/cache-cases/run.ts'
import type { CacheCaseServer } from '../../src/cache-cases/run.ts'

/** What a browser alone can do is not asked; what only asks is not judged. */
const cases = suites.flatMap(({ tests }) => tests).filter(({ kind, browser_only }) => kind !== 'check' && browser_only !== true)
const required = cases.filter(({ kind }) => kind !== 'optimal')
let server: CacheCaseServer

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  server = await startCacheCases()
})
afterAll(async () => {
  await server.close()
  vi.useRealTimers()
})

async function faultsOf(test: (typeof cases)[number]): Promise<readonly string[]> {
  const policy = cache({ store: new MemoryAnswerStore(), key: hmacKey(randomBytes(32)) })
  return server.run(test, policy, () => vi.setSystemTime(Date.now() + 3_000))
}

describe('the cache of answers keeps to http-cache-tests', () => {
  it('has every case that it does not keep to among them', () => {
    const ids = new Set(required.map(({ id }) => id))
    expect(Object.keys(NOT_KEPT_TO).filter((id) => !ids.has(id))).toEqual([])
    expect(required.length).toBeGreaterThanOrEqual(150)
  })

  it.each(required.filter(({ id }) => !Object.hasOwn(NOT_KEPT_TO, id)))('$id: $name', async (test) => {
    expect(await faultsOf(test)).toEqual([])
  })

  it.each(required.filter(({ id }) => Object.hasOwn(NOT_KEPT_TO, id)))('does not keep to $id, as is said', async (test) => {
    expect(await faultsOf(test)).not.toEqual([])
  })

  it('keeps what may be kept too in 36 of the optimal cases at least', async () => {
    const optimal = cases.filter(({ kind }) => kind === 'optimal')
    let kept = 0
    for (const test of optimal) if ((await faultsOf(test)).length === 0) kept += 1
    expect(optimal.length).toBeGreaterThanOrEqual(80)
    expect(kept).toBeGreaterThanOrEqual(36)
  })
})
