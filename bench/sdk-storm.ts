/**
 * Owns the figures of many callers at once: calls of one user whose token has died, in one process, against a provider on loopback whose token endpoint
 * takes its time. What is asked: how often the provider is asked, and how much longer than that a caller waits.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Sallyport } from '@sallyport/core'
import { spread } from './statistics.ts'
import type { Spread } from './statistics.ts'

export interface StormFigures {
  readonly callers: number
  readonly tokenLatencyMs: number
  /** Refreshes that the provider saw, all rounds together; one a round is right. */
  readonly rounds: number
  readonly tokenCalls: number
  /** Callers that did not get their answer. */
  readonly errors: number
  /** Of a caller's wait, by round. Milliseconds. */
  readonly p50Ms: Spread
  readonly p99Ms: Spread
}

const TOKEN_LATENCY_MS = 100
const REDIRECT_URI = 'https://app.example/callback'

export async function measureStorm({ callers, rounds }: { readonly callers: number; readonly rounds: number }): Promise<StormFigures> {
  let tokenCalls = 0
  const server = createServer((request, response) => void answer(request, response, () => (tokenCalls += 1)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const sallyport = await startOn(origin)
  const users = Array.from({ length: rounds }, (_, round) => `user-${round}`)
  for (const userId of users) await connect(sallyport, userId)
  // What they were given lives a second.
  await pause(1_100)
  const waits: number[][] = []
  let errors = 0
  for (const userId of users) {
    const calls = await Promise.all(Array.from({ length: callers }, () => timed(sallyport, userId)))
    errors += calls.filter((wait) => wait === undefined).length
    waits.push(calls.filter((wait) => wait !== undefined).toSorted((a, b) => a - b))
  }
  await sallyport.close()
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  const at = (share: number): Spread => spread(waits.map((sorted) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0))
  return { callers, tokenLatencyMs: TOKEN_LATENCY_MS, rounds, tokenCalls, errors, p50Ms: at(0.5), p99Ms: at(0.99) }
}

async function timed(sallyport: Sallyport, userId: string): Promise<number | undefined> {
  const since = performance.now()
  try {
    const answered = await sallyport.request({ provider: 'bench', userId, path: '/thing' })
    await answered.text()
    return answered.status === 200 ? performance.now() - since : undefined
  } catch {
    // Counted: whoever reads the figures sees that it was not all.
    return undefined
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, onRefresh: () => void): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const json = (body: object): unknown => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (request.url !== '/token') return void json({ id: '1', name: 'a person' })
  const refreshes = Buffer.concat(chunks).includes('grant_type=refresh_token')
  if (refreshes) {
    onRefresh()
    await pause(TOKEN_LATENCY_MS)
  }
  json({ access_token: 'a'.repeat(40), refresh_token: 'r'.repeat(40), token_type: 'bearer', expires_in: refreshes ? 3600 : 1 })
}

function startOn(origin: string): Promise<Sallyport> {
  const oauth = {
    issuer: origin,
    responseIssuer: 'checked',
    authorizationEndpoint: `${origin}/authorize`,
    tokenEndpoint: `${origin}/token`,
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  }
  const injection = { kind: 'header', name: 'authorization', template: 'Bearer {token}' }
  const record = {
    id: 'bench',
    name: 'A provider of the benchmark',
    docs: 'https://docs.example/',
    oauth,
    userinfo: { url: `${origin}/user`, method: 'GET', idPath: ['id'], labelPath: ['name'], headers: {} },
    api: { base: origin, injection, defaultHeaders: {} },
    defaultScopes: ['read'],
    scopeContents: {},
    features: {},
    rotation: { kind: 'strict' },
    revocation: { kind: 'none' },
    requestLifetimeMs: 5_000,
    origins: [origin],
  }
  return Sallyport.init({
    mode: 'development',
    tokenStore: { backend: 'memory' },
    connectors: [record],
    providers: { bench: { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI } },
    insecureAllowOrigins: [origin],
    logging: { level: 'silent' },
  })
}

async function connect(sallyport: Sallyport, userId: string): Promise<void> {
  const { state } = await sallyport.connect({ provider: 'bench', userId })
  await sallyport.handleCallback(new URLSearchParams({ state, code: 'a-code' }), { userId })
}
