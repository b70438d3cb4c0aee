/** The programs in `examples` for the web, for a script and for a fleet of workers, run as they stand. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signIn, startSandbox } from '@sallyport/sandbox'
import type { Sandbox } from '@sallyport/sandbox'
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig } from '../../src/index.ts'
import { startFakeReddit, startFakeX } from '../../../testkit/src/fakes/index.ts'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import { application } from '../../../../examples/express-app.ts'
import { handlersOn } from '../../../../examples/route-handlers.ts'
import { main } from '../../../../examples/script.ts'
import { JOBS, RESULTS } from '../../../../examples/worker-fleet.ts'

const REDIRECT_URI = 'http://localhost:1/callback'
const encryption = { key: randomBytes(32).toString('hex') }
let redis: Awaited<ReturnType<typeof startTestRedis>>
let sandbox: Sandbox

beforeAll(async () => {
  redis = await startTestRedis()
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
})
afterAll(async () => {
  await sandbox.close()
  await redis.stop()
})

function githubConfig(redirectUri: string): SallyportConfig {
  const { clientId, clientSecret, authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase, origin } = sandbox.github
  const endpoints = { authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase }
  return {
    mode: 'development',
    tokenStore: { backend: 'redis', url: redis.url, encryption },
    providers: { github: { clientId, clientSecret, redirectUri, endpoints } },
    insecureAllowOrigins: [origin],
    logging: { level: 'silent' },
  }
}

describe('express-app.ts', () => {
  it('connects a session’s account, lists its repositories, and takes the connection back, each session its own', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const sallyport = await Sallyport.init(githubConfig(`${origin}/callback`))
    server.on('request', application(sallyport))
    const sent = await fetch(`${origin}/connect`, { redirect: 'manual' })
    const cookie = sent.headers.getSetCookie()[0]!.split(';')[0]!
    expect(sent.headers.getSetCookie()[0]).toMatch(/HttpOnly; SameSite=Lax$/u)
    const back = await signIn(sent.headers.get('location')!, sandbox.github.users[0]!)
    expect(await (await fetch(back, { headers: { cookie: `sid=${'x'.repeat(43)}` } })).json()).toMatchObject({
      code: 'state_other_session',
    })
    const again = await fetch(`${origin}/connect`, { redirect: 'manual', headers: { cookie } })
    const right = await signIn(again.headers.get('location')!, sandbox.github.users[0]!)
    expect(await (await fetch(right, { headers: { cookie } })).json()).toEqual({ account: 'octo-sandbox', missingScopes: [] })
    const names = (await (await fetch(`${origin}/repositories`, { headers: { cookie } })).json()) as string[]
    expect(names[0]).toMatch(/^octo-sandbox\//u)
    expect((await fetch(`${origin}/repositories`)).status).toBe(409)
    expect(await (await fetch(`${origin}/healthz`)).json()).toEqual({ status: 'ok', unsaved: 0 })
    expect(await (await fetch(`${origin}/connection`, { method: 'DELETE', headers: { cookie } })).json()).toMatchObject({
      revocation: expect.any(String),
    })
    expect((await fetch(`${origin}/repositories`, { headers: { cookie } })).status).toBe(409)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await sallyport.close()
  })
})

describe('script.ts', () => {
  it('goes on with what an application left in Redis, and nothing for who was never there', async () => {
    const config = githubConfig(REDIRECT_URI)
    const sallyport = await Sallyport.init(config)
    const { url } = await sallyport.connect({ provider: 'github', userId: 'of-the-night' })
    await sallyport.handleCallback(await signIn(url, sandbox.github.users[0]!), { userId: 'of-the-night' })
    await sallyport.close()
    const lines: string[] = []
    expect(await main(config, 'of-the-night', (line) => lines.push(line))).toBe(0)
    expect(lines.length).toBeGreaterThan(1)
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\d octo-sandbox\/\S+ https?:\/\/\S+$/u)
    await expect(main(config, 'nobody', (line) => lines.push(line))).rejects.toMatchObject({ code: 'credential_absent' })
  })
})

describe('route-handlers.ts', () => {
  it('takes requests and gives answers: sign-in at two providers, and posts of the other one when the first is down', async () => {
    const [reddit, x] = [await startFakeReddit({ redirectUri: REDIRECT_URI }), await startFakeX({ redirectUri: REDIRECT_URI })]
    const clientOf = ({ clientId, clientSecret, endpoints }: typeof reddit | typeof x) => ({ clientId, clientSecret, endpoints })
    const sallyport = await Sallyport.init({
      mode: 'development',
      tokenStore: { backend: 'memory' },
      providers: {
        reddit: { ...clientOf(reddit), redirectUri: REDIRECT_URI, features: ['posts.read'] },
        x: { ...clientOf(x), redirectUri: REDIRECT_URI },
      },
      alternatives: { 'posts.read': ['reddit', 'x'] },
      insecureAllowOrigins: [reddit.origin, x.origin],
      http: { retry: { maxRetries: 0 } },
      logging: { level: 'silent' },
    })
    const { connect, callback, posts } = handlersOn(sallyport, async () => 'ada')
    for (const [name, at] of [
      ['reddit', reddit],
      ['x', x],
    ] as const) {
      const sent = await connect(new Request(`https://app.example/connect?provider=${name}`))
      const arrived = await callback(new Request(at.agree(sent.headers.get('location')!)))
      expect(await arrived.json()).toEqual({ provider: name, account: at.user })
    }
    const read = async () => (await (await posts(new Request('https://app.example/posts'))).json()) as { readonly from: string }[]
    expect(new Set((await read()).map(({ from }) => from))).toEqual(new Set(['reddit']))
    reddit.interfere(() => ({ status: 503 }))
    expect(new Set((await read()).map(({ from }) => from))).toEqual(new Set(['x']))
    const unknown = await connect(new Request('https://app.example/connect?provider=nobody'))
    expect([unknown.status, await unknown.json()]).toEqual([404, { code: 'provider_unknown' }])
    await sallyport.close()
    await Promise.all([reddit.close(), x.close()])
  })
})

describe('worker-fleet.ts', () => {
  it('does all jobs over two processes, of which one renews the token that has died', async () => {
    const x = await startFakeX({ redirectUri: REDIRECT_URI, firstLifeS: 1 })
    const config: SallyportConfig = {
      mode: 'development',
      tokenStore: { backend: 'redis', url: redis.url, encryption },
      providers: { x: { clientId: x.clientId, clientSecret: x.clientSecret, redirectUri: REDIRECT_URI, endpoints: x.endpoints } },
      insecureAllowOrigins: [x.origin],
      logging: { level: 'silent' },
    }
    const sallyport = await Sallyport.init(config)
    const { url } = await sallyport.connect({ provider: 'x', userId: 'ada' })
    await sallyport.handleCallback(x.agree(url), { userId: 'ada' })
    await sallyport.close()
    x.expireTokens()
    // As the SDK counts it, too.
    const connectedAt = Date.now()
    await expect.poll(() => Date.now() - connectedAt, { timeout: 10_000 }).toBeGreaterThan(1_000)
    const jobs = new Redis(redis.url)
    const program = join(import.meta.dirname, '../../../../examples/worker-fleet.ts')
    const env = { ...process.env, WORKER_CONFIG: JSON.stringify(config), REDIS_URL: redis.url }
    const workers = [1, 2].map(() => fork(program, { env, execArgv: [], stdio: 'inherit' }))
    await jobs.rpush(JOBS, ...Array.from({ length: 20 }, () => 'ada'))
    await expect.poll(() => jobs.llen(RESULTS), { timeout: 150_000 }).toBe(20)
    const ends = workers.map((worker) => once(worker, 'exit'))
    await jobs.rpush(JOBS, '', '')
    expect((await Promise.all(ends)).map(([code]) => code as number)).toEqual([0, 0])
    const results = (await jobs.lrange(RESULTS, 0, -1)).map((line) => JSON.parse(line) as { readonly posts: number })
    expect(new Set(results.map(({ posts }) => posts))).toEqual(new Set([3]))
    const renewals = x.asked.filter(({ url: at, body }) => at.pathname === '/2/oauth2/token' && body.includes('grant_type=refresh_token'))
    expect(renewals).toHaveLength(1)
    jobs.disconnect()
    await x.close()
  }, 180_000)
})
