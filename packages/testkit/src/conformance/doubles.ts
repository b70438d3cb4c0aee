/**
 * Owns what each connector's provider answers when all is well, in the form of its published reference, and how it says that a refresh token is
 * over. Refuses to misbehave: that is the same for all, and stands in behaviours.ts.
 */
import { json } from '../fakes/fake-server.ts'
import type { Said } from '../fakes/fake-server.ts'

export interface Double {
  readonly collection: string
  readonly params?: Readonly<Record<string, string>>
  /** The list's path under the API. */
  readonly list: string
  /** What else is asked on the way to the list, by path under the API. */
  readonly self?: Readonly<Record<string, object>>
  /** One page of these ids; `next` leads to another. */
  readonly page: (ids: readonly string[], next: string | undefined) => Said
  /** What the API answers to who asks too much. */
  readonly limited: Said
  /** The answer to a refresh token that was used before, or taken back. */
  readonly spent: Said
}

const GITHUB_NEXT = 'https://api.github.com/user/repos?per_page=100&page='

export const DOUBLES: Readonly<Record<string, Double>> = {
  github: {
    collection: 'repositories',
    list: '/user/repos',
    page: (ids, next) => {
      const body = ids.map((id) => ({ id, full_name: `octo/${id}`, html_url: `https://github.com/octo/${id}`, owner: { login: 'octo' } }))
      return json(200, body, next === undefined ? {} : { link: `<${GITHUB_NEXT}${next}>; rel="next"` })
    },
    limited: json(429, { message: 'You have exceeded a secondary rate limit.' }),
    // With status 200.
    spent: json(200, { error: 'bad_refresh_token', error_description: 'The refresh token passed is incorrect or expired.' }),
  },
  google: {
    collection: 'events',
    list: '/calendar/v3/calendars/primary/events',
    page: (ids, next) =>
      json(200, {
        kind: 'calendar#events',
        items: ids.map((id) => ({ id, summary: id })),
        ...(next === undefined ? {} : { nextPageToken: next }),
      }),
    limited: json(429, { error: { code: 429, status: 'RESOURCE_EXHAUSTED', errors: [{ reason: 'rateLimitExceeded' }] } }),
    spent: json(400, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' }),
  },
  microsoft: {
    collection: 'events',
    list: '/me/events',
    page: (ids, next) => {
      const link = next === undefined ? {} : { '@odata.nextLink': `https://graph.microsoft.com/v1.0/me/events?$skip=${next}` }
      return json(200, { value: ids.map((id) => ({ id, subject: id })), ...link })
    },
    limited: json(429, { error: { code: 'TooManyRequests', message: 'Please retry again later.' } }),
    spent: json(400, { error: 'invalid_grant', error_codes: [70_000], error_description: 'The provided grant has expired.' }),
  },
  reddit: {
    collection: 'posts',
    list: '/user/a_person/submitted',
    self: { '/api/v1/me': { id: 'abc', name: 'a_person' } },
    page: (ids, next) => {
      const children = ids.map((id) => ({ kind: 't3', data: { name: `t3_${id}`, title: id, author: 'a_person', edited: false } }))
      return json(200, { kind: 'Listing', data: { after: next ?? null, children } })
    },
    limited: json(429, { message: 'Too Many Requests', error: 429 }),
    spent: json(400, { error: 'invalid_request' }),
  },
  slack: {
    collection: 'messages',
    params: { channel: 'C0001' },
    list: '/conversations.history',
    page: (ids, next) => {
      const messages = ids.map((id, index) => ({ ts: `1700000000.${String(index).padStart(6, '0')}`, text: id, user: 'U1' }))
      return json(200, { ok: true, messages, has_more: next !== undefined, response_metadata: { next_cursor: next ?? '' } })
    },
    limited: json(429, { ok: false, error: 'ratelimited' }),
    // With status 200.
    spent: json(200, { ok: false, error: 'invalid_refresh_token' }),
  },
  x: {
    collection: 'posts',
    list: '/users/42/tweets',
    self: { '/users/me': { data: { id: '42', name: 'A', username: 'a_person' } } },
    page: (ids, next) => {
      const data = ids.map((id) => ({ id, text: id, author_id: '42' }))
      return json(200, { data, meta: { result_count: ids.length, ...(next === undefined ? {} : { next_token: next }) } })
    },
    limited: json(429, { title: 'Too Many Requests', detail: 'Too Many Requests', type: 'about:blank', status: 429 }),
    spent: json(400, { error: 'invalid_request', error_description: 'Value passed for the token was invalid.' }),
  },
}

/** A feed has one page, and no credential. */
export function feedOf(ids: readonly string[]): Said {
  const items = ids.map((id) => `<item><guid>${id}</guid><title>${id}</title></item>`).join('')
  return { status: 200, headers: { 'content-type': 'application/rss+xml' }, body: `<rss version="2.0"><channel>${items}</channel></rss>` }
}
