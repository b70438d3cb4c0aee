/** The whole life of a connection in a program without a gateway, on each kind of store, against a certified authorization server. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig, SallyportEvent } from '../../src/index.ts'
import { createDatabase, dropDatabase, startTestRedis } from '../../../testkit/src/servers/index.ts'
import { startUpstream } from '../../../testkit/src/upstream/index.ts'
import { signIn } from '../oauth/sign-in.ts'
import { configOn, recordAt, REDIRECT_URI, renewed, startGround } from './ground.ts'
import type { Ground } from './ground.ts'

const encryption = { key: randomBytes(32).toString('hex'), algorithm: 'aes-256-gcm' }
const NAMES: SallyportEvent[] = ['connected', 'refreshed', 'refresh_failed', 'reconnect_required', 'recovered', 'revoked', 'disconnected']

let ground: Ground
let redis: Awaited<ReturnType<typeof startTestRedis>>
let database: Awaited<ReturnType<typeof createDatabase>>
const admin = inject('postgresUrl')

beforeAll(async () => {
  ground = await startGround()
  redis = await startTestRedis()
  database = await createDatabase(admin)
})
afterAll(async () => {
  await ground.close()
  await redis.stop()
  await dropDatabase(admin, database.name)
})

const STORES: Readonly<Record<string, () => SallyportConfig['tokenStore']>> = {
  memory: () => ({ backend: 'memory' }),
  redis: () => ({ backend: 'redis', url: redis.url, encryption }),
  postgres: () => ({ backend: 'postgres', url: database.url, encryption, expiredTokenBufferMinutes: 5 }),
}

/** As the person's browser would bring it back. */
async function callbackOf(url: string): Promise<string> {
  return `${REDIRECT_URI}?${await signIn(url, REDIRECT_URI)}`
}

describe.each(Object.keys(STORES))('a program with its tokens in %s', (kind) => {
  it('V-08 connects, calls, renews, and takes both tokens back when it disconnects', async () => {
    const sallyport = await Sallyport.init(configOn(ground, STORES[kind]!()))
    const told: string[] = []
    for (const name of NAMES) sallyport.on(name, () => told.push(name))
    const of = { provider: 'strict', userId: `user of ${kind}` }
    const { url } = await sallyport.connect(of)
    const connected = await sallyport.handleCallback(await callbackOf(url), { userId: of.userId })
    expect(connected).toMatchObject({ ...of, account: { id: 'grace', label: 'grace@test.example' }, missingScopes: [] })
    const answer = await sallyport.request({ ...of, path: '/me' })
    expect(await answer.json()).toMatchObject({ sub: 'grace' })
    expect((await renewed(sallyport, of)).expiresAt).toBeGreaterThan(Date.now())
    expect((await sallyport.request({ ...of, path: '/me' })).status).toBe(200)
    expect(await sallyport.getConnectionHealth(of)).toMatchObject({ health: 'active', trouble: null, renewable: true })
    expect(await sallyport.getHealth()).toMatchObject({
      status: 'ok',
      store: { backend: kind, reachable: true },
      unsaved: 0,
      providers: { strict: { state: 'up' } },
    })
    expect(await sallyport.disconnect(of)).toEqual({ kind: 'done' })
    expect(await sallyport.disconnect(of)).toBeUndefined()
    await expect(sallyport.request({ ...of, path: '/me' })).rejects.toMatchObject({ code: 'credential_absent' })
    expect(told).toEqual(['connected', 'refreshed', 'disconnected'])
    expect(sallyport.metricsText()).toMatch(/token_refresh_total\{provider="strict",outcome="tokens"\} 1/u)
    expect(sallyport.metricsText()).toMatch(/http_requests_total\{provider="strict",method="GET",status="2xx",source="provider"\} 2/u)
    expect(await sallyport.close()).toEqual({ unsaved: 0 })
    await expect(sallyport.connect(of)).rejects.toMatchObject({ code: 'closed' })
  })

  it('O-04 refuses a state that was used, made up, or begun for another user, session or provider', async () => {
    const sallyport = await Sallyport.init(configOn(ground, STORES[kind]!()))
    const of = { provider: 'strict', userId: 'ada' }
    const used = await callbackOf((await sallyport.connect(of)).url)
    await sallyport.handleCallback(used, { userId: 'ada' })
    await expect(sallyport.handleCallback(used, { userId: 'ada' })).rejects.toMatchObject({ code: 'state_used' })
    const forged = new URL(used)
    forged.searchParams.set('state', randomBytes(32).toString('base64url'))
    await expect(sallyport.handleCallback(forged, { userId: 'ada' })).rejects.toMatchObject({ code: 'state_unknown' })
    const start = async (session?: string): Promise<URLSearchParams> => {
      const { state } = await sallyport.connect(session === undefined ? of : { ...of, session })
      return new URLSearchParams({ state, code: 'never shown', iss: ground.origin })
    }
    await expect(sallyport.handleCallback(await start(), { userId: 'eve' })).rejects.toMatchObject({ code: 'state_other_session' })
    await expect(sallyport.handleCallback(await start('s1'), { session: 's2' })).rejects.toMatchObject({ code: 'state_other_session' })
    await expect(sallyport.handleCallback(await start('s1'), { userId: 'ada' })).rejects.toMatchObject({ code: 'state_other_session' })
    await expect(sallyport.handleCallback(await start(), { userId: 'ada', provider: 'github' })).rejects.toMatchObject({
      code: 'state_other_provider',
    })
    const nobody = {} as { userId: string }
    await expect(sallyport.handleCallback(await start(), nobody)).rejects.toMatchObject({ code: 'argument_invalid' })
    const bound = await sallyport.connect({ ...of, session: 's1' })
    expect(await sallyport.handleCallback(await callbackOf(bound.url), { session: 's1' })).toMatchObject(of)
    await sallyport.disconnect(of)
    await sallyport.close()
  })
})

