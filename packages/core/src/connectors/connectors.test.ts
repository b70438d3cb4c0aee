import { describe, expect, it } from 'vitest'
import { resolveProvider } from '../catalog/index.ts'
import type { ConnectorAnswer, ConnectorCall, ConnectorRequest } from './connector.ts'
import { CONNECTORS } from './index.ts'
import type { CollectionOptions, ConnectorError, Item } from './index.ts'
import { itemSchema } from './item.ts'

interface Scripted {
  readonly status?: number
  readonly link?: string
  readonly body: unknown
}

function answerOf({ status = 200, link, body }: Scripted): ConnectorAnswer {
  return {
    status,
    headers: new Headers(link === undefined ? {} : { link }),
    text: async () => (typeof body === 'string' ? body : JSON.stringify(body)),
  }
}

/** Answers in the order given, the last one for ever. */
function scripted(...answers: Scripted[]): { request: ConnectorRequest; calls: ConnectorCall[] } {
  const calls: ConnectorCall[] = []
  const request: ConnectorRequest = async (call) => {
    calls.push(call)
    return answerOf(answers[Math.min(calls.length, answers.length) - 1]!)
  }
  return { request, calls }
}

async function take(id: string, collection: string, request: ConnectorRequest, options?: CollectionOptions): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of CONNECTORS.get(id)!.collections[collection]!(request, options)) items.push(item)
  return items
}

const failing = (code: ConnectorError['code'], more: object = {}) => ({ code, ...more })

const tweet = (id: string) => ({ id, text: `post ${id}`, author_id: '7', created_at: '2024-01-02T03:04:05.000Z' })
const link = (name: string, over: object = {}) => ({
  kind: 't3',
  data: {
    name,
    title: `title ${name}`,
    selftext: '',
    author: 'ann',
    permalink: `/r/a/comments/${name}/`,
    created_utc: 1_700_000_000,
    edited: false,
    ...over,
  },
})
const listing = (children: unknown[], after: string | null) => ({ kind: 'Listing', data: { children, after } })

describe('GitHub', () => {
  const repository = (id: number) => ({
    id,
    full_name: `o/${id}`,
    html_url: `https://github.com/o/${id}`,
    owner: { login: 'o' },
    created_at: '2024-01-02T03:04:05Z',
  })

  it('is read page by page, and only as far as items are taken', async () => {
    const { request, calls } = scripted(
      {
        body: [repository(1), repository(2)],
        link: '<https://api.github.com/user/repos?per_page=100&page=2>; rel="next", <https://x.example>; rel="last"',
      },
      { body: [repository(3)], link: '<https://api.github.com/user/repos?page=1>; rel="prev"' },
    )
    expect((await take('github', 'repositories', request, { limit: 2 })).map(({ id }) => id)).toEqual(['1', '2'])
    expect(calls).toHaveLength(1)
    const again = scripted(
      { body: [repository(1)], link: '<https://api.github.com/user/repos?page=2>; rel="next"' },
      { body: [repository(3)] },
    )
    expect(await take('github', 'repositories', again.request)).toMatchObject([{ id: '1', title: 'o/1', author: 'o' }, { id: '3' }])
    expect(again.calls.map(({ query }) => query?.['page'])).toEqual([undefined, '2'])
  })

  it('names the next page, not the place where calls go', async () => {
    const { request, calls } = scripted({ body: [], link: '<https://evil.example/steal?page=2>; rel="next"' }, { body: [] })
    await take('github', 'starred', request)
    expect(calls.map(({ path }) => path)).toEqual(['/user/starred', '/user/starred'])
  })

  it('has nothing new to say with status 304', async () => {
    expect(await take('github', 'notifications', scripted({ status: 304, body: '' }).request)).toEqual([])
  })
})

