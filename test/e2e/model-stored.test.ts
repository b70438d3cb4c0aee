/** Organizations that ask for it keep prompts, answers, or both: sealed, read by few and on record, until their time is over or their end user is forgotten. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { parseId } from '@sallyport/core'
import { setModelStage } from './model-stage.ts'
import type { ModelStage } from './model-stage.ts'

let stage: ModelStage
beforeAll(async () => {
  stage = await setModelStage({ postgresUrl: inject('postgresUrl') })
})
afterAll(() => stage?.close())

const CHAT = '/llm/openai/v1/chat/completions'
const marked = (): string => `marked-${randomBytes(12).toString('hex')}`

async function database<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new Client({ connectionString: stage.gateway.databaseUrl! })
  await client.connect()
  try {
    return (await client.query(text, values)).rows as Row[]
  } finally {
    await client.end()
  }
}

const keep = (settings: { store_prompts?: boolean; store_responses?: boolean; stored_content_days?: number }) =>
  stage.owner.client.call('settingsUpdate', { params: { org: stage.owner.place.org }, body: settings })

/** What the provider answers to one call, and the id of the call. */
async function ask(prompt: string | Buffer, answer: string | Buffer, headers: Record<string, string> = {}, path = CHAT): Promise<string> {
  stage.upstream.answer((request, response) => {
    request.resume().once('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(answer))
  })
  const sent = { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json', ...headers }
  const response = await stage.call(path, { method: 'POST', headers: sent, body: prompt as BodyInit })
  expect(response.status).toBe(200)
  await response.arrayBuffer()
  return response.headers.get('sallyport-request-id')!
}

const of = (request: string) => ({ params: { ...stage.owner.place, request } })
const read = (request: string) => stage.owner.client.call('storedContentGet', of(request))
const parts = async (request: string) =>
  read(request).then(
    ({ data }) => data.map(({ part, content }) => [part, content]),
    (error: unknown) => (error as { code: string }).code,
  )
const recorded = (request: string) => database<object>(`select 1 from sallyport.request_record where id = $1`, [parseId('req', request)])
const rows = (request: string) =>
  database<{ row: string }>(`select c::text as row from sallyport.stored_content c where request_id = $1`, [parseId('req', request)])

describe('what an organization keeps of model calls', () => {
  it('S85 is nothing until it asks for it, and nothing of what was said before', async () => {
    const request = await ask(`{"q":"${marked()}"}`, '{"a":1}')
    await expect.poll(() => recorded(request)).toHaveLength(1)
    expect([await parts(request), await rows(request)]).toEqual(['not_found', []])
    await keep({ store_prompts: true, store_responses: true })
    expect(await parts(request)).toBe('not_found')
  })

  it('S85 is the prompt and the answer as they went and came, sealed, and whoever reads it is on record', async () => {
    await keep({ store_prompts: true, store_responses: true })
    const [prompt, answer] = [`{"q": "${marked()}"}`, `{"a": "${marked()}"}`]
    const request = await ask(prompt, answer)
    await expect
      .poll(() => parts(request))
      .toEqual([
        ['prompt', prompt],
        ['response', answer],
      ])
    for (const { row } of await rows(request)) for (const text of [prompt, answer]) expect(row).not.toContain(text.slice(8, -2))
    const { data } = await stage.owner.client.call('auditEventList', {
      params: { org: stage.owner.place.org },
      query: { action: 'stored_content.read', limit: 10 },
    })
    expect(data[0]).toMatchObject({ target: request, detail: { parts: ['prompt openai', 'response openai'] } })
    await stage.owner.client.call('storedContentDelete', of(request))
    expect([await parts(request), await rows(request)]).toEqual(['not_found', []])
  })

  it('S85 is each of the two by itself', async () => {
    await keep({ store_prompts: false, store_responses: true })
    await expect
      .poll(async () => {
        const request = await ask('{"q":1}', '{"a":1}')
        await expect.poll(() => rows(request)).not.toHaveLength(0)
        return parts(request)
      })
      .toEqual([['response', '{"a":1}']])
    await keep({ store_prompts: true, store_responses: false })
    await expect
      .poll(async () => {
        const request = await ask('{"q":1}', '{"a":1}')
        await expect.poll(() => rows(request)).not.toHaveLength(0)
        return parts(request)
      })
      .toEqual([['prompt', '{"q":1}']])
  })

  it('is the beginning of what is long, and bytes that are no text', async () => {
    await keep({ store_prompts: true, store_responses: true })
    const request = await ask(Buffer.alloc(1024 * 1024 + 5, 'p'), Buffer.from([0xff, 0xfe, 0x00, 0x80]))
    await expect.poll(() => rows(request)).toHaveLength(2)
    const { data } = await read(request)
    expect(data).toMatchObject([
      { part: 'prompt', bytes: 1024 * 1024 + 5, whole: false, encoding: 'utf-8' },
      { part: 'response', bytes: 4, whole: true, encoding: 'base64', content: '//4AgA==' },
    ])
    expect(data[0]!.content).toHaveLength(1024 * 1024)
  })

  it('is a stream as it passed by, also one that broke off', async () => {
    await keep({ store_prompts: true, store_responses: true })
    let breakOff = (): void => undefined
    stage.upstream.answer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: half\n\n')
      breakOff = () => void response.socket!.resetAndDestroy()
    })
    const headers = { authorization: `Bearer ${stage.key}` }
    const response = await stage.call(CHAT, { method: 'POST', headers, body: '{"stream":true}' })
    const reader = response.body!.getReader()
    await reader.read()
    breakOff()
    await reader.read().catch(() => undefined)
    const request = response.headers.get('sallyport-request-id')!
    await expect
      .poll(() => parts(request))
      .toEqual([
        ['prompt', '{"stream":true}'],
        ['response', 'data: half\n\n'],
      ])
  })

  describe('at /v1', () => {
    const OPENAI = (text: string) =>
      `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"${text}"}}]}`
    const ANTHROPIC = (text: string) =>
      `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"${text}"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`

    /** Asks as OpenAI's clients do, of a provider that answers so; what it saw, what the caller got, and what is kept. */
    async function asked(model: string, answers: Readonly<Record<string, readonly [number, string]>>) {
      const [prompt, seen] = [marked(), [] as string[]]
      stage.upstream.answer(async (request, response) => {
        const pieces: Buffer[] = []
        for await (const piece of request) pieces.push(piece as Buffer)
        seen.push(Buffer.concat(pieces).toString())
        const [status, answer] = answers[request.url!]!
        response.writeHead(status, { 'content-type': 'application/json' }).end(answer)
      })
      const response = await stage.call('/v1/chat/completions', {
        method: 'POST',
        headers: { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: prompt }] }),
      })
      const got = await response.text()
      const request = response.headers.get('sallyport-request-id')!
      await expect.poll(() => rows(request)).toHaveLength(2 * seen.length)
      const { data } = await read(request)
      const kept = data.map(({ part, provider, status, content }) => [part, provider, status, content])
      for (const { row } of await rows(request)) expect(row).not.toContain(prompt)
      return { prompt, seen, got, kept }
    }

    it('S85 is what the caller said and got where its provider speaks OpenAI’s words, but for the provider before the model', async () => {
      await keep({ store_prompts: true, store_responses: true })
      const answer = OPENAI(marked())
      const { prompt, seen, got, kept } = await asked('openai/m', { '/v1/chat/completions': [200, answer] })
      expect(seen).toEqual([JSON.stringify({ model: 'm', messages: [{ role: 'user', content: prompt }] })])
      expect(kept).toEqual([
        ['prompt', 'openai', 200, seen[0]],
        ['response', 'openai', 200, answer],
      ])
      expect(got).toBe(answer)
    })

    it('S85 is what the provider was told and said where that is put into other words, with all that the caller said and got', async () => {
      await keep({ store_prompts: true, store_responses: true })
      const said = marked()
      const answer = ANTHROPIC(said)
      const { prompt, seen, got, kept } = await asked('anthropic/m', { '/v1/messages': [200, answer] })
      expect(kept).toEqual([
        ['prompt', 'anthropic', 200, seen[0]],
        ['response', 'anthropic', 200, answer],
      ])
      expect([seen[0]!.includes(prompt), got.includes(said)]).toEqual([true, true])
    })

    it('S85 is of each target that a route asked, also of one that refused', async () => {
      await keep({ store_prompts: true, store_responses: true })
      const targets = [
        { provider: 'openai', model: 'm' },
        { provider: 'anthropic', model: 'm' },
      ]
      const name = `kept-${randomBytes(4).toString('hex')}`
      const body = { name, targets } as Parameters<typeof stage.owner.client.call<'modelRouteCreate'>>[1]['body']
      await stage.owner.client.call('modelRouteCreate', { params: stage.owner.place, body })
      const [said, refusal] = [marked(), '{"error":{"message":"later","type":"requests","param":null,"code":"rate_limit_exceeded"}}']
      const { prompt, seen, got, kept } = await asked(name, {
        '/v1/chat/completions': [429, refusal],
        '/v1/messages': [200, ANTHROPIC(said)],
      })
      expect(kept.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))).toEqual([
        ['prompt', 'anthropic', 200, seen[1]],
        ['prompt', 'openai', 429, seen[0]],
        ['response', 'anthropic', 200, ANTHROPIC(said)],
        ['response', 'openai', 429, refusal],
      ])
      expect([seen.every((one) => one.includes(prompt)), got.includes(said), got.includes('later')]).toEqual([true, true, false])
    })
  })

  it('S122 is over when its days are, though nobody has swept yet', async () => {
    await keep({ store_prompts: true, store_responses: true, stored_content_days: 7 })
    const request = await ask('{"q":1}', '{"a":1}')
    await expect.poll(() => rows(request)).toHaveLength(2)
    const [{ days } = { days: 0 }] = await database<{ days: number }>(
      `select extract(day from expires_at - stored_at)::int as days from sallyport.stored_content where request_id = $1 limit 1`,
      [parseId('req', request)],
    )
    expect([6, 7]).toContain(days)
    await database(`alter table sallyport.stored_content disable trigger insert_only`)
    await database(`update sallyport.stored_content set expires_at = clock_timestamp() where request_id = $1`, [parseId('req', request)])
    await database(`alter table sallyport.stored_content enable trigger insert_only`)
    expect(await parts(request)).toBe('not_found')
    await database('select sallyport.stored_content_sweep(10000)')
    expect(await rows(request)).toEqual([])
  })

  it('S69 goes with the end user whom the call was made for, and nobody else’s', async () => {
    await keep({ store_prompts: true, store_responses: true })
    const [gone, stays] = [await ask('{"q":1}', '{}', { 'sallyport-user': 'ada' }), await ask('{"q":2}', '{}', { 'sallyport-user': 'bob' })]
    await expect.poll(async () => [await rows(gone), await rows(stays)].map(({ length }) => length)).toEqual([2, 2])
    await stage.owner.client.call('endUserDelete', { params: { ...stage.owner.place, end_user: 'ada' } })
    expect([await parts(gone), (await rows(stays)).length]).toEqual(['not_found', 2])
  })

  it('S85 is nothing any more once it is switched off', async () => {
    await keep({ store_prompts: false, store_responses: false })
    const request = await ask('{"q":1}', '{"a":1}')
    await expect.poll(() => recorded(request)).toHaveLength(1)
    expect(await rows(request)).toEqual([])
  })
})
