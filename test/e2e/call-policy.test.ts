/** How an integration's calls go out beyond one plain try, seen from a caller of the gateway and from the provider. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connectAccount, setStage, SLUG } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'

let stage: Stage
let integration: string

beforeAll(async () => {
  stage = await setStage()
  const { data } = await stage.owner.client.call('integrationList', { params: stage.owner.place })
  integration = data.find(({ slug }) => slug === SLUG)!.id
})
afterAll(() => stage?.close())
beforeEach(() => setPolicy({ retries: 0, qps: null, concurrency: null }))

function setPolicy(policy: { retries?: number; qps?: number | null; concurrency?: number | null }): Promise<unknown> {
  return stage.owner.client.call('integrationUpdate', { params: { ...stage.owner.place, integration }, body: { call_policy: policy } })
}

/** The provider answers with each of these in turn, then with 200. */
function answering(...heads: readonly (readonly [status: number, headers?: Record<string, string>])[]): void {
  const left = [...heads]
  stage.upstream.answer((_request, response) => {
    const [status, headers = {}] = left.shift() ?? [200]
    response.writeHead(status, headers).end(String(status))
  })
}

/** How often the provider was asked for what `work` does. */
async function asked(work: () => Promise<unknown>): Promise<number> {
  const before = stage.upstream.seen.length
  await work()
  return stage.upstream.seen.length - before
}

const headers = (over: Record<string, string> = {}) => ({
  authorization: `Bearer ${stage.key}`,
  'sallyport-connection': stage.connection,
  ...over,
})

describe('the tries of a call', () => {
  it('S47 are one where the integration asks for no more', async () => {
    answering([503], [503])
    expect(await asked(async () => expect((await stage.call('/a')).status).toBe(503))).toBe(1)
  })

  it('S47 go on after a 503 and a 429 until there is another answer, of which nothing is mixed with the first', async () => {
    await setPolicy({ retries: 3 })
    answering([503, { 'x-first': 'yes' }], [429, { 'retry-after': '0' }])
    const count = await asked(async () => {
      const answer = await stage.call('/a')
      expect([answer.status, await answer.text(), answer.headers.has('x-first')]).toEqual([200, '200', false])
    })
    expect(count).toBe(3)
  })

  it('S47 end with the last answer as it is when all fail', async () => {
    await setPolicy({ retries: 1 })
    answering([502], [503, { 'x-last': 'yes' }])
    const count = await asked(async () => {
      const answer = await stage.call('/a')
      expect([answer.status, answer.headers.get('x-last'), answer.headers.get('sallyport-error-source')]).toEqual([503, 'yes', 'provider'])
    })
    expect(count).toBe(2)
  })

  it('S47 D-13 leave the caller an answer that asks for more patience than ten seconds', async () => {
    await setPolicy({ retries: 3 })
    answering([503, { 'retry-after': '11' }])
    const other = await connectAccount(stage.owner, 'user-patient')
    const call = () => stage.call('/a', { headers: headers({ 'sallyport-connection': other }) })
    expect(await asked(async () => expect((await call()).headers.get('retry-after')).toBe('11'))).toBe(1)
  })

  it.each([
    ['a POST', { method: 'POST' }, {}, 1],
    ['a PATCH', { method: 'PATCH' }, {}, 1],
    ['a PUT whose body is gone', { method: 'PUT', body: 'a body' }, {}, 1],
    ['a POST with a body, whatever key it carries', { method: 'POST', body: 'a body' }, { 'idempotency-key': 'once' }, 1],
    ['a POST without a body that carries an Idempotency-Key', { method: 'POST' }, { 'idempotency-key': 'once' }, 2],
    ['a DELETE', { method: 'DELETE' }, {}, 2],
  ])('F-22 of %s', async (_what, init, more, tries) => {
    await setPolicy({ retries: 1 })
    answering([503])
    expect(await asked(() => stage.call('/a', { ...init, headers: headers(more) }))).toBe(tries)
  })

  it('F-22 go on when a connection breaks before an answer, and only of what may be done twice', async () => {
    await setPolicy({ retries: 1 })
    const breaking = (): void => {
      let first = true
      stage.upstream.answer((request, response) => {
        if (first) request.socket.destroy()
        else response.writeHead(200).end()
        first = false
      })
    }
    breaking()
    expect((await stage.call('/a')).status).toBe(200)
    breaking()
    expect((await stage.call('/a', { method: 'POST', headers: headers() })).status).toBe(502)
  })

  it('V-06 end with the connection: one that is disconnected meanwhile is not used again', async () => {
    await setPolicy({ retries: 3 })
    const other = await connectAccount(stage.owner, 'user-leaving')
    let ended: Promise<unknown> | undefined
    stage.upstream.answer((request, response) => {
      if (request.url!.startsWith('/leaving')) {
        ended ??= stage.owner.client.call('connectionRevoke', { params: { ...stage.owner.place, connection: other } })
        void ended.then(() => response.writeHead(503).end())
      } else response.writeHead(200).end()
    })
    const call = () => stage.call('/leaving', { headers: headers({ 'sallyport-connection': other }) })
    expect(await (await call()).json()).toMatchObject({ code: 'reconnect_required' })
    expect(stage.upstream.seen.filter(({ url }) => url.startsWith('/leaving'))).toHaveLength(1)
  })

  it('end with their caller', async () => {
    await setPolicy({ retries: 3 })
    const leaving = new AbortController()
    stage.upstream.answer((_request, response) => {
      response.once('close', () => leaving.abort())
      response.writeHead(503, { 'retry-after': '9' }).end()
    })
    const other = await connectAccount(stage.owner, 'user-who-goes')
    const call = stage.call('/gone', { headers: headers({ 'sallyport-connection': other }), signal: leaving.signal })
    await expect(call).rejects.toThrow()
    // Its record is written when nothing more of it can happen.
    const records = async () => (await stage.owner.client.call('requestList', { params: stage.owner.place, query: { limit: 50 } })).data
    await expect
      .poll(async () => (await records()).some(({ path, status }) => path === '/gone' && status === 499), { timeout: 20_000 })
      .toBe(true)
    expect(stage.upstream.seen.filter(({ url }) => url === '/gone')).toHaveLength(1)
  })
})

