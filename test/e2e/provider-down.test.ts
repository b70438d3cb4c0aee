/** A provider that keeps failing or whose quota is used up, seen from a caller of the gateway. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectAccount, setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'

let stage: Stage

beforeAll(async () => {
  stage = await setStage({ file: { breaker: { failures: 5, openMs: 60_000 } } })
})
afterAll(() => stage.close())

async function told(path: string, connection = stage.connection): Promise<object> {
  const headers = { authorization: `Bearer ${stage.key}`, 'sallyport-connection': connection }
  const answer = await stage.call(path, { headers })
  const { code } = (await answer.json().catch(() => ({}))) as { code?: string }
  return { status: answer.status, source: answer.headers.get('sallyport-error-source'), waits: answer.headers.has('retry-after'), code }
}

describe('the gateway before a provider', () => {
  it('S52 says when a connection’s quota there is used up, without asking, and lets the other connections go on', async () => {
    const other = await connectAccount(stage.owner, 'user-2')
    const quota = { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '3600' }
    stage.upstream.answer((_request, response) => void response.writeHead(200, quota).end())
    expect((await stage.call('/a')).status).toBe(200)
    const before = stage.upstream.seen.length
    expect(await told('/b')).toEqual({ status: 429, source: 'provider', waits: true, code: 'quota_exhausted' })
    expect(stage.upstream.seen).toHaveLength(before)
    stage.upstream.answer((_request, response) => void response.writeHead(200).end())
    expect(await told('/b', other)).toMatchObject({ status: 200 })
  })

  it('S43 F-21 leaves it alone after five failures in a row, says so as the provider’s fault, counts it and writes it down', async () => {
    const other = await connectAccount(stage.owner, 'user-3')
    stage.upstream.answer((_request, response) => void response.writeHead(503).end())
    for (let i = 0; i < 5; i++) expect(await told('/a', other)).toMatchObject({ status: 503, source: 'provider', waits: false })
    const before = stage.upstream.seen.length
    const answers = await Promise.all(Array.from({ length: 10 }, () => told('/a', other)))
    for (const answer of answers) expect(answer).toEqual({ status: 503, source: 'provider', waits: true, code: 'circuit_open' })
    expect(stage.upstream.seen).toHaveLength(before)
    await expect.poll(() => stage.gateway.output()).toMatch(/breaker\.opened/u)
  })
})