describe('Google', () => {
  it('is asked for each message, and keeps one that is gone by then as the list had it', async () => {
    const { request, calls } = scripted(
      { body: { messages: [{ id: 'm1' }, { id: 'm2' }, { id: '../x' }] } },
      {
        body: {
          id: 'm1',
          snippet: 'hello',
          internalDate: '1700000000000',
          payload: { headers: [{ name: 'Subject', value: 'S' }, { name: 'FROM', value: 'b@x.example' }, null] },
        },
      },
      { status: 404, body: '' },
    )
    expect(await take('google', 'mail', request)).toMatchObject([
      { id: 'm1', title: 'S', author: 'b@x.example', text: 'hello', createdAt: '2023-11-14T22:13:20.000Z', faults: [] },
      { id: 'm2', title: null, faults: [] },
      { id: '../x', title: null },
    ])
    expect(calls.map(({ path }) => path.split('/messages')[1])).toEqual(['', '/m1', '/m2'])
  })

  it('has no list where nothing is found', async () => {
    expect(await take('google', 'mail', scripted({ body: { resultSizeEstimate: 0 } }).request)).toEqual([])
  })

  it('gives events of hours and of whole days', async () => {
    const items = [
      { id: 'a', summary: 'A', start: { dateTime: '2024-01-02T10:00:00+02:00' }, end: { dateTime: '2024-01-02T11:00:00+02:00' } },
      { id: 'b', start: { date: '2024-01-03' }, end: { date: '2024-01-04' } },
    ]
    expect(await take('google', 'events', scripted({ body: { items } }).request, { input: { calendarId: 'a/b@x.example' } })).toMatchObject(
      [
        { id: 'a', startsAt: '2024-01-02T08:00:00.000Z', endsAt: '2024-01-02T09:00:00.000Z' },
        { id: 'b', startsAt: '2024-01-03T00:00:00.000Z', faults: [] },
      ],
    )
  })

  it('is not led elsewhere by the name of a calendar', async () => {
    const { request, calls } = scripted({ body: { items: [] } })
    await take('google', 'events', request, { input: { calendarId: '../../gmail/v1' } })
    expect(calls[0]!.path).toBe('/calendar/v3/calendars/..%2F..%2Fgmail%2Fv1/events')
    for (const calendarId of ['', '.', '..'])
      await expect(async () => take('google', 'events', request, { input: { calendarId } })).rejects.toMatchObject(
        failing('collection_input_invalid'),
      )
  })
})

describe('Slack', () => {
  it('says no in a 200, which is a refusal with its word', async () => {
    const { request } = scripted({ body: { ok: false, error: 'missing_scope', needed: 'channels:history' } })
    await expect(take('slack', 'messages', request, { input: { channel: 'C1' } })).rejects.toMatchObject(
      failing('collection_refused', { reason: 'missing_scope', status: 200 }),
    )
    const prose = scripted({ body: { ok: false, error: 'token xoxb-1 is bad' } })
    await expect(take('slack', 'messages', prose.request, { input: { channel: 'C1' } })).rejects.toMatchObject({ reason: null })
  })

  it('is read by cursors', async () => {
    const { request, calls } = scripted(
      { body: { ok: true, messages: [{ ts: '1700000000.000200', text: 'a', user: 'U1' }], response_metadata: { next_cursor: 'n' } } },
      { body: { ok: true, messages: [{ ts: '1600000000.000100', text: 'b', bot_id: 'B1' }], response_metadata: { next_cursor: '' } } },
    )
    expect(await take('slack-user', 'messages', request, { input: { channel: 'C1' } })).toMatchObject([
      { id: '1700000000.000200', author: 'U1', createdAt: '2023-11-14T22:13:20.000Z' },
      { author: 'B1' },
    ])
    expect(Object.fromEntries(new URLSearchParams(calls[1]!.body))).toMatchObject({ channel: 'C1', cursor: 'n' })
    for (const asked of calls) expect(asked).toMatchObject({ method: 'POST', reads: true })
  })

  it('is not asked without a channel', async () => {
    await expect(async () => take('slack', 'messages', scripted({ body: {} }).request)).rejects.toMatchObject(
      failing('collection_input_invalid'),
    )
  })
})

describe('Microsoft Graph', () => {
  it('is read by the query of its links, in UTC', async () => {
    const { request, calls } = scripted(
      {
        body: {
          value: [
            {
              id: 'e1',
              subject: 'E',
              start: { dateTime: '2024-01-02T10:00:00.0000000', timeZone: 'UTC' },
              end: { dateTime: 'x', timeZone: 'UTC' },
            },
            { id: 'e2', start: { dateTime: '2024-01-02T10:00:00.0000000', timeZone: 'Pacific Standard Time' } },
          ],
          '@odata.nextLink': 'https://evil.example/v1.0/me/events?%24skip=50',
        },
      },
      { body: { value: [] } },
    )
    expect(await take('microsoft', 'events', request)).toMatchObject([
      { id: 'e1', startsAt: '2024-01-02T10:00:00.000Z', endsAt: null, faults: ['endsAt'] },
      { id: 'e2', startsAt: null, faults: ['startsAt'] },
    ])
    expect(calls[1]).toMatchObject({ path: '/me/events', query: { $skip: '50', $top: '50' } })
  })

  it('gives mail', async () => {
    const value = [
      {
        id: 'm',
        subject: 'S',
        bodyPreview: 'p',
        from: { emailAddress: { address: 'a@x.example' } },
        receivedDateTime: '2024-01-02T03:04:05Z',
      },
    ]
    expect(await take('microsoft', 'mail', scripted({ body: { value } }).request)).toMatchObject([
      { title: 'S', author: 'a@x.example', faults: [] },
    ])
  })
})

