/** Items of providers through the SDK: one form, page by page, through the same pipeline and door as every call; and feeds. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CONNECTORS, Sallyport } from '../../src/index.ts'
import type { FetchedItem, KnownCollections, SallyportConfig } from '../../src/index.ts'
import { startUpstream } from '../../../testkit/src/upstream/index.ts'
import type { Upstream } from '../../../testkit/src/upstream/index.ts'
import { signIn } from '../oauth/sign-in.ts'
import { configOn, recordAt, REDIRECT_URI, startGround } from './ground.ts'
import type { Ground } from './ground.ts'

const userId = 'ada'
let ground: Ground
/** The APIs of two providers that both have mail. */
let google: Upstream
let microsoft: Upstream
let sallyport: Sallyport

beforeAll(async () => {
  ground = await startGround()
})
afterAll(() => ground.close())
beforeEach(async () => {
  ;[google, microsoft] = [await startUpstream(), await startUpstream()]
})
afterEach(async () => {
  await sallyport.close()
  for (const api of [google, microsoft]) await api.close()
})

async function start(connected: readonly string[] = ['google', 'microsoft'], changes: Partial<SallyportConfig> = {}): Promise<void> {
  const records = [
    { ...recordAt(ground.origin, google.origin), id: 'google' },
    { ...recordAt(ground.origin, microsoft.origin), id: 'microsoft' },
    { ...recordAt(ground.origin, google.origin), id: 'github' },
  ]
  const providers = Object.fromEntries(records.map(({ id }) => [id, ground.client]))
  const config = configOn(
    ground,
    { backend: 'memory' },
    {
      connectors: records,
      providers,
      insecureAllowOrigins: [ground.origin, google.origin, microsoft.origin],
      http: { retry: { maxRetries: 0 } },
      alternatives: { 'mail.read': ['google', 'microsoft'] },
      ...changes,
    },
  )
  sallyport = await Sallyport.init(config)
  for (const provider of connected) {
    const { url } = await sallyport.connect({ provider, userId })
    await sallyport.handleCallback(await signIn(url, REDIRECT_URI), { userId })
  }
}

async function take(items: AsyncIterable<FetchedItem>, most = Infinity): Promise<FetchedItem[]> {
  const taken: FetchedItem[] = []
  if (most === 0) return taken
  for await (const item of items) if (taken.push(item) >= most) break
  return taken
}

const json = (body: object) => JSON.stringify(body)
const mails = (ids: readonly string[]) => json({ value: ids.map((id) => ({ id, subject: `mail ${id}` })) })

