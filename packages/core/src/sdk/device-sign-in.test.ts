import { describe, expect, it } from 'vitest'
import { checkedApiRecord } from '../catalog/index.ts'
import { systemClock } from '../kernel/index.ts'
import { createDpopNonces } from '../oauth/index.ts'
import { createMemoryStates, createMemoryStore } from '../stores/index.ts'
import { DeviceSigningIn } from './device-sign-in.ts'
import { judgeScheme } from './schemes.ts'

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
const pending = (error: string) => json({ error }, 400)
const tokens = () => json({ access_token: 'fake-access', token_type: 'bearer', expires_in: 60, refresh_token: 'fake-refresh' })

const record = checkedApiRecord({
  id: 'device',
  name: 'A device server',
  docs: 'https://docs.example/',
  oauth: {
    issuer: 'https://issuer.example',
    tokenEndpoint: 'https://issuer.example/token',
    deviceAuthorizationEndpoint: 'https://issuer.example/device',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    tokenQuirks: [],
  },
  userinfo: { url: 'https://issuer.example/me', method: 'GET', idPath: ['id'], labelPath: ['id'], headers: {} },
  api: {
    base: 'https://issuer.example',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  origins: ['https://issuer.example'],
})
const { scheme } = judgeScheme(record, { clientId: 'a-client', publicClient: true }, 'providers.device')

/** The token endpoint gives these answers in turn. */
function waiting(...answers: (Response | Error)[]) {
  const paused: number[] = []
  const settled = Promise.withResolvers<void>()
  const store = createMemoryStore()
  const devices = new DeviceSigningIn({
    provider: () => ({ name: 'device', record, scheme: scheme!, scopes: [] }),
    states: createMemoryStates(),
    store,
    fetch: async (url) => {
      if (url.endsWith('/device'))
        return json({ device_code: 'd', user_code: 'u', verification_uri: 'https://issuer.example/go', expires_in: 900, interval: 5 })
      if (url.endsWith('/me')) return json({ id: 'grace' })
      const answer = answers.shift()!
      if (answer instanceof Error) throw answer
      return answer
    },
    nonces: createDpopNonces(),
    servers: { complete: async (server) => server },
    clock: systemClock,
    pause: async (ms, signal) => {
      signal?.throwIfAborted()
      paused.push(ms)
      if (ms === SETTLING_MS) await settled.promise
    },
  })
  return { devices, paused, store, settle: settled.resolve }
}

/** How long whoever is refused waits for another to say that it has the tokens. */
const SETTLING_MS = 1_000

const of = { provider: 'device', userId: 'ada' }

describe('waiting for a person on another device', () => {
  it('keeps the server’s interval, and five seconds more for each "slow_down"', async () => {
    const said = ['authorization_pending', 'slow_down', 'authorization_pending', 'slow_down'].map(pending)
    const { devices, paused, store } = waiting(...said, tokens())
    const { handle } = await devices.begin(of)
    expect(await devices.wait(handle, { userId: 'ada' }, {})).toMatchObject({ account: { id: 'grace' } })
    expect(paused).toEqual([5_000, 10_000, 10_000, 15_000])
    expect((await store.read({ scope: 'device', id: 'ada' }))?.status).toBe('active')
  })

  it('asks a server that does not answer ever more seldom, and goes on', async () => {
    const { devices, paused } = waiting(pending('authorization_pending'), json({}, 503), json({}, 503), tokens())
    const { handle } = await devices.begin(of)
    await devices.wait(handle, { userId: 'ada' }, {})
    expect(paused).toEqual([5_000, 10_000, 20_000])
  })

  it('ends with the code, and forgets the sign-in', async () => {
    const { devices } = waiting(pending('expired_token'))
    const { handle } = await devices.begin(of)
    await expect(devices.wait(handle, { userId: 'ada' }, {})).rejects.toMatchObject({ code: 'state_expired' })
    await expect(devices.wait(handle, { userId: 'ada' }, {})).rejects.toMatchObject({ code: 'state_used' })
  })

  it('is ended by an abort alone, which leaves the sign-in to be waited for', async () => {
    const { devices } = waiting(pending('authorization_pending'), tokens())
    const { handle } = await devices.begin(of)
    const stop = new AbortController()
    const waited = devices.wait(handle, { userId: 'ada' }, { signal: stop.signal })
    stop.abort(new Error('the program stops'))
    await expect(waited).rejects.toThrow('the program stops')
    expect(await devices.wait(handle, { userId: 'ada' }, {})).toMatchObject(of)
  })

  it('is nobody’s who does not say whose it is', async () => {
    const { devices, store } = waiting(tokens())
    const { handle } = await devices.begin(of)
    const nobody = { userId: undefined as unknown as string }
    await expect(devices.wait(handle, nobody, {})).rejects.toMatchObject({ code: 'argument_invalid' })
    expect(await store.read({ scope: 'device', id: 'ada' })).toBeUndefined()
    expect(await devices.wait(handle, { userId: 'ada' }, {})).toMatchObject(of)
  })

  it('says to the second of two that the first has it', async () => {
    const { devices, settle } = waiting(tokens(), pending('invalid_grant'))
    const { handle } = await devices.begin(of)
    const wait = async () => {
      await devices.wait(handle, { userId: 'ada' }, {})
      settle()
    }
    const both = await Promise.allSettled([wait(), wait()])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'state_used' } })
  })
})
