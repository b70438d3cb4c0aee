import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { METRICS_CONTENT_TYPE, MetricsRegistry } from '@sallyport/core'
import { METRICS } from './declared.ts'
import { watchProcess } from './process.ts'
import { startMetricsServer } from './server.ts'
import type { MetricsServer } from './server.ts'

let server: MetricsServer
const registry = new MetricsRegistry(METRICS)
beforeEach(async () => {
  server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, () => registry.render())
})
afterEach(() => server.close())

interface Answer {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly text: string
}

/** Plain, so that headers which `fetch` forbids can be sent. */
function ask(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: server.port, path, ...options, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode, type: response.headers['content-type'], text: Buffer.concat(chunks).toString() }),
      )
    })
    sent.on('error', reject).end()
  })
}

describe("the metrics' own port", () => {
  it('S59 answers GET /metrics with every declared metric in the Prometheus text format', async () => {
    registry.count('http_requests_total', { provider: 'github', method: 'GET', status: '2xx', source: 'provider' })
    const answer = await ask('/metrics')
    expect([answer.status, answer.type]).toEqual([200, METRICS_CONTENT_TYPE])
    expect(answer.text).toContain('http_requests_total{provider="github",method="GET",status="2xx",source="provider"} 1\n')
    for (const { name, kind } of METRICS) expect(answer.text).toContain(`# TYPE ${name} ${kind}\n`)
  })

  it.each([
    ['/', {}, 404],
    ['/metrics/', {}, 404],
    ['/healthz', {}, 404],
    ['/api/v1/whoami', {}, 404],
    ['/metrics', { method: 'POST' }, 405],
    ['/metrics', { method: 'DELETE' }, 405],
  ])('answers nothing else: %s %j gets %i', async (path, options, status) => {
    expect((await ask(path, options)).status).toBe(status)
  })

  // The risk: a page that someone opened on this machine reads its loopback, under its own origin or under a name that it rebinds.
  it.each([{ origin: 'https://page.example' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-origin' }])(
    'refuses a web page (%j)',
    async (headers) => {
      const answer = await ask('/metrics', { headers })
      expect(answer.status).toBe(403)
      expect(answer.text).not.toContain('http_requests_total')
    },
  )

  // Browsers send neither header to a plain http address that is no loopback by its name: the name is what tells.
  it.each(['rebound.example', 'rebound.example:9464', 'localhost.rebound.example', '127.0.0.1.rebound.example'])(
    'refuses on loopback to be called by another name (%j)',
    async (host) => {
      const answer = await ask('/metrics', { headers: { host } })
      expect(answer.status).toBe(403)
      expect(answer.text).not.toContain('http_requests_total')
    },
  )

  it.each(['localhost', 'LOCALHOST:9464', '127.0.0.1:9464', '[::1]:9464', '10.1.2.3'])('answers whoever calls it %s', async (host) => {
    expect((await ask('/metrics', { headers: { host } })).status).toBe(200)
  })

  it('closes while somebody still has a connection open', async () => {
    await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text()
    await server.close()
    await expect(ask('/metrics')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('what the process tells of itself', () => {
  it('counts CPU time upwards, and gives memory and the loop in base units', () => {
    const own = new MetricsRegistry(METRICS)
    const figures = watchProcess(own)
    const value = (name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (.+)$`, 'mu').exec(own.render())?.[1])
    figures.collect()
    const before = value('process_cpu_seconds_total')
    for (let n = 0; n < 1e6; n++) Math.sqrt(n)
    figures.collect()
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(before)
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(Math.abs(value('process_start_time_seconds') - Date.now() / 1000)).toBeLessThan(3600)
    expect(value('nodejs_event_loop_delay_seconds')).toBeGreaterThanOrEqual(0)
    figures.close()
  })
})

describe('the list of metrics', () => {
  it('docs/metrics.md names each with its kind, its labels and its sentence, and no other', () => {
    const docs = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8')
    const rows = METRICS.map(({ name, kind, labels, help }) => {
      const names = Object.keys(labels).map((label) => `\`${label}\``)
      return `| \`${name}\` | ${kind} | ${names.join(', ') || '-'} | ${help} |`
    })
    expect(docs.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows)
  })

  it('N8 has no label that names a tenant, and keeps the names that clients depend on', () => {
    const labels = new Set(METRICS.flatMap(({ labels: of }) => Object.keys(of)))
    expect([...labels].toSorted()).toEqual([
      'answer',
      'holder',
      'kind',
      'method',
      'model',
      'outcome',
      'provider',
      'quantile',
      'source',
      'state',
      'status',
      'to',
    ])
    expect(METRICS.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'token_refresh_total',
        'token_refresh_duration_seconds',
        'token_refresh_dedup_local_total',
        'token_refresh_dedup_distributed_total',
        'http_requests_total',
        'http_request_duration_seconds',
        'circuit_breaker_state',
      ]),
    )
  })
})
