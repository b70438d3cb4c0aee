import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort, setStage, startGatewayProcess } from '@sallyport/testkit'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const scrape = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
const valueOf = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

/** A node that ends says so on connections that are open, and takes no new ones. */
const takesCalls = (url: string): Promise<boolean> =>
  fetch(`${url}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  )

describe('metrics of a gateway', () => {
  it('S59 count calls by who answered, show the ages of keys, and last until the drain is over', async () => {
    const port = await freePort()
    const stage = await setStage({ variables: { SALLYPORT_METRICS_PORT: String(port) } })
    cleanups.push(() => stage.close())
    const held = Promise.withResolvers<() => void>()
    stage.upstream.answer((request, response) => {
      if (request.url === '/held') held.resolve(() => response.end('at last'))
      else response.writeHead(request.url === '/missing' ? 404 : 200).end('from the provider')
    })
    for (const path of ['/x', '/x', '/missing']) await (await stage.call(path)).text()
    await (await stage.call('/x', { method: 'DELETE' })).text()
    await (await fetch(`${stage.gateway.url}/proxy/api/x`)).text()
    const counts = (text: string) =>
      [
        ['github', 'GET', '2xx', 'provider'],
        ['github', 'GET', '4xx', 'provider'],
        ['github', 'DELETE', '2xx', 'provider'],
        ['none', 'GET', '4xx', 'gateway'],
      ].map(([provider, method, status, source]) =>
        valueOf(text, `http_requests_total{provider="${provider}",method="${method}",status="${status}",source="${source}"}`),
      )
    await expect.poll(async () => counts(await scrape(port))).toEqual([2, 1, 1, 1])
    const text = await scrape(port)
    expect(valueOf(text, 'http_request_duration_seconds_count{provider="github"}')).toBe(4)
    expect(valueOf(text, 'sallyport_root_keys{state="primary"}')).toBe(1)
    expect(valueOf(text, 'sallyport_root_key_age_seconds')).toBeLessThan(600)
    expect(valueOf(text, 'sallyport_data_keys_overdue')).toBe(0)
    expect(valueOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0)
    for (const secret of [stage.key, stage.connection, stage.owner.place.org, stage.token]) expect(text).not.toContain(secret)

    const last = stage.call('/held')
    const release = await held.promise
    const stopped = stage.gateway.stop()
    await expect.poll(() => takesCalls(stage.gateway.url)).toBe(false)
    expect(await scrape(port)).toContain('process_cpu_seconds_total')
    release()
    expect(await (await last).text()).toBe('at last')
    expect(await stopped).toBe(0)
  })

  it('stand back in development when their port is taken, and say so', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    cleanups.push(() => new Promise((resolve) => other.close(resolve)))
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const gateway = await startGatewayProcess({ variables: { SALLYPORT_METRICS_PORT: String(port) } })
    cleanups.push(() => gateway.stop())
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
    expect(gateway.output()).toContain('No metrics: their port can not be listened on')
    expect(gateway.output()).toContain('SALLYPORT_METRICS_PORT')
  })
})

/** Where servers of other kinds show what they are made of. */
const INSIDES = [
  '/metrics',
  '/metrics/',
  '/debug',
  '/debug/vars',
  '/debug/pprof/heap',
  '/status',
  '/server-status',
  '/actuator/env',
  '/admin',
  '/json/version',
  '/.env',
  '/.git/config',
  '/healthz/detail',
  '/readyz?verbose=1',
]

describe('what a stranger is told of a gateway', () => {
  it('X-06 is up or not, ready or not: no figures, no names, no versions, on any path; figures have a port of their own on loopback', async () => {
    const port = await freePort()
    const stage = await setStage({ variables: { SALLYPORT_HOST: '0.0.0.0', SALLYPORT_METRICS_PORT: String(port) } })
    cleanups.push(() => stage.close())
    const { url } = stage.gateway
    const asked = await Promise.all(INSIDES.map(async (path) => [path, await fetch(`${url}${path}`, { redirect: 'manual' })] as const))
    for (const [path, response] of asked) {
      const text = await response.text()
      expect(response.status, path).toBe(path.startsWith('/readyz') ? 200 : 404)
      if (response.status === 200) expect(text).toBe('{"status":"ok"}')
      expect(text, path).not.toMatch(/# TYPE|http_requests_total|node_modules|at .*\.ts|postgres|redis|24\.\d+/iu)
      for (const name of ['server', 'x-powered-by', 'via']) expect(response.headers.get(name), `${path} ${name}`).toBeNull()
    }
    expect(await (await fetch(`${url}/healthz`)).text()).toBe('{"status":"ok"}')
    // By another address of this machine calls are answered and figures are not.
    const elsewhere = url.replace('127.0.0.1', '127.0.0.3')
    expect((await fetch(`${elsewhere}/healthz`)).status).toBe(200)
    await expect(fetch(`http://127.0.0.3:${port}/metrics`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } })
    expect(await scrape(port)).toContain('# TYPE http_requests_total counter')
    expect((await fetch(`http://127.0.0.1:${port}/debug`)).status).toBe(404)
  })
})
