/**
 * Owns the measuring of the SDK's `request` beside plain undici: one call after the other in one process, in rounds that take turns, so that what slows
 * the machine slows all. Sends its figures to the parent. Needs `--expose-gc` and a young generation that holds a round.
 */
import { getHeapStatistics } from 'node:v8'
import { Agent, request } from 'undici'
import { Sallyport } from '../packages/core/src/index.ts'
import type { Way, WayFigures } from './sdk.ts'

const [origin, roundsText, callsText] = process.argv.slice(2)
const [rounds, calls] = [Number(roundsText), Number(callsText)]
const of = { provider: 'bench', userId: 'bench' }
const TOKEN = 'a-token-of-the-benchmark'

const record = {
  id: 'bench',
  name: 'The provider of the benchmark',
  docs: 'https://docs.example/',
  oauth: {
    issuer: origin,
    responseIssuer: 'checked',
    authorizationEndpoint: `${origin}/auth`,
    tokenEndpoint: `${origin}/token`,
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  },
  userinfo: { url: `${origin}/me`, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} },
  api: { base: origin, injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' }, defaultHeaders: {} },
  defaultScopes: ['all'],
  scopeContents: {},
  features: {},
  rotation: { kind: 'strict' },
  revocation: { kind: 'none' },
  requestLifetimeMs: 5000,
  origins: [origin],
}

const agent = new Agent({ connections: 1 })
const sallyport = await Sallyport.init({
  mode: 'development',
  tokenStore: { backend: 'memory' },
  connectors: [record],
  providers: { bench: { clientId: 'bench', clientSecret: 'not-a-secret', redirectUri: 'http://localhost/callback' } },
  insecureAllowOrigins: [origin!],
  logging: { level: 'silent' },
})
const { state } = await sallyport.connect(of)
await sallyport.handleCallback(new URLSearchParams({ state, code: 'a-code' }), { userId: of.userId })

async function plain(): Promise<number> {
  const answer = await request(`${origin}/plain`, { dispatcher: agent, headers: { authorization: `Bearer ${TOKEN}` } })
  return (await answer.body.text()).length
}
const through = (path: string) => async (): Promise<number> => (await (await sallyport.request({ ...of, path })).text()).length

const WAYS: Readonly<Record<Way, () => Promise<number>>> = {
  undici: plain,
  request: through('/plain'),
  confirmed: through('/tagged'),
  kept: through('/kept'),
}

interface Sample {
  readonly cpuUs: number
  readonly bytes: number
  readonly us: Float64Array
}

async function measured(call: () => Promise<number>): Promise<Sample> {
  globalThis.gc!()
  const us = new Float64Array(calls)
  const [heap, cpu] = [getHeapStatistics().used_heap_size, process.cpuUsage()]
  for (let i = 0; i < calls; i++) {
    const at = performance.now()
    if ((await call()) < 1024) throw new Error('an answer is not whole')
    us[i] = (performance.now() - at) * 1000
  }
  const { user, system } = process.cpuUsage(cpu)
  return { cpuUs: (user + system) / calls, bytes: Math.max(1, (getHeapStatistics().used_heap_size - heap) / calls), us: us.sort() }
}

const figures: Record<Way, WayFigures> = { undici: none(), request: none(), confirmed: none(), kept: none() }

function none(): WayFigures {
  return { cpuUs: [], bytes: [], p50Us: [], p99Us: [] }
}

for (let round = -1; round < rounds; round++) {
  for (const [way, call] of Object.entries(WAYS) as [Way, () => Promise<number>][]) {
    const { cpuUs, bytes, us } = await measured(call)
    // The first round compiles.
    if (round < 0) continue
    figures[way].cpuUs.push(cpuUs)
    figures[way].bytes.push(bytes)
    figures[way].p50Us.push(us[Math.floor(calls * 0.5)]!)
    figures[way].p99Us.push(us[Math.floor(calls * 0.99)]!)
  }
}
await sallyport.close()
await agent.close()
process.send!(figures)
process.disconnect()
