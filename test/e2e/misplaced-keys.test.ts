/** Gateway keys where none belongs, and keys that are spoiled, on every plane: refused, heard of by no provider, and kept nowhere. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { configFor, createKey, freePort, setStage, signInOwner, startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess, Stage } from '@sallyport/testkit'
import { keepKey } from './model-stage.ts'
import { rawRequest, sendRaw } from './wire.ts'

let stage: Stage
let gateway: GatewayProcess
let metricsPort: number
/** With every right that a call takes, so that the place alone is what is wrong. */
let key: string
let another: string

beforeAll(async () => {
  metricsPort = await freePort()
  const rootKeys = { SALLYPORT_ENCRYPTION_KEYS: `test:${randomBytes(32).toString('hex')}` }
  stage = await setStage({ postgresUrl: inject('postgresUrl'), variables: rootKeys })
  stage.upstream.answer((_request, response) => void response.end('{}'))
  key = await createKey(stage.owner, ['proxy:call', 'llm:call', 'keys:read', 'keys:write'])
  another = await createKey(stage.owner, ['proxy:call', 'llm:call', 'keys:read', 'keys:write'])
  await keepKey(stage.owner, { provider: 'openai', secret: 'not-a-real-openai-key' })
  await stage.gateway.stop()
  gateway = await startGatewayProcess({
    database: stage.gateway.database,
    variables: { ...rootKeys, SALLYPORT_LOG_LEVEL: 'debug', SALLYPORT_LOG_FORMAT: 'json', SALLYPORT_METRICS_PORT: String(metricsPort) },
    file: { ...configFor(stage.issuer, stage.upstream), models: { providers: [{ id: 'openai', base: stage.upstream.origin }] } },
  })
})
afterAll(async () => {
  await gateway?.stop()
  await stage?.close()
})

/** By plane: what is asked for, and what takes a body. */
const PLANES = [
  ['/api/v1', '/api/v1/whoami', '/api/v1/orgs'],
  ['/proxy', '/proxy/api/user', '/proxy/api/user'],
  ['/llm', '/llm/openai/v1/models', '/llm/openai/v1/responses'],
  ['/v1', '/v1/models', '/v1/chat/completions'],
] as const

const basic = (text: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })

/** Every place but the one where a client of that API puts its own. */
function misplaced(get: string, post: string): readonly [place: string, path: string, init: RequestInit][] {
  const body = JSON.stringify({ key, api_key: key, model: 'openai/m', messages: [] })
  return [
    ['query', `${get}?key=${key}`, {}],
    ['query, beside a good one', `${get}?access_token=${key}`, { headers: { authorization: `Bearer ${another}` } }],
    ['path', `${get}/${key}`, {}],
    ['cookie', get, { headers: { cookie: `key=${key}` } }],
    ['session cookie', get, { headers: { cookie: `sallyport_session=${key}` } }],
    ['Basic user', get, { headers: basic(`${key}:`) }],
    ['Basic password', get, { headers: basic(`user:${key}`) }],
    ['another scheme', get, { headers: { authorization: `Negotiate ${key}` } }],
    ['a header of its own', get, { headers: { 'x-sallyport-key': key } }],
    ['body', post, { method: 'POST', body, headers: { 'content-type': 'application/json' } }],
    ['form', post, { method: 'POST', body: new URLSearchParams({ key }) }],
  ]
}

async function storedAnywhere(text: string): Promise<string[]> {
  const client = new Client({ connectionString: stage.gateway.databaseUrl! })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(`select format('%I.%I', schemaname, tablename) as name
      from pg_tables where schemaname = 'sallyport'`)
    expect(rows.length).toBeGreaterThan(20)
    const found: string[] = []
    for (const { name } of rows) {
      const { rowCount } = await client.query(`select from ${name} t where t::text like '%' || $1 || '%' limit 1`, [text])
      if (rowCount !== 0) found.push(name)
    }
    return found
  } finally {
    await client.end()
  }
}

describe('a gateway key', () => {
  it.each(PLANES)('K-06 is taken from %s in no other place than its own', async (_plane, get, post) => {
    const before = stage.upstream.seen.length
    for (const [place, path, init] of misplaced(get, post)) {
      const response = await fetch(`${gateway.url}${path}`, { ...init, redirect: 'manual' })
      expect([400, 401, 404], `${place}: ${response.status}`).toContain(response.status)
      expect(await response.text(), place).not.toContain(key.split('_')[3])
    }
    expect(stage.upstream.seen.length).toBe(before)
    // The place alone was wrong.
    expect((await fetch(`${gateway.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200)
  })

  it.each(PLANES)('K-10 that is spoiled is refused by %s without a fault, however', async (_plane, get) => {
    const [kind, environment, id, random, checksum] = key.split('_') as [string, string, string, string, string]
    const spoiled: readonly (readonly [how: string, text: string | Buffer])[] = [
      ['a NUL', `${key}\0`],
      ['a NUL within', `${kind}_${environment}_${id}\0_${random}_${checksum}`],
      ['a letter that looks alike', Buffer.from(key.replace(/[aeopcx](?!.*[aeopcx])/u, '\u0430'))],
      ['a wide letter', Buffer.from(`\uff53${key.slice(1)}`)],
      ['a space within', `${kind}_${environment} _${id}_${random}_${checksum}`],
      ['12,000 letters', `${key}${'A'.repeat(12_000)}`],
      ['a megabyte', `${key}${'A'.repeat(1_000_000)}`],
      ['a line that goes on', `${key}\r\n more`],
      ['a bare newline', `${key}\n more`],
      ['a bare carriage return', `${key}\rmore`],
    ]
    const before = stage.upstream.seen.length
    for (const [how, text] of spoiled) {
      const [head, tail] = rawRequest(get, ['Authorization: Bearer HERE']).split('HERE') as [string, string]
      const { status, body } = await sendRaw(gateway.url, Buffer.concat([Buffer.from(head), Buffer.from(text), Buffer.from(tail)]))
      expect([400, 401, 431], `${how}: ${status} ${body}`).toContain(status)
    }
    expect(stage.upstream.seen.length).toBe(before)
  })

  it('K-06 K-10 is in no log, metric, audit event or row afterwards', async () => {
    const random = key.split('_')[3]!
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    const { client, place } = await signInOwner(gateway)
    const { data: events } = await client.call('auditEventList', { params: { org: place.org }, query: { limit: 200 } })
    expect(events.length).toBeGreaterThan(3)
    await gateway.stop()
    expect(gateway.output().split('\n').length).toBeGreaterThan(20)
    for (const [where, text] of [
      ['the log', gateway.output()],
      ['metrics', metrics],
      ['audit events', JSON.stringify(events)],
    ] as const) {
      for (const form of [random, Buffer.from(random).toString('hex'), Buffer.from(`${key}:`).toString('base64')])
        expect(text.includes(form), where).toBe(false)
    }
    expect(await storedAnywhere(random)).toEqual([])
    // The search itself finds: a key's id is in its row.
    expect(await storedAnywhere('not a text of anybody')).toEqual([])
    expect(await storedAnywhere('user-1')).toContain('sallyport.connection')
  })
})
