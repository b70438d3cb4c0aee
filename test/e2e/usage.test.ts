/** What model calls used, from the call to the row: through a real gateway, read by the typed client. */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { setModelStage } from './model-stage.ts'
import type { ModelStage } from './model-stage.ts'
import { serverUnderTest } from './server-under-test.ts'

let stage: ModelStage

beforeAll(async () => {
  stage = await setModelStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
})
afterAll(() => stage?.close())

const CANARY = 'the-prompt-that-nobody-keeps-51c2'

function chat(
  key: string,
  { user, stream = false, more = {} }: { user?: string; stream?: boolean; more?: object } = {},
): Promise<Response> {
  return stage.call('/llm/openai/v1/chat/completions', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      ...(user === undefined ? {} : { 'sallyport-user': user }),
    },
    body: JSON.stringify({ model: 'gpt-4.1', messages: [{ role: 'user', content: CANARY }], max_tokens: 100, stream, ...more }),
  })
}

/** Answers as a chat completion with this use. */
function answerWith(promptTokens: number, completionTokens: number): void {
  const usage = { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens }
  const body = JSON.stringify({ model: 'gpt-4.1-2025-04-14', choices: [{ message: { content: CANARY } }], usage })
  stage.upstream.answer((_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body))
}

/** What rows of one key say, once there are so many. */
async function rowsOf(keyId: string, count: number) {
  const list = () => stage.owner.client.call('usageRecordList', { params: stage.owner.place, query: { key: keyId, limit: 200 } })
  await expect.poll(async () => (await list()).data.length).toBe(count)
  return (await list()).data
}

/** A key for calls alone, with its id. */
async function freshKey(): Promise<{ key: string; id: string }> {
  const key = await stage.keyWith(['llm:call', 'usage:read'])
  return { key, id: `key_${key.split('_')[2]}` }
}