describe('Reddit', () => {
  it("asks for the account's name before its lists, and follows cursors", async () => {
    const { request, calls } = scripted(
      { body: { id: 'x', name: 'ann_1' } },
      { body: listing([link('t3_a'), link('t3_b', { edited: 1_700_000_100 })], 't3_b') },
      { body: listing([link('t3_c')], null) },
    )
    expect(await take('reddit', 'posts', request)).toMatchObject([
      { id: 't3_a', title: 'title t3_a', url: 'https://www.reddit.com/r/a/comments/t3_a/', updatedAt: null, faults: [] },
      { id: 't3_b', updatedAt: '2023-11-14T22:15:00.000Z' },
      { id: 't3_c' },
    ])
    expect(calls.map(({ path }) => path)).toEqual(['/api/v1/me', '/user/ann_1/submitted', '/user/ann_1/submitted'])
    expect(calls[2]!.query).toMatchObject({ after: 't3_b', limit: '100', raw_json: '1' })
  })

  it.each([{ name: '../r/secret' }, { name: 7 }, {}, null])('is not asked under a name that is none (%j)', async (body) => {
    await expect(take('reddit', 'posts', scripted({ body }).request)).rejects.toMatchObject(failing('collection_unreadable'))
  })
})

describe('X', () => {
  it("asks for the account's id, and reads its posts by tokens", async () => {
    const { request, calls } = scripted(
      { body: { data: { id: '7', username: 'ann' } } },
      { body: { data: [tweet('1')], meta: { next_token: 'n' } } },
      { body: { meta: { result_count: 0 } } },
    )
    expect(await take('x', 'posts', request)).toMatchObject([{ id: '1', text: 'post 1', author: '7', url: 'https://x.com/i/web/status/1' }])
    expect(calls.map(({ path, query }) => [path, query?.['pagination_token']])).toEqual([
      ['/users/me', undefined],
      ['/users/7/tweets', undefined],
      ['/users/7/tweets', 'n'],
    ])
  })

  it('posts once, and gives the post', async () => {
    const { request, calls } = scripted({ status: 201, body: { data: { id: '9', text: 'hi' } } })
    expect(await CONNECTORS.get('x')!.actions!['post']!(request, { text: 'hi', reply_to: '8' })).toMatchObject({ id: '9', text: 'hi' })
    expect(calls).toMatchObject([{ method: 'POST', path: '/tweets' }])
    expect(JSON.parse(calls[0]!.body!)).toEqual({ text: 'hi', reply: { in_reply_to_tweet_id: '8' } })
  })

  it('does not post nothing, nor in reply to what is no post', async () => {
    const { request, calls } = scripted({ body: {} })
    for (const input of [{}, { text: ' ' }, { text: 'a', reply_to: 'x' }])
      await expect(CONNECTORS.get('x')!.actions!['post']!(request, input as Record<string, string>)).rejects.toMatchObject(
        failing('collection_input_invalid'),
      )
    expect(calls).toEqual([])
  })
})

/** How each list is asked for, the answers before it, and its page around items. */
const LISTS: readonly (readonly [
  id: string,
  list: string,
  input: Record<string, string>,
  before: Scripted[],
  page: (raw: unknown[]) => unknown,
])[] = [
  ['github', 'repositories', {}, [], (raw) => raw],
  ['github', 'issues', {}, [], (raw) => raw],
  ['github', 'notifications', {}, [], (raw) => raw],
  ['google', 'mail', {}, [], (raw) => ({ messages: raw })],
  ['google', 'events', {}, [], (raw) => ({ items: raw })],
  ['slack', 'messages', { channel: 'C1' }, [], (raw) => ({ ok: true, messages: raw })],
  ['microsoft', 'mail', {}, [], (raw) => ({ value: raw })],
  ['microsoft', 'events', {}, [], (raw) => ({ value: raw })],
  ['reddit', 'posts', {}, [{ body: { name: 'ann' } }], (raw) => listing(raw, null)],
  ['x', 'posts', {}, [{ body: { data: { id: '7' } } }], (raw) => ({ data: raw, meta: {} })],
]

