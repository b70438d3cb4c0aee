/**
 * Marked prompts and answers go through the model routes in every way that a call can go and fail, at the most talkative log level; afterwards no sink holds
 * one, nor a hash of one: not a row of any table, not what was printed, counted, listed or kept in Redis, not a file. That calls were made is on record.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { freePort } from '@sallyport/testkit'
import { setModelStage } from './model-stage.ts'
import type { ModelStage } from './model-stage.ts'

let stage: ModelStage
let metricsPort: number
/** What stands nowhere. Letters alone, so that no encoding of text changes them. */
const canaries: string[] = []
/** Whole bodies in which they went, of which no hash stands anywhere. */
const bodies: string[] = []
/** What the gateway said of calls afterwards. */
const said: string[] = []

beforeAll(async () => {
  metricsPort = await freePort()
  stage = await setModelStage({
    postgresUrl: inject('postgresUrl'),
    egress: { headersTimeoutMs: 1_000, idleTimeoutMs: 1_000 },
    variables: {
      SALLYPORT_LOG_LEVEL: 'debug',
      SALLYPORT_LOG_FORMAT: 'json',
      SALLYPORT_METRICS_PORT: String(metricsPort),
      SALLYPORT_REDIS_URL: inject('redisUrl'),
    },
  })
})
afterAll(() => stage?.close())

function canary(): string {
  const made = `canary${randomBytes(20)
    .toString('hex')
    .replaceAll(/\d/gu, (digit) => 'ghijklmnop'[Number(digit)]!)}`
  canaries.push(made)
  return made
}

function marked(body: object): string {
  const text = JSON.stringify(body)
  bodies.push(text)
  return text
}

const bearer = () => ({ authorization: `Bearer ${stage.key}`, 'content-type': 'application/json' })

/** What a client of each vendor would ask, on every route that there is. */
function asking(stream: boolean): readonly (readonly [path: string, body: string])[] {
  const messages = () => [{ role: 'user', content: canary() }]
  return [
    ['/llm/openai/v1/chat/completions', marked({ model: 'm', stream, messages: messages() })],
    ['/llm/openai/v1/responses', marked({ model: 'm', stream, input: canary(), instructions: canary() })],
    ['/llm/openai/v1/embeddings', marked({ model: 'm', input: [canary()] })],
    ['/llm/anthropic/v1/messages', marked({ model: 'm', stream, max_tokens: 9, system: canary(), messages: messages() })],
    [`/llm/gemini/v1beta/models/m:generateContent?said=${canary()}`, marked({ contents: [{ parts: [{ text: canary() }] }] })],
    ['/v1/chat/completions', marked({ model: 'openai/m', stream, messages: messages() })],
    ['/v1/chat/completions', marked({ model: 'anthropic/m', stream, messages: messages() })],
    ['/v1/chat/completions', marked({ model: 'several', stream, messages: messages() })],
    ['/v1/responses', marked({ model: 'openai/m', stream, input: canary() })],
    ['/v1/embeddings', marked({ model: 'openai/m', input: canary() })],
  ]
}

type Answering = (request: IncomingMessage, response: ServerResponse) => void
const whole =
  (work: Answering): Answering =>
  (request, response) =>
    void request.resume().once('end', () => work(request, response))