describe.each(['redis', 'postgres'])('several processes with their tokens in %s', (kind) => {
  it('finish in one what was begun in another that is gone', async () => {
    const config = configOn(ground, STORES[kind]!())
    const first = await Sallyport.init(config)
    const { url } = await first.connect({ provider: 'strict', userId: 'user-1' })
    await first.close()
    const callback = await callbackOf(url)
    const child = fork(join(import.meta.dirname, 'finishing-process.ts'), [JSON.stringify({ config, callback })], { stdio: 'inherit' })
    const [[message], [code]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
    expect([message, code]).toEqual([{ account: 'grace', status: 200 }, 0])
    const second = await Sallyport.init(config)
    expect((await second.request({ provider: 'strict', userId: 'user-1', path: '/me' })).ok).toBe(true)
    await expect(second.handleCallback(callback, { userId: 'user-1' })).rejects.toMatchObject({ code: 'state_used' })
    await second.close()
  })

  it('V-08 take back what one left that was killed while the provider was asked, and tell what became of it', async () => {
    const api = await startUpstream()
    try {
      const record = recordAt(ground.origin) as { revocation: object; origins: string[] }
      const revocation = { ...record.revocation, endpoint: `${api.origin}/revoke` }
      const config = configOn(ground, STORES[kind]!(), {
        connectors: [{ ...record, revocation, origins: [...record.origins, api.origin] }],
        insecureAllowOrigins: [ground.origin, api.origin],
      })
      const of = { provider: 'strict', userId: 'ended by a process that is gone' }
      const first = await Sallyport.init(config)
      await first.handleCallback(await callbackOf((await first.connect(of)).url), { userId: of.userId })
      await first.close()
      const asked = Promise.withResolvers<void>()
      api.answer(() => asked.resolve())
      const child = fork(join(import.meta.dirname, 'ending-process.ts'), [JSON.stringify({ config, userId: of.userId })], {
        stdio: 'inherit',
      })
      const gone = once(child, 'exit')
      await Promise.race([asked.promise, gone])
      expect(api.seen).toHaveLength(1)
      child.kill('SIGKILL')
      await gone
      api.answer((_request, response) => void response.writeHead(200).end())
      const second = await Sallyport.init(config)
      const told = Promise.withResolvers<unknown>()
      second.on('revocation_ended', told.resolve)
      expect(await told.promise).toEqual({ ...of, revocation: { kind: 'done' } })
      expect([await second.getConnectionHealth(of), (await second.getHealth()).pendingRevocations]).toEqual([undefined, 0])
      const hints = api.seen.slice(1).map(({ body }) => new URLSearchParams(Buffer.concat(body).toString()).get('token_type_hint'))
      expect(hints).toEqual(['refresh_token', 'access_token'])
      await second.close()
    } finally {
      await api.close()
    }
  })

  it('keep a grant whose refresh tokens work once when many callers in two of them renew at once', async () => {
    const config = configOn(ground, STORES[kind]!())
    const [one, other] = [await Sallyport.init(config), await Sallyport.init(config)]
    const of = { provider: 'strict', userId: 'user of two' }
    await one.handleCallback(await callbackOf((await one.connect(of)).url), { userId: of.userId })
    const all = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : other).refresh(of)))
    expect(all.filter(({ status }) => status === 'rejected')).toEqual([])
    expect((await other.request({ ...of, path: '/me' })).status).toBe(200)
    expect(await one.disconnect(of)).toEqual({ kind: 'done' })
    await expect(other.request({ ...of, path: '/me' })).rejects.toMatchObject({ code: 'credential_absent' })
    await Promise.all([one.close(), other.close()])
  })
})