describe('what a model call used', () => {
  it('stands in a row: as the provider said it, with what it cost, and nothing of what was said', async () => {
    const { key, id } = await freshKey()
    answerWith(1_000, 200)
    const response = await chat(key, { user: 'ann' })
    expect(response.status).toBe(200)
    const [row] = await rowsOf(id, 1)
    expect(row).toMatchObject({
      request: response.headers.get('sallyport-request-id'),
      end_user: 'ann',
      provider: 'openai',
      model: 'gpt-4.1-2025-04-14',
      status: 200,
      error: null,
      source: 'measured',
      input_tokens: 1_000,
      output_tokens: 200,
      cost_usd: '0.0036',
    })
    expect(row!.first_byte_ms).toBeGreaterThan(0)
    expect(JSON.stringify(row)).not.toContain(CANARY)
  })

  it('of a stream that says nothing is reckoned, and of one whose caller goes away what had passed by', async () => {
    const { key, id } = await freshKey()
    const event = (content: string) => `data: ${JSON.stringify({ model: 'gpt-4.1', choices: [{ delta: { content } }] })}\n\n`
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(`${event('x'.repeat(40))}${event('y'.repeat(40))}data: [DONE]\n\n`)
    })
    await (await chat(key, { stream: true })).text()
    expect((await rowsOf(id, 1))[0]).toMatchObject({ source: 'estimated', output_tokens: 20, error: null })

    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(event('z'.repeat(400)))
    })
    const gone = new AbortController()
    const response = await stage.call('/llm/openai/v1/chat/completions', {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{"model":"gpt-4.1","stream":true}',
      signal: gone.signal,
    })
    await response.body!.getReader().read()
    gone.abort()
    const rows = await rowsOf(id, 2)
    expect(rows[0]).toMatchObject({ source: 'estimated', output_tokens: 100, status: 200 })
    expect(rows[0]!.error).not.toBeNull()
  })

  it('is nothing where a provider refused, and has no cost where the price is not known', async () => {
    const { key, id } = await freshKey()
    stage.upstream.answer((_request, response) => void response.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{}}'))
    await chat(key)
    const body = JSON.stringify({ model: 'a-model-of-nobody', usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } })
    stage.upstream.answer((_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body))
    await chat(key)
    const rows = await rowsOf(id, 2)
    expect(rows[1]).toMatchObject({ status: 429, source: null, input_tokens: null, output_tokens: null, cost_usd: null })
    expect(rows[0]).toMatchObject({ status: 200, source: 'measured', input_tokens: 3, output_tokens: 4, cost_usd: null })
  })

  it('adds up by key, end user, model and day, and a key that may read sees it', async () => {
    const { key, id } = await freshKey()
    answerWith(10, 1)
    for (const user of ['bea', 'bea', 'carl']) await chat(key, { user })
    await rowsOf(id, 3)
    const { client, place } = stage.owner
    const by = (group_by: string, more: object = {}) => client.call('usageGet', { params: place, query: { group_by, ...more } })
    expect((await by('key', { key: id })).data).toMatchObject([
      { key: id, calls: 3, input_tokens: 30, output_tokens: 3, cost_usd: '0.000084' },
    ])
    expect((await by('end_user,model', { end_user: 'bea' })).data).toMatchObject([
      { end_user: 'bea', model: 'gpt-4.1-2025-04-14', calls: 2 },
    ])
    const today = (await by('day,key', { key: id })).data
    expect(today).toMatchObject([{ calls: 3 }])
    const read = await fetch(
      `${stage.gateway.url}/api/v1/orgs/${place.org}/projects/${place.project}/${place.environment}/usage?group_by=provider`,
      {
        headers: { authorization: `Bearer ${key}` },
      },
    )
    expect(read.status).toBe(200)
    const whole = await client.call('organizationUsageGet', { params: { org: place.org }, query: { group_by: 'project,environment' } })
    expect(whole.data).toHaveLength(1)
  })

  it('is forgotten with its end user', async () => {
    const { key, id } = await freshKey()
    answerWith(10, 1)
    await chat(key, { user: 'dora' })
    await rowsOf(id, 1)
    const { client, place } = stage.owner
    const erased = await client.call('endUserDelete', { params: { ...place, end_user: 'dora' } })
    expect(erased).toMatchObject({ connections: 0, usage_records: 1 })
    expect((await rowsOf(id, 1))[0]).toMatchObject({ end_user: null, input_tokens: 10 })
    const { data } = await client.call('usageGet', { params: place, query: { group_by: 'end_user' } })
    expect(data.map(({ end_user: user }) => user)).not.toContain('dora')
  })

  it('leaves as CSV that no spreadsheet runs, on record', async () => {
    const { key, id } = await freshKey()
    answerWith(10, 1)
    await chat(key, { user: '=SUM(A1)' })
    await rowsOf(id, 1)
    const { client, place } = stage.owner
    const csv = await client.call('usageExport', { params: { org: place.org }, query: {} })
    const text = typeof csv === 'string' ? csv : await new Response(csv as BodyInit).text()
    const lines = text.split('\r\n')
    expect(lines[0]).toMatch(/^at,id,request,project,environment,key,end_user,provider,model/u)
    expect(lines[1]).toContain("'=SUM(A1)")
    const { data } = await client.call('auditEventList', { params: { org: place.org }, query: { action: 'usage.exported' } })
    expect(data).toHaveLength(1)
  })
})