describe('the limits of an integration', () => {
  it('S52 S58 hold all its connections together to the calls at once that it asks for, and let the others wait', async () => {
    await setPolicy({ concurrency: 2 })
    const other = await connectAccount(stage.owner, 'user-beside')
    let [now, most] = [0, 0]
    const answers: (() => void)[] = []
    stage.upstream.answer((_request, response) => {
      now += 1
      most = Math.max(most, now)
      answers.push(() => {
        now -= 1
        response.writeHead(200).end()
      })
    })
    const calls = Array.from({ length: 8 }, (_, n) =>
      stage.call('/a', { headers: headers(n % 2 === 0 ? {} : { 'sallyport-connection': other }) }),
    )
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(2)
    for (let answered = 0; answered < 8; answered++) {
      await expect.poll(() => answers.length, { timeout: 20_000 }).toBeGreaterThan(0)
      answers.shift()!()
    }
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    expect(most).toBe(2)
  })

  it('S58 are shown, changed one by one, and refused where they make no sense', async () => {
    await setPolicy({ qps: 2.5, concurrency: 7, retries: 2 })
    await setPolicy({ qps: null })
    const params = { ...stage.owner.place, integration }
    expect(await stage.owner.client.call('integrationGet', { params })).toMatchObject({
      call_policy: { retries: 2, qps: null, concurrency: 7 },
    })
    for (const bad of [{ retries: 4 }, { retries: -1 }, { qps: 0 }, { concurrency: 0 }, { concurrency: 1.5 }])
      await expect(setPolicy(bad)).rejects.toMatchObject({ code: 'validation_failed' })
  })
})