const events = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(`data: ${marked({ choices: [{ delta: { content: canary() } }] })}\n\n`)
}
/** How the provider behaves, by what that is. What it says of itself is marked as well: headers, errors and answers. */
const PROVIDERS: Readonly<Record<string, Answering>> = {
  'a whole answer': whole((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-said': canary() })
    response.end(marked({ id: 'x', choices: [{ message: { role: 'assistant', content: canary() } }], usage: { total_tokens: 3 } }))
  }),
  'a whole stream': whole((_request, response) => {
    events(response)
    response.end('data: [DONE]\n\n')
  }),
  'an error that repeats the prompt': (request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
    request.once('end', () => response.writeHead(400, { 'content-type': 'application/json' }).end(marked({ error: { message: text } })))
  },
  'its own failure': whole((_request, response) => response.writeHead(500).end(canary())),
  'too many calls': whole((_request, response) => response.writeHead(429, { 'retry-after': canary() }).end(canary())),
  'no JSON': whole((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(`{"${canary()}`)),
  'a stream that breaks off': whole((request, response) => {
    events(response)
    setImmediate(() => request.socket.resetAndDestroy())
  }),
  'a stream that falls silent': whole((_request, response) => events(response)),
  'a reset': (request) => void request.socket.resetAndDestroy(),
  'no HTTP': whole((request) => request.socket.end(`${canary()}\r\n\r\n`)),
  'no answer': whole(() => undefined),
}

/** Reads whatever comes, however it ends. */
async function read(sent: Promise<Response>): Promise<void> {
  const answer = await sent.catch((error: unknown) => String(error))
  if (typeof answer !== 'string') await answer.text().catch(() => '')
}

const post = (path: string, body: BodyInit, headers: Record<string, string> = {}, more: RequestInit = {}): Promise<Response> =>
  stage.call(path, { method: 'POST', headers: { ...bearer(), 'x-custom': canary(), ...headers }, body, ...more })

async function everyWay(): Promise<void> {
  const { client, place } = stage.owner
  await client.call('modelRouteCreate', {
    params: place,
    body: {
      name: 'several',
      targets: [
        { provider: 'anthropic', model: 'm' },
        { provider: 'openai', model: 'm' },
      ],
    },
  })
  for (const answering of Object.values(PROVIDERS)) {
    stage.upstream.answer(answering)
    await Promise.all([true, false].flatMap((stream) => asking(stream).map(([path, body]) => read(post(path, body)))))
  }
  stage.upstream.answer(PROVIDERS['a stream that falls silent']!)
  for (const [path, body] of asking(true)) {
    const leaving = new AbortController()
    const answer = await post(path, body, {}, { signal: leaving.signal })
    const first = answer.body!.getReader().read()
    leaving.abort()
    await first.catch(() => undefined)
  }
}

/** In ways that the gateway refuses by itself. */
async function refused(): Promise<void> {
  const spoiled: Record<string, string>[] = [
    { authorization: 'Bearer sp_test_not-a-key' },
    { 'x-api-key': canary() },
    { 'sallyport-provider-key': '' },
    { 'sallyport-keepalive': canary() },
    { 'sallyport-provider-settings': canary() },
    { 'content-type': 'text/plain' },
  ]
  const without = await stage.keyWith(['proxy:call'])
  for (const headers of [...spoiled, { authorization: `Bearer ${without}` }])
    for (const [path, body] of asking(false)) await read(post(path, body, headers))
  for (const path of ['/llm/nobody/v1/x', '/llm/openai/v1/../x', '/llm/groq/v1/x', '/v1/chat/completions', '/v1/embeddings']) {
    await read(post(path, marked({ model: 'nobody/m', messages: [canary()] })))
    await read(post(path, `{"messages": "${canary()}`))
    await read(post(path, Buffer.alloc(11 * 1024 * 1024, canary())))
  }
}

/** Every row of every table as text, by table. */
async function everyTable(): Promise<Map<string, string>> {
  const admin = new Client({ connectionString: stage.gateway.databaseUrl! })
  await admin.connect()
  try {
    const { rows: tables } = await admin.query<{ name: string }>(
      `select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
    )
    expect(tables.length).toBeGreaterThan(30)
    const all = new Map<string, string>()
    for (const { name } of tables) {
      const { rows } = await admin.query<{ row: string }>(`select t::text as row from ${name} t`)
      all.set(name, rows.map(({ row }) => row).join('\n'))
    }
    return all
  } finally {
    await admin.end()
  }
}

/** The tables in which one of these stands. */
async function found(wanted: readonly string[]): Promise<string[]> {
  const holding = [...(await everyTable())].filter(([, text]) => wanted.some((one) => text.includes(one)))
  return holding.map(([name]) => name)
}

const spellings = (text: string): string[] => {
  const bytes = Buffer.from(text)
  return [text, bytes.toString('hex'), bytes.toString('base64').replace(/.{2}=*$/u, '')]
}
const hashes = (text: string): string[] =>
  ['sha256', 'sha1', 'md5'].flatMap((name) => {
    const digest = createHash(name).update(text).digest()
    return [digest.toString('hex'), digest.toString('base64').replace(/=+$/u, '')]
  })

async function inRedis(): Promise<string> {
  const redis = new Redis(inject('redisUrl'), { lazyConnect: true })
  await redis.connect()
  try {
    const kept: string[] = []
    for await (const names of redis.scanStream({ count: 500 }) as AsyncIterable<string[]>) {
      for (const name of names) kept.push(name, (await redis.dumpBuffer(name).catch(() => null))?.toString('latin1') ?? '')
    }
    return kept.join('\n')
  } finally {
    redis.disconnect()
  }
}

async function filesBelow(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return (await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')))).join('\n')
}

async function ask(query: string): Promise<Record<string, unknown>[]> {
  const admin = new Client({ connectionString: stage.gateway.databaseUrl! })
  await admin.connect()
  try {
    return (await admin.query(query)).rows
  } finally {
    await admin.end()
  }
}

describe('model calls with default settings', () => {
  beforeAll(async () => {
    await everyWay()
    await refused()
    const { client, place } = stage.owner
    said.push(JSON.stringify(await client.call('requestList', { params: place, query: { limit: 200 } })))
    said.push(JSON.stringify(await client.call('auditEventList', { params: { org: place.org }, query: { limit: 200 } })))
    said.push(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text())
  }, 240_000)

  it('L-15 S85 no prompt and no answer, and no hash of one, stands in any row of any table', { timeout: 180_000 }, async () => {
    expect(canaries.length).toBeGreaterThan(300)
    // What is written in groups is written, and the search finds what is there: the path of a call.
    await expect.poll(() => found(['/v1/chat/completions'])).toContain('sallyport.request_record')
    expect(await found(canaries.flatMap(spellings))).toEqual([])
    expect(await found(bodies.flatMap(hashes))).toEqual([])
  })

  it('L-15 S85 none stands in what was printed at level debug, listed, counted, or kept in Redis and in files', async () => {
    const printed = stage.gateway.output()
    expect(printed.length).toBeGreaterThan(1_000)
    const sinks = { printed, said: said.join('\n'), redis: await inRedis(), files: await filesBelow(stage.gateway.dataDir) }
    for (const [name, text] of Object.entries(sinks)) {
      expect(canaries.filter((one) => spellings(one).some((spelling) => text.includes(spelling))).length, name).toBe(0)
      expect(bodies.filter((one) => hashes(one).some((hash) => text.includes(hash))).length, name).toBe(0)
    }
  })

  it('L-16 1,000 calls are all on record, without what they said, and none fails for it', { timeout: 180_000 }, async () => {
    stage.upstream.answer(PROVIDERS['a whole answer']!)
    const counted = async () => Number((await ask('select count(*) from sallyport.request_record where status = 200'))[0]!['count'])
    const before = await counted()
    const statuses: number[] = []
    const caller = async (): Promise<void> => {
      for (let call = 0; call < 50; call++) {
        const answer = await post('/llm/openai/v1/chat/completions', marked({ model: 'm', messages: [canary()] }))
        statuses.push(answer.status)
        await answer.text()
      }
    }
    await Promise.all(Array.from({ length: 20 }, caller))
    expect(statuses.filter((status) => status === 200)).toHaveLength(1_000)
    await expect.poll(counted).toBe(before + 1_000)
    // What every marked text begins with.
    expect(await found(spellings('canary'))).toEqual([])
  })
})