describe('a budget', () => {
  it("refuses what goes beyond it in the vendor's own words, and lets everybody else through", async () => {
    const { key, id } = await freshKey()
    const other = await freshKey()
    const { client, place } = stage.owner
    const budget = await client.call('budgetCreate', { params: { org: place.org }, body: { key: id, amount_usd: '0.005', period: 'day' } })
    answerWith(1_000, 200)
    const first = await chat(key)
    expect(first.status).toBe(200)
    await first.text()
    await rowsOf(id, 1)
    // Set aside: 100 tokens of output at 8 dollars a million, and the input by its length.
    await expect
      .poll(async () => (await client.call('budgetGet', { params: { org: place.org, budget: budget.id } })).spent_usd)
      .toBe('0.0036')
    const refused = await chat(key, { more: { max_tokens: 1_000 } })
    expect([refused.status, refused.headers.get('sallyport-error-source')]).toEqual([402, 'gateway'])
    expect(await refused.json()).toMatchObject({ error: { code: 'budget_exceeded', type: 'insufficient_quota' } })
    expect((await chat(other.key)).status).toBe(200)
    expect((await chat(key, { more: { max_tokens: 10 } })).status).toBe(200)
    await expect
      .poll(async () => {
        const { data } = await client.call('auditEventList', { params: { org: place.org }, query: { action: 'budget.exhausted' } })
        return data.map(({ target }) => target)
      })
      .toEqual([budget.id])
    await client.call('budgetUpdate', { params: { org: place.org, budget: budget.id }, body: { amount_usd: '1' } })
    await expect.poll(async () => (await chat(key, { more: { max_tokens: 1_000 } })).status).toBe(200)
    await client.call('budgetDelete', { params: { org: place.org, budget: budget.id } })
    await expect.poll(async () => (await chat(key, { more: { model: 'a-model-of-nobody' } })).status).toBe(200)
  })

  it('lets no call through whose cost nobody knows, unless it says so', async () => {
    const { key, id } = await freshKey()
    const { client, place } = stage.owner
    const body = { key: id, amount_usd: '1', period: 'total' } as const
    const budget = await client.call('budgetCreate', { params: { org: place.org }, body })
    answerWith(1, 1)
    const refused = await chat(key, { more: { model: 'a-model-of-nobody' } })
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([403, 'model_unpriced'])
    await client.call('budgetUpdate', { params: { org: place.org, budget: budget.id }, body: { unpriced: 'pass' } })
    await expect.poll(async () => (await chat(key, { more: { model: 'a-model-of-nobody' } })).status).toBe(200)
  })

  /** A stream that says what it used to those who ask. */
  const streamOfOne = (usage: object): void =>
    stage.upstream.answer(async (request, response) => {
      await once(request, 'end')
      const asked = JSON.parse(Buffer.concat(stage.upstream.seen.at(-1)!.body).toString()) as {
        stream_options?: { include_usage?: boolean }
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"id":"c","model":"gpt-4.1","choices":[{"index":0,"delta":{"content":"four"}}]}\n\n')
      if (asked.stream_options?.include_usage === true)
        response.write(`data: {"id":"c","model":"gpt-4.1","choices":[],"usage":${JSON.stringify(usage)}}\n\n`)
      response.end('data: [DONE]\n\n')
    })
  const spentOf = async (budget: string) =>
    (await stage.owner.client.call('budgetGet', { params: { org: stage.owner.place.org, budget } })).spent_usd

  it('takes what a stream used at /v1, whose caller did not ask to be told and is not, and what was set aside for it at /llm', async () => {
    const { key, id } = await freshKey()
    const { client, place } = stage.owner
    const { id: budget } = await client.call('budgetCreate', {
      params: { org: place.org },
      body: { key: id, amount_usd: '1', period: 'total' },
    })
    // Most of it thought, and not shown.
    streamOfOne({ prompt_tokens: 10, completion_tokens: 90, total_tokens: 100 })
    const init = (body: object) => ({
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'x' }], max_tokens: 100, stream: true, ...body }),
    })
    const quiet = await stage.call('/v1/chat/completions', init({ model: 'openai/gpt-4.1' }))
    const told = 'data: {"id":"c","model":"gpt-4.1","choices":[{"index":0,"delta":{"content":"four"}}]}\n\ndata: [DONE]\n\n'
    expect(await quiet.text()).toBe(told)
    expect((await rowsOf(id, 1))[0]).toMatchObject({ source: 'measured', output_tokens: 90, cost_usd: '0.00074' })
    await expect.poll(() => spentOf(budget)).toBe('0.00074')
    const curious = await stage.call('/v1/chat/completions', init({ model: 'openai/gpt-4.1', stream_options: { include_usage: true } }))
    expect(await curious.text()).toContain('"completion_tokens":90')
    await rowsOf(id, 2)
    await expect.poll(() => spentOf(budget)).toBe('0.00148')

    const native = init({ model: 'gpt-4.1' })
    expect(await (await stage.call('/llm/openai/v1/chat/completions', native)).text()).toBe(told)
    expect(Buffer.concat(stage.upstream.seen.at(-1)!.body).toString()).toBe(native.body)
    const [row] = await rowsOf(id, 3)
    expect(row).toMatchObject({ source: 'estimated', output_tokens: 1 })
    // A token for each three bytes of the body, and a hundred of output.
    const nano = Math.ceil(native.body.length / 3) * 2_000 + 100 * 8_000
    await expect.poll(async () => Math.round(Number(await spentOf(budget)) * 1e9)).toBe(1_480_000 + nano)
  })

  it("refuses in the vendor's words what is worked on later, of which nobody hears what it cost, unless it says so", async () => {
    const { key, id } = await freshKey()
    const { client, place } = stage.owner
    const body = { key: id, amount_usd: '1', period: 'total' } as const
    const budget = await client.call('budgetCreate', { params: { org: place.org }, body })
    const post = (path: string, asked: object) =>
      stage.call(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(asked),
      })
    const later: readonly (readonly [string, object])[] = [
      ['/llm/openai/v1/responses', { model: 'gpt-4.1', input: 'x', background: true }],
      ['/v1/responses', { model: 'openai/gpt-4.1', input: 'x', background: true }],
      ['/llm/openai/v1/batches', { input_file_id: 'file-1', endpoint: '/v1/chat/completions', completion_window: '24h' }],
      ['/llm/anthropic/v1/messages/batches', { requests: [] }],
      ['/llm/gemini/v1beta/models/gemini-2.5-pro:batchGenerateContent', { batch: {} }],
    ]
    stage.upstream.answer(
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"queued"}'),
    )
    const before = stage.upstream.seen.length
    for (const [path, asked] of later) {
      const refused = await post(path, asked)
      expect([path, refused.status, refused.headers.get('sallyport-error-source')]).toEqual([path, 403, 'gateway'])
      const { error } = (await refused.json()) as { error: { message: string } }
      expect(error.message).toContain('cost of this call is not known')
    }
    expect(stage.upstream.seen).toHaveLength(before)
    await client.call('budgetUpdate', { params: { org: place.org, budget: budget.id }, body: { unpriced: 'pass' } })
    for (const [path, asked] of later) await expect.poll(async () => (await post(path, asked)).status).toBe(200)
    // What is asked for in the background is taken for the most that it may write at first.
    await expect.poll(() => spentOf(budget.id)).not.toBe('0')
  })

  it('is one of a period and holder, and of what is there', async () => {
    const { id } = await freshKey()
    const { client, place } = stage.owner
    const make = (body: object) =>
      client.call('budgetCreate', { params: { org: place.org }, body: { amount_usd: '5', enforcement: 'warn', ...body } })
    const made = await make({ key: id })
    expect(made).toMatchObject({ holder: 'key', key: id, period: 'month', spent_usd: '0', held_usd: '0', unpriced: 'refuse' })
    await expect(make({ key: id })).rejects.toMatchObject({ code: 'conflict' })
    expect(await make({ key: id, period: 'total' })).toMatchObject({ period_starts_on: '1970-01-01' })
    await expect(make({ key: 'key_0000000000000000000000' })).rejects.toMatchObject({ code: 'validation_failed' })
    await expect(make({ project: 'proj_0000000000000000000000' })).rejects.toMatchObject({ code: 'validation_failed' })
    await expect(make({ key: id, project: place.project })).rejects.toMatchObject({ code: 'validation_failed' })
    await expect(make({ amount_usd: '9999999.9', period: 'day' })).rejects.toMatchObject({ code: 'validation_failed' })
    const { data } = await client.call('budgetList', { params: { org: place.org }, query: { limit: 200 } })
    expect(data.map(({ id: one }) => one)).toContain(made.id)
  })
})