const HOSTILE: readonly unknown[] = [
  null,
  7,
  'text',
  [],
  {},
  { id: 2 ** 60, ts: {}, name: [], title: 5, text: { a: 1 }, data: null },
  { id: {}, ts: [], data: { name: 1e300, title: null, permalink: 5, created_utc: 'soon', edited: {} } },
  {
    id: true,
    html_url: 'javascript:alert(1)',
    htmlLink: 'data:text/html,x',
    webLink: '//x',
    created_at: 1e300,
    start: 5,
    payload: { headers: 'x' },
  },
  JSON.parse('{"__proto__": {"id": "1"}, "constructor": {"id": "1"}}'),
]

describe.each(LISTS)('%s %s', (id, list, input, before, page) => {
  it('keeps every hostile item raw and counts its faults, and the page goes on', async () => {
    const items = await take(id, list, scripted(...before, { body: page([...HOSTILE]) }).request, { input })
    expect(items.map(({ raw }) => raw)).toEqual(HOSTILE)
    for (const item of items) {
      expect(itemSchema.safeParse(item).success).toBe(true)
      expect(item.faults).toContain('id')
    }
  })

  it.each(['{}', 'null', '7', '"x"', '[[', '<html>', ''])('refuses a page that is %j, without its text in the error', async (body) => {
    if (id === 'google' && body !== '[[' && body !== '<html>' && body !== '')
      return expect(await take(id, list, scripted({ body }).request)).toEqual([])
    const error: unknown = await take(id, list, scripted(...before, { body }).request, { input }).catch((caught: unknown) => caught)
    expect(['collection_unreadable', 'collection_refused']).toContain((error as ConnectorError).code)
    expect(String(error)).not.toContain('html')
  })

  it.each([400, 401, 403, 404, 429, 500, 302])('says with which status it was refused (%i)', async (status) => {
    const { request } = scripted(...before, { status, body: 'secret text' })
    const error: unknown = await take(id, list, request, { input }).catch((caught: unknown) => caught)
    expect(error).toMatchObject(failing('collection_refused', { status }))
    expect(String(error)).not.toContain('secret')
  })

  it.each([-1, 1.5, Number.NaN, 100_001])('takes no limit of %d', async (limit) => {
    await expect(async () => take(id, list, scripted(...before, { body: page([]) }).request, { input, limit })).rejects.toMatchObject(
      failing('collection_input_invalid'),
    )
  })
})

describe('pages that lead in a circle', () => {
  it.each([
    ['github', 'starred', {}, [], { body: [{ id: 1 }], link: '<https://a.example/?page=2>; rel="next"' }],
    ['google', 'events', {}, [], { body: { items: [{ id: 'a' }], nextPageToken: 'n' } }],
    ['slack', 'messages', { channel: 'C1' }, [], { body: { ok: true, messages: [{ ts: '1' }], response_metadata: { next_cursor: 'n' } } }],
    ['microsoft', 'mail', {}, [], { body: { value: [{ id: 'a' }], '@odata.nextLink': 'https://a.example/?$skip=1' } }],
    ['reddit', 'posts', {}, [{ body: { name: 'ann' } }], { body: listing([link('t3_a')], 't3_a') }],
    ['x', 'posts', {}, [{ body: { data: { id: '7' } } }], { body: { data: [tweet('1')], meta: { next_token: 'n' } } }],
  ] as const)('end the walk at %s', async (id, list, input, before, again) => {
    const { request, calls } = scripted(...before, again)
    await expect(take(id, list, request, { input, limit: 1000 })).rejects.toMatchObject(failing('collection_endless'))
    expect(calls.length).toBe(before.length + 2)
  })
})

describe('pages that lead on without an end', () => {
  const mail = (next: string, value: readonly object[] = []) => ({
    body: { value, '@odata.nextLink': `https://a.example/?${new URLSearchParams({ $skiptoken: next }).toString()}` },
  })

  it('D-08 end the walk after a hundred in a row that hold nothing', async () => {
    const calls: ConnectorCall[] = []
    const request: ConnectorRequest = async (call) => {
      calls.push(call)
      return answerOf(mail(String(calls.length), calls.length === 50 ? [{ id: 'a' }] : []))
    }
    await expect(take('microsoft', 'mail', request)).rejects.toMatchObject(failing('collection_endless'))
    expect(calls).toHaveLength(150)
  })

  it('D-08 are not followed by a query that is longer than queries are: what was seen is kept of every page', async () => {
    const { request, calls } = scripted(mail('x'.repeat(40_000), [{ id: 'a' }]))
    await expect(take('microsoft', 'mail', request)).rejects.toMatchObject(failing('collection_unreadable'))
    expect(calls).toHaveLength(1)
  })
})

describe('every connector', () => {
  it('is of a provider of the catalog, or of feeds', () => {
    for (const id of CONNECTORS.keys()) expect(id === 'feed' || resolveProvider(id) !== undefined, id).toBe(true)
  })
})
