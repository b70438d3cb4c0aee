/** Owns reading and writing posts of an account at X. https://docs.x.com/x-api/posts/user-posts-timeline-by-user-id */
import { cursor, jsonOf, listOf, required, walk } from './connector.ts'
import type { CollectionOptions, Connector, ConnectorAnswer, ConnectorRequest, Page } from './connector.ts'
import { ConnectorError } from './errors.ts'
import { at, itemOf } from './item.ts'
import type { Item } from './item.ts'

const ID = /^\d{1,19}$/u

/** `posts` takes `since_id`, `start_time`, `end_time`, `exclude`. The action `post` takes `text`, and `reply_to` as a post's id. */
export const x: Connector = { id: 'x', collections: { posts }, actions: { post } }

async function* posts(request: ConnectorRequest, options: CollectionOptions = {}): AsyncGenerator<Item, void, void> {
  const query = { max_results: '100', 'tweet.fields': 'created_at,author_id', ...options.input }
  yield* walk(request, { method: 'GET', path: `/users/${await ownId(request)}/tweets`, query }, options, page)
}

async function ownId(request: ConnectorRequest): Promise<string> {
  const answer = await request({ method: 'GET', path: '/users/me' })
  const id = at(await jsonOf(answer), ['data', 'id'])
  if (typeof id === 'string' && ID.test(id)) return id
  throw new ConnectorError('collection_unreadable', 'the account has no usable id', { status: answer.status })
}

/** A page without posts has no list at all. */
async function page(answer: ConnectorAnswer): Promise<Page> {
  const body = await jsonOf(answer)
  if (typeof body !== 'object' || body === null || (!('data' in body) && !('meta' in body)))
    throw new ConnectorError('collection_unreadable', 'the page holds no list', { status: answer.status })
  return {
    items: listOf(at(body, ['data']) ?? []).map(postOf),
    next: cursor('pagination_token', at(body, ['meta', 'next_token'])),
  }
}

function postOf(raw: unknown): Item {
  const id = at(raw, ['id'])
  return itemOf('post', raw, {
    id: ['id'],
    text: ['text'],
    author: ['author_id'],
    url: { value: typeof id === 'string' && ID.test(id) ? `https://x.com/i/web/status/${id}` : null },
    createdAt: ['created_at'],
  })
}

async function post(request: ConnectorRequest, input: Readonly<Record<string, string>>): Promise<Item> {
  const text = required(input, 'text', /\S/u)
  const reply = input['reply_to'] === undefined ? {} : { reply: { in_reply_to_tweet_id: required(input, 'reply_to', ID) } }
  const headers = { 'content-type': 'application/json' }
  const answer = await request({ method: 'POST', path: '/tweets', headers, body: JSON.stringify({ text, ...reply }) })
  return postOf(at(await jsonOf(answer), ['data']))
}