describe('items through the SDK', () => {
  it('are read page by page, as they are taken, with the item as it came at hand', async () => {
    await start(['github'])
    google.answer((request, response) => {
      const page = Number(new URL(request.url!, 'http://x').searchParams.get('page') ?? '1')
      const link = page < 3 ? { link: `<https://api.github.com/user/repos?page=${page + 1}>; rel="next"` } : {}
      response.writeHead(200, link).end(json([{ id: page, full_name: `o/${page}`, extra: 'kept' }]))
    })
    const items = sallyport.fetch({ provider: 'github', userId, collection: 'repositories', params: { sort: 'updated' } })
    expect(google.seen).toHaveLength(0)
    const [first] = await take(items, 1)
    expect(first).toMatchObject({ kind: 'repository', id: '1', title: 'o/1', provider: 'github', stale: false, raw: { extra: 'kept' } })
    expect(google.seen.map(({ url }) => url)).toEqual(['/user/repos?per_page=100&sort=updated'])
    const all = await take(sallyport.fetch({ provider: 'github', userId, collection: 'repositories' }))
    expect(all.map(({ id }) => id)).toEqual(['1', '2', '3'])
    expect(await take(sallyport.fetch({ provider: 'github', userId, feature: 'repositories.read', limit: 2 }))).toHaveLength(2)
  })

  it('refuse a collection that is not there, at once and in the types', async () => {
    await start([])
    // @ts-expect-error GitHub has no mail.
    expect(() => sallyport.fetch({ provider: 'github', userId, collection: 'mail' })).toThrow(/no such collection \(repositories, /u)
    expect(() => sallyport.fetch({ provider: 'github', userId, feature: 'mail.read' })).toThrow(/no such collection/u)
    expect(() => sallyport.fetch({ provider: 'nobody', userId, collection: 'mail' })).toThrow(
      expect.objectContaining({ code: 'provider_unknown' }),
    )
    expect(() => sallyport.fetch({ userId, feature: 'posts.read' })).toThrow(expect.objectContaining({ code: 'argument_invalid' }))
    await expect(take(sallyport.fetch({ provider: 'github', userId, collection: 'issues' }))).rejects.toMatchObject({
      code: 'credential_absent',
    })
  })

  it('have the types of the connectors that there are', () => {
    const known: { readonly [Name in keyof KnownCollections]: readonly KnownCollections[Name][] } = {
      github: ['repositories', 'starred', 'issues', 'notifications'],
      google: ['mail', 'events'],
      microsoft: ['mail', 'events'],
      reddit: ['posts'],
      slack: ['messages'],
      'slack-user': ['messages'],
      x: ['posts'],
    }
    const there = [...CONNECTORS.values()].filter(({ id }) => id !== 'feed').map(({ id, collections }) => [id, Object.keys(collections)])
    expect(Object.fromEntries(there)).toEqual(known)
  })

  it('are those of an application’s own connector, which calls out through the same door', async () => {
    await start([])
    const record = { ...recordAt(ground.origin, google.origin), id: 'own' }
    sallyport.registerConnector(record, ground.client, {
      collections: {
        async *things(request) {
          const answer = await request({ method: 'GET', path: '/things' })
          for (const raw of JSON.parse(await answer.text()) as { id: string }[]) yield { ...EMPTY, kind: 'entry', id: raw.id, raw }
        },
      },
    })
    const { url } = await sallyport.connect({ provider: 'own', userId })
    await sallyport.handleCallback(await signIn(url, REDIRECT_URI), { userId })
    google.answer((_request, response) => void response.writeHead(200).end(json([{ id: 'a' }, { id: 'b' }])))
    expect((await take(sallyport.fetch({ provider: 'own', userId, collection: 'things' }))).map(({ id }) => id)).toEqual(['a', 'b'])
    expect(google.seen[0]!.headers.authorization).toMatch(/^Bearer /u)
  })

  it('S44 are stale, and say so, while the provider fails and its page was kept', async () => {
    await start(['microsoft'])
    microsoft.answer((_request, response) => void response.writeHead(200, { etag: '"1"' }).end(mails(['a'])))
    await take(sallyport.fetch({ provider: 'microsoft', userId, collection: 'mail' }))
    microsoft.answer((_request, response) => void response.writeHead(502).end())
    expect(await take(sallyport.fetch({ provider: 'microsoft', userId, collection: 'mail' }))).toMatchObject([{ id: 'a', stale: true }])
  })
})

const EMPTY = {
  title: null,
  text: null,
  url: null,
  author: null,
  createdAt: null,
  updatedAt: null,
  startsAt: null,
  endsAt: null,
  faults: [],
}

describe('an action through the SDK', () => {
  const x = { provider: 'x', userId, action: 'post' } as const
  const own = async (): Promise<void> => {
    await start([], {
      connectors: [{ ...recordAt(ground.origin, google.origin), id: 'x' }],
      providers: { x: ground.client },
      alternatives: {},
      http: { retry: { maxRetries: 3, baseDelay: 1, maxDelay: 1 } },
    })
    const { url } = await sallyport.connect({ provider: 'x', userId })
    await sallyport.handleCallback(await signIn(url, REDIRECT_URI), { userId })
  }

  it('is done in the user’s name, once, and gives what came of it', async () => {
    await own()
    google.answer((_request, response) => void response.writeHead(201).end(json({ data: { id: '9', text: 'hello' } })))
    expect(await sallyport.act({ ...x, params: { text: 'hello' } })).toMatchObject({ provider: 'x', kind: 'post', id: '9', text: 'hello' })
    expect(google.seen.map(({ method, url }) => [method, url])).toEqual([['POST', '/tweets']])
    expect(google.seen[0]!.headers.authorization).toMatch(/^Bearer /u)
  })

  it('F-22 is not done again where it may have been done', async () => {
    await own()
    google.answer((_request, response) => void response.writeHead(503).end())
    await expect(sallyport.act({ ...x, params: { text: 'hello' } })).rejects.toMatchObject({ code: 'collection_refused', status: 503 })
    google.answer((_request, response) => void response.destroy())
    await expect(sallyport.act({ ...x, params: { text: 'hello' } })).rejects.toMatchObject({ code: 'upstream_reset' })
    expect(google.seen).toHaveLength(2)
  })

  it('is not one that nobody knows, nor one of a provider that is not there', async () => {
    await own()
    const unknown = { ...x, action: 'paint' as 'post' }
    await expect(sallyport.act(unknown)).rejects.toMatchObject({ code: 'action_unknown' })
    await expect(sallyport.act({ provider: 'nobody', userId, action: 'post' })).rejects.toMatchObject({ code: 'provider_unknown' })
    await expect(sallyport.act(x)).rejects.toMatchObject({ code: 'collection_input_invalid' })
  })
})

describe('another provider in place of one that is down', () => {
  const gmail = (request: { url?: string | undefined }) =>
    request.url!.includes('/messages?') ? { messages: [{ id: 'g1' }] } : { id: 'g1' }
  const told: object[] = []
  const fetchMail = (more: object = {}) => take(sallyport.fetch({ feature: 'mail.read', userId, ...more }))
  const watch = (): void => {
    told.length = 0
    sallyport.on('alternative_used', (event) => told.push(event))
  }

  it('S50 is asked while the first fails, and is named in the items and in an event; the first again once it is up', async () => {
    await start(undefined, { http: { retry: { maxRetries: 0 }, circuitBreaker: { resetTimeout: 1 } } })
    watch()
    microsoft.answer((_request, response) => void response.writeHead(200).end(mails(['m1'])))
    google.answer((_request, response) => void response.writeHead(503).end())
    expect(await fetchMail()).toMatchObject([{ id: 'm1', provider: 'microsoft' }])
    expect(told).toEqual([{ feature: 'mail.read', userId, provider: 'google', alternative: 'microsoft', reason: 'down' }])
    expect(google.seen[0]!.headers.authorization).not.toBe(microsoft.seen[0]!.headers.authorization)
    google.answer((request, response) => void response.writeHead(200).end(json(gmail(request))))
    expect(await fetchMail()).toMatchObject([{ id: 'g1', provider: 'google' }])
  })

  it('S50 is asked at once, and the first not at all, while its circuit is open', async () => {
    await start()
    microsoft.answer((_request, response) => void response.writeHead(200).end(mails([])))
    google.answer((_request, response) => void response.writeHead(503).end())
    for (let i = 0; i < 5; i++) await fetchMail()
    expect(google.seen).toHaveLength(5)
    expect(await fetchMail()).toEqual([])
    expect([google.seen.length, microsoft.seen.length]).toEqual([5, 6])
  })

  it('S50 is not asked for what only the first understands, unless the caller says it in its words', async () => {
    await start()
    microsoft.answer((_request, response) => void response.writeHead(200).end(mails(['m1'])))
    google.answer((_request, response) => void response.writeHead(503).end())
    const params = { q: 'from:bob' }
    await expect(fetchMail({ params })).rejects.toMatchObject({ code: 'collection_refused', status: 503 })
    expect(microsoft.seen).toHaveLength(0)
    await fetchMail({ params, alternativeParams: { microsoft: { $search: 'from:bob' } } })
    expect(microsoft.seen[0]!.url).toContain('%24search=from%3Abob')
  })

  it('S50 is asked while the first limits this user, by a 429 and by what it said of its quota; the first is not taken to be down', async () => {
    await start()
    watch()
    microsoft.answer((_request, response) => void response.writeHead(200).end(mails(['m1'])))
    google.answer((_request, response) => void response.writeHead(429, { 'retry-after': '600' }).end())
    for (let i = 0; i < 2; i++) expect(await fetchMail()).toMatchObject([{ id: 'm1', provider: 'microsoft' }])
    expect(google.seen).toHaveLength(1)
    expect(told).toMatchObject([{ reason: 'limited' }, { reason: 'limited' }])
    expect((await sallyport.getHealth()).providers['google']).toMatchObject({ state: 'up' })
    microsoft.answer((_request, response) => void response.writeHead(429).end())
    await expect(fetchMail()).rejects.toMatchObject({ code: 'quota_exhausted' })
  })

  it('is left out where the user is not connected: the caller hears of the first', async () => {
    await start(['google'])
    google.answer((_request, response) => void response.writeHead(503).end())
    await expect(fetchMail()).rejects.toMatchObject({ code: 'collection_refused', status: 503 })
  })

  it('is no answer to a refusal, nor in the middle of a walk', async () => {
    await start()
    google.answer((_request, response) => void response.writeHead(403).end())
    await expect(fetchMail()).rejects.toMatchObject({ status: 403 })
    google.answer((request, response) =>
      request.url!.includes('pageToken')
        ? void response.writeHead(503).end()
        : void response.writeHead(200).end(json({ ...gmail(request), nextPageToken: 'more' })),
    )
    await expect(fetchMail()).rejects.toMatchObject({ status: 503 })
    expect(microsoft.seen).toHaveLength(0)
  })

  it('is judged when the SDK starts', async () => {
    const bad = configOn(ground, { backend: 'memory' }, { alternatives: { 'mail.read': ['strict', 'nobody'], 'files.read': ['strict'] } })
    await expect(Sallyport.init(bad)).rejects.toMatchObject({
      faults: [
        { path: 'alternatives.mail.read.0', message: 'has no mail' },
        { path: 'alternatives.mail.read.1', message: 'is no configured provider' },
        { path: 'alternatives.files.read', message: 'is no feature of which there are items' },
      ],
    })
    await start([])
  })
})

describe('feeds through the SDK', () => {
  const RSS = '<rss version="2.0"><channel><item><guid>1</guid><title>One</title></item></channel></rss>'
  const feed = (path: string) => ({ provider: 'feed' as const, url: `${google.origin}${path}` })

  it('are read without a credential, by the same door', async () => {
    await start([])
    google.answer((_request, response) => void response.writeHead(200, { 'content-type': 'application/rss+xml' }).end(RSS))
    expect(await take(sallyport.fetch(feed('/feed.xml?a=b')))).toMatchObject([{ kind: 'entry', id: '1', title: 'One', provider: 'feed' }])
    expect(google.seen[0]).toMatchObject({ method: 'GET', url: '/feed.xml?a=b' })
    expect(google.seen[0]!.headers).not.toHaveProperty('authorization')
  })

  it.each([
    'https://127.0.0.1/feed',
    'https://localhost/feed',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://169.254.169.254/latest',
    'http://feeds.example/',
    'https://feeds.example:8443/',
    'https://0x7f.1/',
    'file:///etc/passwd',
  ])('S-01 S-07 go nowhere for %s', async (url) => {
    await start([])
    await expect(take(sallyport.fetch({ provider: 'feed', url }))).rejects.toMatchObject({ code: 'egress_refused' })
  })

  it.each(['no address', 'https://user:pw@feeds.example/'])('take %s for no address', async (url) => {
    await start([])
    await expect(take(sallyport.fetch({ provider: 'feed', url }))).rejects.toMatchObject({ code: 'argument_invalid' })
  })

  it('S-05 follow a redirect only where the door lets them, and not for ever', async () => {
    await start([])
    google.answer((request, response) => {
      if (request.url === '/moved') response.writeHead(301, { location: `${microsoft.origin}/feed` }).end()
      else response.writeHead(302, { location: request.url === '/inside' ? 'https://127.0.0.1/feed' : '/again' }).end()
    })
    microsoft.answer((_request, response) => void response.writeHead(200).end(RSS))
    expect(await take(sallyport.fetch(feed('/moved')))).toHaveLength(1)
    await expect(take(sallyport.fetch(feed('/inside')))).rejects.toMatchObject({ code: 'egress_refused' })
    await expect(take(sallyport.fetch(feed('/again')))).rejects.toMatchObject({ code: 'upstream_invalid' })
    expect(google.seen).toHaveLength(8)
  })

  it('keep apart what fails: one feed that is down says nothing of the others', async () => {
    await start([])
    google.answer((_request, response) => void response.writeHead(503).end())
    microsoft.answer((_request, response) => void response.writeHead(200).end(RSS))
    for (let i = 0; i < 5; i++) await expect(take(sallyport.fetch(feed('/a')))).rejects.toMatchObject({ status: 503 })
    await expect(take(sallyport.fetch(feed('/a')))).rejects.toMatchObject({ code: 'circuit_open' })
    expect(await take(sallyport.fetch({ provider: 'feed', url: `${microsoft.origin}/a` }))).toHaveLength(1)
    expect((await sallyport.getHealth()).status).toBe('ok')
  })
})
