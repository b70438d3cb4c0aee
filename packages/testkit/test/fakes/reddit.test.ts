/** The SDK at a Reddit that keeps to what Reddit publishes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ProviderConfig, Sallyport } from '@sallyport/core'
import { startFakeReddit } from '../../src/fakes/index.ts'
import type { FakeReddit } from '../../src/fakes/index.ts'
import { itemsOf, personOf, REDIRECT_URI, renewed, sdkAt, signIn } from './through-sdk.ts'

const of = personOf('reddit')
const FEATURES: Partial<ProviderConfig> = { features: ['posts.read', 'profile.read'] }
let reddit: FakeReddit
let sallyport: Sallyport

beforeEach(async () => {
  reddit = await startFakeReddit({ redirectUri: REDIRECT_URI, posts: 205 })
})
afterEach(async () => {
  await sallyport.close()
  await reddit.close()
})

async function connected(options: Partial<ProviderConfig> = FEATURES): Promise<void> {
  sallyport = await sdkAt('reddit', reddit, options)
  await signIn(sallyport, 'reddit', reddit.agree)
}

const tokenForms = (): URLSearchParams[] =>
  reddit.asked.filter(({ url }) => url.pathname === '/api/v1/access_token').map(({ body }) => new URLSearchParams(body))

describe('the SDK at Reddit', () => {
  it('signs in for good, proves its client as Reddit reads it, and names itself in Reddit’s form everywhere', async () => {
    sallyport = await sdkAt('reddit', reddit, FEATURES)
    const { account, missingScopes } = await signIn(sallyport, 'reddit', reddit.agree)
    expect([account.label, missingScopes]).toEqual([reddit.user, []])
    expect(await sallyport.getConnectionHealth(of)).toMatchObject({ health: 'active', renewable: true })
    for (const { headers } of reddit.asked) expect(headers['user-agent']).toMatch(/^[\w.-]+:[\w.-]+:v[\d.]+$/u)
  })

  it('takes a no for a no', async () => {
    sallyport = await sdkAt('reddit', reddit, FEATURES)
    await expect(signIn(sallyport, 'reddit', reddit.deny)).rejects.toMatchObject({ code: 'connect_denied' })
  })

  it('sees a refusal that comes with status 200', async () => {
    sallyport = await sdkAt('reddit', reddit, FEATURES)
    const { url } = await sallyport.connect(of)
    const back = new URL(reddit.agree(url))
    back.searchParams.set('code', 'another')
    await expect(sallyport.handleCallback(back, { userId: 'ada' })).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('renews with the same refresh token again and again, though the answer does not name it', async () => {
    await connected()
    await renewed(sallyport, 'reddit')
    await renewed(sallyport, 'reddit')
    const shown = tokenForms().flatMap((form) => form.getAll('refresh_token'))
    expect([shown.length, new Set(shown).size]).toEqual([2, 1])
    expect((await sallyport.request({ ...of, path: '/api/v1/me' })).status).toBe(200)
  })

  it('sends the person to connect again when the refresh token is over, which Reddit calls an invalid request', async () => {
    await connected()
    const answer = await sallyport.request({ ...of, path: '/api/v1/me' })
    expect(answer.status).toBe(200)
    await answer.text()
    reddit.interfere(({ url, body }) =>
      url.pathname === '/api/v1/access_token' && body.includes('grant_type=refresh_token')
        ? { status: 400, headers: { 'content-type': 'application/json' }, body: '{"error":"invalid_request"}' }
        : undefined,
    )
    await expect(renewed(sallyport, 'reddit')).rejects.toMatchObject({ code: 'reconnect_required' })
    expect(await sallyport.getConnectionHealth(of)).toMatchObject({ health: 'reconnect_required', trouble: 'grant_expired' })
  })

  it('reads all posts of the person over the pages, once each, in plain text', async () => {
    await connected()
    const posts = await itemsOf(sallyport, 'reddit', 'posts')
    expect([posts.length, new Set(posts.map(({ id }) => id)).size]).toEqual([205, 205])
    expect(posts.flatMap(({ faults }) => faults)).toEqual([])
    expect(posts[0]).toMatchObject({
      id: 't3_post0',
      title: 'Post 0 <b> & more',
      author: reddit.user,
      url: 'https://www.reddit.com/r/test/comments/post0/post/',
      createdAt: '2023-11-14T22:13:20.000Z',
      updatedAt: null,
    })
    expect(posts[1]!.updatedAt).toBe('2023-11-14T22:30:01.000Z')
    expect(reddit.asked.filter(({ url }) => url.pathname === `/user/${reddit.user}/submitted`)).toHaveLength(3)
  })

  it('says which scope was not there by the provider’s status', async () => {
    await connected({ scopes: ['identity'] })
    await expect(itemsOf(sallyport, 'reddit', 'posts')).rejects.toMatchObject({ code: 'collection_refused', status: 403 })
  })

  it('hands a quota that is used up on as it is', async () => {
    await connected()
    reddit.leave(0)
    const answer = await sallyport.request({ ...of, path: '/api/v1/me' })
    expect([answer.status, answer.headers.get('x-ratelimit-remaining')]).toEqual([429, '0.0'])
  })

  it('V-08 takes both tokens back', async () => {
    await connected()
    expect(await sallyport.disconnect(of)).toEqual({ kind: 'done' })
    const hints = reddit.asked
      .filter(({ url }) => url.pathname === '/api/v1/revoke_token')
      .map(({ body }) => new URLSearchParams(body).get('token_type_hint'))
    expect(hints).toEqual(['refresh_token', 'access_token'])
  })
})
