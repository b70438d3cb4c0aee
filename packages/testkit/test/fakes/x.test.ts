/** The SDK at an X that keeps to what X publishes, by both of its protocols. */
import { afterEach, describe, expect, it } from 'vitest'
import {
  createEgress,
  DEFAULT_EGRESS_POLICY,
  oauth1Authorization,
  oauth1AuthorizationRequest,
  oauth1Moment,
  oauth1Tokens,
} from '@sallyport/core'
import { CONNECTORS, Secret, systemClock } from '@sallyport/core'
import type { OAuth1Exchange, ProviderConfig, Sallyport } from '@sallyport/core'
import { startFakeX } from '../../src/fakes/index.ts'
import type { FakeX, FakeXOptions } from '../../src/fakes/index.ts'
import { itemsOf, personOf, REDIRECT_URI, renewed, sdkAt, signIn } from './through-sdk.ts'

const of = personOf('x')
const FEATURES: Partial<ProviderConfig> = { features: ['posts.read', 'posts.write'] }
const open: { close(): Promise<unknown> }[] = []
let x: FakeX
let sallyport: Sallyport

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

async function start(options: Omit<FakeXOptions, 'redirectUri'> = {}): Promise<void> {
  x = await startFakeX({ redirectUri: REDIRECT_URI, ...options })
  open.push(x)
}

async function connected(options: Omit<FakeXOptions, 'redirectUri'> = {}): Promise<void> {
  await start(options)
  sallyport = await sdkAt('x', x, FEATURES)
  open.push(sallyport)
  await signIn(sallyport, 'x', x.agree)
}

describe('the SDK at X', () => {
  it('signs in with a proof key, proves its client as X reads it, and may renew', async () => {
    await start()
    sallyport = await sdkAt('x', x, FEATURES)
    open.push(sallyport)
    const { account, missingScopes } = await signIn(sallyport, 'x', x.agree)
    expect([account.label, missingScopes]).toEqual([x.user, []])
    expect(await sallyport.getConnectionHealth(of)).toMatchObject({ renewable: true })
  })

  it('shows each refresh token once', async () => {
    await connected()
    for (let i = 0; i < 3; i++) await renewed(sallyport, 'x')
    const shown = x.asked.flatMap(({ url, body }) =>
      url.pathname === '/2/oauth2/token' ? new URLSearchParams(body).getAll('refresh_token') : [],
    )
    expect([shown.length, new Set(shown).size]).toEqual([3, 3])
    expect((await sallyport.request({ ...of, path: '/users/me' })).status).toBe(200)
  })

  it('sends the person to connect again when somebody else has used the refresh token', async () => {
    await connected()
    // A copy of the database, say: the same token is shown there first.
    x.interfere((asked) => {
      if (asked.url.pathname !== '/2/oauth2/token' || !asked.body.includes('grant_type=refresh_token')) return undefined
      const spent = { error: 'invalid_request', error_description: 'Value passed for the token was invalid.' }
      return { status: 400, headers: { 'content-type': 'application/json;charset=utf-8' }, body: JSON.stringify(spent) }
    })
    await expect(renewed(sallyport, 'x')).rejects.toMatchObject({ code: 'reconnect_required' })
  })

  it('reads posts over the pages, once each', async () => {
    await connected({ posts: 205 })
    const posts = await itemsOf(sallyport, 'x', 'posts')
    expect([posts.length, new Set(posts.map(({ id }) => id)).size]).toEqual([205, 205])
    expect(posts.flatMap(({ faults }) => faults)).toEqual([])
    expect(posts[0]).toMatchObject({ text: 'Post 0', createdAt: '2024-01-01T00:00:00.000Z', url: expect.stringMatching(/\/status\/\d+$/u) })
  })

  it('reads an account without posts as one', async () => {
    await connected({ posts: 0 })
    expect(await itemsOf(sallyport, 'x', 'posts')).toEqual([])
  })

  it('posts once, and says that the same text again was refused', async () => {
    await connected()
    const post = CONNECTORS.get('x')!.actions!['post']!
    const send = (text: string) => post((call) => sallyport.request({ ...of, ...call }), { text })
    expect(await send('Hello')).toMatchObject({ kind: 'post', text: 'Hello', faults: [] })
    await expect(send('Hello')).rejects.toMatchObject({ code: 'collection_refused', status: 403 })
    expect(x.asked.filter(({ method, url }) => method === 'POST' && url.pathname === '/2/tweets')).toHaveLength(2)
  })

  it('hands a quota that is used up on as it is', async () => {
    await connected()
    x.leave(0)
    const answer = await sallyport.request({ ...of, path: '/users/me' })
    expect([answer.status, answer.headers.get('x-rate-limit-remaining')]).toEqual([429, '0'])
  })

  it('V-08 takes both tokens back', async () => {
    await connected()
    expect(await sallyport.disconnect(of)).toEqual({ kind: 'done' })
    expect(x.asked.filter(({ url }) => url.pathname === '/2/oauth2/revoke')).toHaveLength(2)
  })
})

describe('OAuth 1.0a at X', () => {
  async function exchangeWith(method: 'HMAC-SHA1' | 'HMAC-SHA256', secret?: string): Promise<OAuth1Exchange> {
    await start()
    const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [x.origin] })
    open.push({ close: () => egress.close() })
    const client = { consumerKey: x.consumer.key, consumerSecret: new Secret(secret ?? x.consumer.secret), signatureMethod: method }
    return { server: x.oauth1, client, fetch: (url, init) => egress.fetch(url, init), clock: systemClock }
  }

  it.each(['HMAC-SHA1', 'HMAC-SHA256'] as const)('signs in by %s, and signs calls that X takes once', async (method) => {
    const exchange = await exchangeWith(method)
    const { url, temporary } = await oauth1AuthorizationRequest(exchange, REDIRECT_URI)
    const { credential, extra } = await oauth1Tokens(exchange, new URL(x.agree(url)).search.slice(1), temporary)
    expect(JSON.parse(extra.reveal())).toMatchObject({ screen_name: x.user })
    const call = { method: 'GET', url: `${x.origin}/2/users/2244994945/tweets?max_results=5&tweet.fields=created_at%2Cauthor_id` }
    const signed = oauth1Authorization(call, { client: exchange.client, credential, moment: oauth1Moment(systemClock) })
    const send = () => fetch(call.url, { headers: { authorization: signed.reveal() } })
    expect((await send()).status).toBe(200)
    expect((await send()).status).toBe(401)
  })

  it('says that the client is refused when its secret is wrong, and that the person said no', async () => {
    const wrong = await exchangeWith('HMAC-SHA1', 'another')
    await expect(oauth1AuthorizationRequest(wrong, REDIRECT_URI)).rejects.toMatchObject({ code: 'provider_misconfigured' })
    const exchange = await exchangeWith('HMAC-SHA1')
    const { url, temporary } = await oauth1AuthorizationRequest(exchange, REDIRECT_URI)
    const back = new URL(x.deny(url)).search.slice(1)
    await expect(oauth1Tokens(exchange, back, temporary)).rejects.toMatchObject({ code: 'connect_denied' })
  })
})
